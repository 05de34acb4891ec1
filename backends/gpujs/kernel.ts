/** What a kernel is here: a source text with its sizes, and handles to what stays on the device. */

/** Sizes in gpu.js order: x, which is fastest, then y, then z. */
export type Dims = readonly number[];

/** A kernel before it is built. */
export interface KernelSpec {
  readonly name: string;
  /**
   * `function (a, b) { … }` as text, so that no minifier can rename what gpu.js has to parse. Written in the
   * language that all modes share: loops that count up to constants, two-argument max, arrays by [z][y][x].
   */
  readonly source: string;
  /** Sizes of the output; one thread makes one element. */
  readonly output: Dims;
  readonly constants: Readonly<Record<string, number>>;
  /**
   * The same in place on its first argument, where that lies in the memory of this process as nested rows: a kernel
   * that changes little of a large array need not copy it there.
   */
  readonly inPlace?: (...args: never[]) => void;
}

/** Numbers on the device. */
export interface Handle {
  readonly dims: Dims;
  /** What gpu.js takes and gives. */
  readonly value: unknown;
}

/** A kernel with its own output: the next call writes over what the last one returned. */
export interface Kernel {
  readonly spec: KernelSpec;
  run(...args: readonly Handle[]): Promise<Handle>;
  /** Frees the output; the kernel is not used again. */
  destroy(): void;
}

/**
 * Two specs with the same text are the same kernel, but only for arguments of the same sizes: these are built into
 * it, and in GL modes an argument of another size is silently read wrong.
 */
export function keyFor({ source, output, constants }: KernelSpec, args: readonly Handle[]): string {
  return JSON.stringify([source, output, constants, args.map(({ dims }) => dims)]);
}
