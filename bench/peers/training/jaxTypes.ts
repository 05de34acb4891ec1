/** The part of @jax-js/jax 0.1.25 that is used here; it is not installed in the root, so neither are its types. */

export interface JaxModule {
  readonly numpy: Numpy;
  readonly nn: {
    oneHot(x: JaxArray, classes: number): JaxArray;
    silu(x: JaxArray): JaxArray;
    softmax(x: JaxArray, axis: number): JaxArray;
    logSoftmax(x: JaxArray, axis: number): JaxArray;
    logSigmoid(x: JaxArray): JaxArray;
  };
  defaultDevice(): string;
  jit<F>(f: F): F;
  valueAndGrad<Rest extends unknown[]>(
    f: (first: Arrays, ...rest: Rest) => JaxArray,
  ): (first: Arrays, ...rest: Rest) => [JaxArray, Arrays];
  blockUntilReady<T>(tree: T): Promise<T>;
}

/** Passing an array to a function gives it away; `ref` keeps it for once more. */
export interface JaxArray {
  readonly shape: number[];
  readonly ref: JaxArray;
  add(other: JaxArray | number): JaxArray;
  sub(other: JaxArray | number): JaxArray;
  mul(other: JaxArray | number): JaxArray;
  div(other: JaxArray | number): JaxArray;
  neg(): JaxArray;
  sum(axis?: number): JaxArray;
  mean(axis?: number, options?: { keepdims: boolean }): JaxArray;
  reshape(shape: number[]): JaxArray;
  transpose(permutation: number[]): JaxArray;
  slice(...index: (number | [] | [number] | [number, number] | null)[]): JaxArray;
  data(): Promise<Float32Array>;
}
/** A tree of arrays: it must be a type, not an interface. */
export type Arrays = Record<string, JaxArray>;

interface Numpy {
  readonly int32: unknown;
  readonly bool: unknown;
  array(values: number | Float32Array | Int32Array, options?: { dtype: unknown }): JaxArray;
  zeros(shape: readonly number[]): JaxArray;
  tri(rows: number, columns: number, k: number, options: { dtype: unknown }): JaxArray;
  sqrt(x: JaxArray): JaxArray;
  square(x: JaxArray): JaxArray;
  exp(x: JaxArray): JaxArray;
  minimum(a: JaxArray, b: JaxArray | number): JaxArray;
  where(condition: JaxArray, x: JaxArray, y: number): JaxArray;
  matmul(a: JaxArray, b: JaxArray): JaxArray;
  concatenate(parts: JaxArray[], axis: number): JaxArray;
  split(x: JaxArray, places: number[], axis: number): JaxArray[];
  repeat(x: JaxArray, times: number, axis: number): JaxArray;
  cumsum(x: JaxArray, axis: number): JaxArray;
  pad(x: JaxArray, widths: [number, number][]): JaxArray;
}
