/** Memory of one step: given out piece by piece, taken back all at once. */

import type { Memory } from '../memory.ts';

/** Bytes that are fetched at a time; a larger piece gets a chunk of its own, in multiples of it. */
const CHUNK = 2 ** 26;
/** Pieces begin at a line of the cache. */
const LINE = 64;

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
  readonly #memory: Memory;
  readonly #chunks: Chunk[] = [];

  constructor(memory: Memory) {
    this.#memory = memory;
  }

  /** Bytes with whatever they held. @throws BackendError with code OutOfMemory. */
  allocate(bytes: number): number {
    const size = LINE * Math.ceil(bytes / LINE);
    const chunk = this.#chunks.find((one) => one.bytes - one.used >= size) ?? this.#extend(size);
    const address = chunk.address + chunk.used;
    chunk.used += size;
    return address;
  }

  /** Takes everything back. */
  reset(): void {
    for (const chunk of this.#chunks) chunk.used = 0;
  }

  #extend(size: number): Chunk {
    const bytes = CHUNK * Math.ceil(size / CHUNK);
    const chunk = { address: this.#memory.allocate(bytes), bytes, used: 0 };
    this.#chunks.push(chunk);
    return chunk;
  }
}
