/** Training's memory without a memory: the very ops run on it, and only what they take is added up. */

import type { MostBytes } from '../../trainingMemory.ts';
import { Pieces, rounded } from '../pieces.ts';
import { type Buffer, TrainingMemory } from './device.ts';

export class CountingMemory extends TrainingMemory {
  readonly #kept: Pieces;
  readonly #begun: { used: number; end: number };

  /** @param threads of the device that is counted for: each has a workspace of its own. */
  constructor(threads: number) {
    const kept = new Pieces();
    const allocate = (bytes: number) => kept.allocate(bytes);
    const memory = {
      ...{ allocate, allocateZeros: allocate, free: kept.free.bind(kept), write: () => {} },
      // an op that puts numbers there itself is to fail here, not to be forgotten
      ...{ f32: new Float32Array(0), u32: new Uint32Array(0) },
    };
    super({ memory, threads, run: () => {} }, new Pieces());
    this.#kept = kept;
    // what every such memory begins with is there already
    this.#begun = { used: kept.used, end: kept.end };
  }

  counted(): { kept: number; passing: number; most: MostBytes } {
    const { used, end } = this.#begun;
    const workspace = this.workspace.bytes;
    return {
      kept: this.#kept.used - used,
      passing: this.passing.taken,
      most: {
        kept: this.#kept.end - end,
        passing: this.passing.most,
        workspace: workspace && rounded(workspace),
      },
    };
  }

  override keep(shape: readonly number[]): Buffer {
    return super.keep(shape);
  }

  override run(): void {}

  override integers(data: Int32Array): number {
    return this.scratch(4 * data.length);
  }

  override vector(data: ArrayLike<number>): number {
    return this.scratch(4 * data.length);
  }

  override read({ rows, width }: Buffer): Float32Array {
    return new Float32Array(rows * width);
  }

  override write(): void {}
}
