/** Memory that the steps of one op after another may use: what a step leaves there the next one may overwrite. */

import type { Allocator } from '../pieces.ts';

/** Pieces begin at a line of the cache; kernels may read this many bytes over an end. */
const LINE = 64;

export class Workspace {
  readonly #memory: Allocator;
  readonly #beforeMoving: () => void;
  #address = 0;
  #bytes = 0;

  /** @param beforeMoving runs the steps that wait: they may still use it where it is. */
  constructor(memory: Allocator, beforeMoving: () => void = () => {}) {
    this.#memory = memory;
    this.#beforeMoving = beforeMoving;
  }

  /** Bytes that it has. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Addresses of pieces of these sizes in bytes, with whatever they held, until the next call of any op. */
  pieces(...sizes: readonly number[]): number[] {
    let end = 0;
    const offsets = sizes.map((bytes) => {
      const offset = end;
      end += Math.ceil(bytes / LINE) * LINE + LINE;
      return offset;
    });
    this.reserve(end);
    return offsets.map((offset) => this.#address + offset);
  }

  /** Makes it at least as large. */
  reserve(bytes: number): void {
    if (bytes <= this.#bytes) return;
    this.#beforeMoving();
    this.#memory.free(this.#address, this.#bytes);
    this.#address = this.#memory.allocate(bytes);
    this.#bytes = bytes;
  }
}
