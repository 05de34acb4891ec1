/** Which pieces of a memory are given out: addresses alone, whatever holds the bytes. */

/** Pieces begin at a line of the cache. */
const LINE = 64;
/** The address 0 stands for nothing. */
export const FIRST = 1024;

/** Gives out pieces and takes them back; `bytes` of both as they were asked for. */
export interface Allocator {
  allocate(bytes: number): number;
  free(address: number, bytes: number): void;
}

/**
 * A piece that is freed serves the next one of its size: states, pages of caches and weights all have the same few
 * sizes, so nothing is ever moved.
 */
export class Pieces implements Allocator {
  readonly #free = new Map<number, number[]>();
  readonly #reach: (end: number, size: number) => void;
  #end = FIRST;
  #used = 0;

  /** @param reach called before a piece of `size` bytes lies where nothing was before, up to `end`; may throw. */
  constructor(reach: (end: number, size: number) => void = () => {}) {
    this.#reach = reach;
  }

  /** Bytes in use. */
  get used(): number {
    return this.#used;
  }

  /** Behind the last piece that there ever was. */
  get end(): number {
    return this.#end;
  }

  allocate(bytes: number): number {
    const size = rounded(bytes);
    const address = this.#free.get(size)?.pop() ?? this.#extend(size);
    this.#used += size;
    return address;
  }

  free(address: number, bytes: number): void {
    if (address === 0) return;
    const size = rounded(bytes);
    this.#used -= size;
    const list = this.#free.get(size) ?? [];
    this.#free.set(size, list);
    list.push(address);
  }

  #extend(size: number): number {
    const address = this.#end;
    this.#reach(address + size, size);
    this.#end = address + size;
    return address;
  }
}

/** Bytes that a piece takes. */
export const rounded = (bytes: number) => Math.max(Math.ceil(bytes / LINE), 1) * LINE;
