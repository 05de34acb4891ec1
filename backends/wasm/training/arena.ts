/** Memory of one step: given out piece by piece, taken back all at once. */

import { type Allocator, rounded } from '../pieces.ts';

/** Bytes that are fetched at a time; a larger piece gets a chunk of its own, in multiples of it. */
const CHUNK = 2 ** 26;

interface Chunk {
  readonly address: number;
  readonly bytes: number;
  used: number;
}

/**
 * A step's numbers differ in size from step to step (batches are as long as their longest sequence), so pieces are not
 * kept by size: each goes into the first chunk that has room, and a reset empties all chunks.
 */
export class Arena {
  readonly #memory: Allocator;
  readonly #chunks: Chunk[] = [];
  #taken = 0;
  #most = 0;

  constructor(memory: Allocator) {
    this.#memory = memory;
  }

  /** Bytes with whatever they held. @throws BackendError with code OutOfMemory. */
  allocate(bytes: number): number {
    const size = rounded(bytes);
    const chunk = this.#chunks.find((one) => one.bytes - one.used >= size) ?? this.#extend(size);
    const address = chunk.address + chunk.used;
    chunk.used += size;
    this.#taken += size;
    this.#most = Math.max(this.#most, this.#taken);
    return address;
  }

  /** Bytes that are taken since the last reset, and most that ever were. */
  get taken(): number {
    return this.#taken;
  }

  get most(): number {
    return this.#most;
  }

  /** Fetches one chunk that a step of so many bytes fits in, whatever its pieces. @throws as allocate. */
  reserve(bytes: number): void {
    if (bytes === 0 || this.#chunks.some((one) => one.bytes >= bytes)) return;
    // before all others, so that they stay empty
    this.#chunks.unshift({ address: this.#memory.allocate(bytes), bytes, used: 0 });
  }

  /** Takes everything back. */
  reset(): void {
    for (const chunk of this.#chunks) chunk.used = 0;
    this.#taken = 0;
  }

  #extend(size: number): Chunk {
    const bytes = CHUNK * Math.ceil(size / CHUNK);
    const chunk = { address: this.#memory.allocate(bytes), bytes, used: 0 };
    this.#chunks.push(chunk);
    return chunk;
  }
}
