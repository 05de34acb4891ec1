/** The memory that kernels work in: one WebAssembly memory, given out in pieces. */

import { BackendError } from '../../reference/errors.ts';
import { type Allocator, FIRST, Pieces, rounded } from './pieces.ts';

/** Bytes of a page of WebAssembly memory. */
const WASM_PAGE = 65_536;
/** Most that a 32-bit memory can have. */
export const MOST_BYTES = 65_536 * WASM_PAGE;

/** Gives out pieces of a growing memory. */
export class Memory implements Allocator {
  readonly wasm: WebAssembly.Memory;
  /** Most bytes that it may grow to. */
  readonly limit: number;
  readonly #pieces = new Pieces((end, size) => this.#reach(end, size));
  #f32: Float32Array;
  #u32: Uint32Array;

  /** @throws BackendError with code OutOfMemory where not even an empty memory of this kind can be had. */
  constructor(isShared: boolean, limit = MOST_BYTES) {
    const pages = Math.max(Math.floor(Math.min(limit, MOST_BYTES) / WASM_PAGE), 1);
    this.wasm = newMemory(isShared, pages);
    this.limit = isShared ? this.wasm.buffer.byteLength : pages * WASM_PAGE;
    this.#f32 = new Float32Array(this.wasm.buffer);
    this.#u32 = new Uint32Array(this.wasm.buffer);
  }

  /** All of it as numbers; to be asked for again after anything was allocated. */
  get f32(): Float32Array {
    this.#refresh();
    return this.#f32;
  }

  get u32(): Uint32Array {
    this.#refresh();
    return this.#u32;
  }

  get bytes(): Uint8Array {
    return new Uint8Array(this.wasm.buffer);
  }

  /** Bytes in use. */
  get used(): number {
    return this.#pieces.used;
  }

  /** Bytes from its beginning that were ever given out. */
  get peak(): number {
    return this.#pieces.end;
  }

  /** Bytes that can still be given out. */
  get available(): number {
    return this.limit - this.used - FIRST;
  }

  /** A piece of memory, with whatever it held before. @throws BackendError with code OutOfMemory. */
  allocate(bytes: number): number {
    return this.#pieces.allocate(bytes);
  }

  /** A piece of memory full of zeros. */
  allocateZeros(bytes: number): number {
    const address = this.allocate(bytes);
    this.bytes.fill(0, address, address + rounded(bytes));
    return address;
  }

  /** Takes a piece back; `bytes` as it was asked for. */
  free(address: number, bytes: number): void {
    this.#pieces.free(address, bytes);
  }

  /** Puts numbers somewhere. */
  write(address: number, data: ArrayLike<number>): void {
    this.f32.set(data, address / 4);
  }

  #reach(end: number, size: number): void {
    const have = this.wasm.buffer.byteLength;
    if (end <= have) return;
    const address = end - size;
    if (end > this.limit) throw outOfMemory(size, this.limit - address);
    try {
      this.wasm.grow(Math.ceil((end - have) / WASM_PAGE));
    } catch {
      throw outOfMemory(size, have - address);
    }
  }

  #refresh(): void {
    if (this.#f32.byteLength === this.wasm.buffer.byteLength) return;
    this.#f32 = new Float32Array(this.wasm.buffer);
    this.#u32 = new Uint32Array(this.wasm.buffer);
  }
}

/** A shared memory is as large as it may become from the beginning: pages cost nothing until they are touched. */
function newMemory(isShared: boolean, maximum: number): WebAssembly.Memory {
  // what may be reserved differs from machine to machine
  for (let most = maximum; ; most = Math.floor(most / 2)) {
    try {
      const initial = isShared ? most : 1;
      return new WebAssembly.Memory({ initial, maximum: most, shared: isShared });
    } catch (error) {
      if (most > 1) continue;
      const reason = error instanceof Error ? error.message : String(error);
      throw new BackendError(`wasm: expected some memory, got none (${reason})`, 'OutOfMemory');
    }
  }
}

function outOfMemory(wanted: number, left: number): BackendError {
  const mb = (bytes: number) => `${Math.max(Math.ceil(bytes / 1e6), 0)} MB`;
  return new BackendError(
    `wasm: expected ${mb(wanted)} more memory, ${mb(left)} are left of what it may have; ` +
      'decode fewer or shorter sequences at a time, or take weights: int8',
    'OutOfMemory',
  );
}
