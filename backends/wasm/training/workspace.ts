/** Memory that the steps of one op after another may use: what a step leaves there the next one may overwrite. */

import type { TrainingMemory } from './device.ts';

/** Pieces begin at a line of the cache; kernels may read this many bytes over an end. */
const LINE = 64;

export class Workspace {
  readonly #memory: TrainingMemory;
  #address = 0;
  #bytes = 0;

  constructor(memory: TrainingMemory) {
    this.#memory = memory;
  }

  /** Addresses of pieces of these sizes in bytes, with whatever they held, until the next call. */
  pieces(...sizes: readonly number[]): number[] {
    let end = 0;
    const offsets = sizes.map((bytes) => {
      const offset = end;
      end += Math.ceil(bytes / LINE) * LINE + LINE;
      return offset;
    });
    if (end > this.#bytes) this.#grow(end);
    return offsets.map((offset) => this.#address + offset);
  }

  #grow(bytes: number): void {
    // steps that wait may still use it
    this.#memory.flush();
    const { memory } = this.#memory.kernels;
    memory.free(this.#address, this.#bytes);
    this.#address = memory.allocate(bytes);
    this.#bytes = bytes;
  }
}
