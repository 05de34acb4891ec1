/** Tables of rotations: cos and sin of every position and pair of channels. */

import type { Memory } from './memory.ts';

/** [position][cos of each pair, then sin of each], for every set of frequencies of a model. */
export class Rotations {
  readonly #memory: Memory;
  readonly #tables = new Map<string, { address: number; positions: number; bytes: number }>();

  constructor(memory: Memory) {
    this.#memory = memory;
  }

  /** The address of a table that has at least so many positions. */
  tableFor(frequencies: readonly number[], positions: number): number {
    const key = frequencies.join();
    const known = this.#tables.get(key);
    if (known && known.positions >= positions) return known.address;
    if (known) this.#memory.free(known.address, known.bytes);
    const pairs = frequencies.length;
    const bytes = 4 * positions * 2 * pairs;
    const address = this.#memory.allocate(bytes);
    const { f32 } = this.#memory;
    for (let position = 0, at = address / 4; position < positions; position++, at += 2 * pairs) {
      frequencies.forEach((frequency, pair) => {
        f32[at + pair] = Math.cos(position * frequency);
        f32[at + pairs + pair] = Math.sin(position * frequency);
      });
    }
    this.#tables.set(key, { address, positions, bytes });
    return address;
  }

  free(): void {
    for (const { address, bytes } of this.#tables.values()) this.#memory.free(address, bytes);
    this.#tables.clear();
  }
}
