/** Tensors, their checks at the entrance of an op, and the rounding that decides an op's precision. */

import { ConfigError, ShapeError } from './errors.ts';

/** Numbers in memory. The type of an op's main input decides the op's precision: see {@link rounding}. */
export type Vector = Float64Array | Float32Array;

/** `float64` computes in double precision; `float32` rounds the result of every single operation. */
export type Precision = 'float64' | 'float32';

/** A dense, row-major block of numbers: the last axis of `shape` is contiguous. */
export interface Tensor {
  readonly data: Vector;
  readonly shape: readonly number[];
}

/** `fl(x)` in the numerical analyst's sense: the working-precision number nearest to x. */
export type Rounding = (x: number) => number;

/** Rounds nothing: double precision as it is. */
export const exact: Rounding = (x) => x;

/**
 * The rounding of an op whose main input is `data`: the identity for a Float64Array, `Math.fround`
 * for a Float32Array. Ops apply it to the result of every operation, so that a Float32Array run is
 * exactly what a float32 kernel with the same order of operations computes (double rounding of +, −, ·,
 * ÷ and √ from 53 to 24 bits is innocuous: Figueroa 1995, "When is double rounding innocuous?").
 */
export function rounding(data: Vector): Rounding {
  return data instanceof Float32Array ? Math.fround : exact;
}

/** `length` zeros in the precision of `like`. */
export function zeros(length: number, like: Vector): Vector {
  return like instanceof Float32Array ? new Float32Array(length) : new Float64Array(length);
}

/** An empty vector of a named precision, to be passed where a `like` is wanted. */
export function emptyOf(precision: Precision): Vector {
  return precision === 'float32' ? new Float32Array(0) : new Float64Array(0);
}

/** The number of elements of a shape. */
export function sizeOf(shape: readonly number[]): number {
  let size = 1;
  for (const n of shape) size *= n;
  return size;
}

/**
 * A tensor from a shape and its elements (copied to Float64 unless they already are a Vector).
 * @throws ShapeError when the number of elements is not the product of the shape.
 */
export function tensor(shape: readonly number[], data: Vector | readonly number[]): Tensor {
  const vector = Array.isArray(data) ? Float64Array.from(data) : (data as Vector);
  if (vector.length !== sizeOf(shape)) {
    throw new ShapeError(
      `tensor: expected ${sizeOf(shape)} elements for shape [${shape.join(', ')}], got ${vector.length}`,
    );
  }
  return { data: vector, shape };
}

/** The same numbers under another shape; nothing is copied. */
export function reshape(t: Tensor, ...shape: number[]): Tensor {
  return tensor(shape, t.data);
}

/** The same numbers in another precision, always a copy. */
export function toPrecision(t: Tensor, precision: Precision): Tensor {
  const data = precision === 'float32' ? Float32Array.from(t.data) : Float64Array.from(t.data);
  return { data, shape: t.shape };
}

/** Names and sizes of a tensor's axes, in order: `{ batch, seqlen, dModel }`. */
export type Axes = Record<string, number>;

/** What the main input of an op tells about the others. */
export interface MainInput {
  /** The sizes of its axes, in order. */
  sizes: number[];
  /** Checks an input that must be there against the axes that it must have. */
  check: (name: string, t: Tensor | undefined, axes: Axes) => void;
  /** Checks an input that may be left out. */
  optional: (name: string, t: Tensor | undefined, axes: Axes) => void;
}

/**
 * Reads the sizes of an op's main input and returns checkers for its other inputs: they must have the
 * shape that the main input implies, and not be float64 where it is float32.
 *
 * @throws ShapeError when the input is missing, has another rank, or its data does not fill its shape.
 */
export function mainInput(op: string, name: string, t: Tensor, axes: readonly string[]): MainInput {
  requireTensor(op, name, t);
  if (t.shape.length !== axes.length) {
    throw new ShapeError(
      `${op}: ${name}: expected ${axes.length} axes (${axes.join(', ')}), got shape [${t.shape.join(', ')}]`,
    );
  }
  const check: MainInput['check'] = (other, o, wanted) => {
    checkShape(op, other, o, wanted);
    if (t.data instanceof Float32Array && o?.data instanceof Float64Array) {
      throw new ShapeError(
        `${op}: ${other}: expected float32 like ${name}, got float64; round it first with toPrecision`,
      );
    }
  };
  const optional: MainInput['optional'] = (other, o, wanted) => {
    if (o !== undefined) check(other, o, wanted);
  };
  return { sizes: [...t.shape], check, optional };
}

/** @throws ShapeError naming the axes and both shapes when `t` does not have exactly these axes. */
export function checkShape(op: string, name: string, t: Tensor | undefined, axes: Axes): void {
  requireTensor(op, name, t);
  const wanted = Object.values(axes);
  if (t.shape.length !== wanted.length || wanted.some((n, i) => t.shape[i] !== n)) {
    throw new ShapeError(
      `${op}: ${name}: expected shape (${Object.keys(axes).join(', ')}) = [${wanted.join(', ')}], ` +
        `got [${t.shape.join(', ')}]`,
    );
  }
}

/** Whether something is a tensor, or a view of one with strides, by its numbers. */
export function isTensor(value: unknown): value is Tensor {
  const data = (value as Tensor | undefined)?.data;
  return data instanceof Float64Array || data instanceof Float32Array;
}

function requireTensor(op: string, name: string, t: Tensor | undefined): asserts t is Tensor {
  if (!isTensor(t) || !Array.isArray(t.shape)) {
    throw new ShapeError(
      `${op}: ${name}: expected a tensor { data: Float64Array | Float32Array, shape }, got ${describe(t)}`,
    );
  }
  if (t.data.length !== sizeOf(t.shape)) {
    throw new ShapeError(
      `${op}: ${name}: expected ${sizeOf(t.shape)} elements for shape [${t.shape.join(', ')}], got ${t.data.length}`,
    );
  }
}

function describe(value: unknown): string {
  if (value === null || typeof value !== 'object') return String(value);
  return `an object with keys ${Object.keys(value).slice(0, 4).join(', ') || '(none)'}`;
}

/** The size of one axis of an input that is yet to be checked: 0 when there is no such axis. */
export function axisOf(t: Tensor | undefined, axis: number): number {
  return t?.shape?.[axis] ?? 0;
}

/**
 * Cuts a tensor of rows into blocks of columns, copied: [z | x | B | C | dt] of a fused projection.
 * @throws ShapeError when the widths do not add up to the row.
 */
export function splitColumns(t: Tensor, widths: readonly number[]): Tensor[] {
  const [rows, width] = t.shape;
  const total = widths.reduce((sum, n) => sum + n, 0);
  if (t.shape.length !== 2 || total !== width || widths.some((n) => !Number.isInteger(n))) {
    throw new ShapeError(
      `splitColumns: expected blocks of ${widths.join(' + ')} columns, got shape [${t.shape.join(', ')}]`,
    );
  }
  let start = 0;
  return widths.map((n) => {
    const data = zeros(rows * n, t.data);
    for (let r = 0; r < rows; r++) {
      data.set(t.data.subarray(r * width + start, r * width + start + n), r * n);
    }
    start += n;
    return { data, shape: [rows, n] };
  });
}

/** Puts tensors of as many rows side by side: the inverse of {@link splitColumns}. */
export function joinColumns(parts: readonly Tensor[]): Tensor {
  const rows = parts[0].shape[0];
  const width = parts.reduce((sum, t) => sum + t.shape[1], 0);
  const data = zeros(rows * width, parts[0].data);
  let start = 0;
  for (const t of parts) {
    const n = t.shape[1];
    for (let r = 0; r < rows; r++) {
      data.set(t.data.subarray(r * n, (r + 1) * n), r * width + start);
    }
    start += n;
  }
  return { data, shape: [rows, width] };
}

/** Zeros of the same shape and precision. */
export function zerosLike(t: Tensor): Tensor {
  return { data: zeros(t.data.length, t.data), shape: t.shape };
}

/** A copy of `source` in the precision of `like`. */
export function copyAs(source: Vector, like: Vector): Vector {
  return like instanceof Float32Array ? Float32Array.from(source) : Float64Array.from(source);
}

/** Views (no copies) of the rows along the last axis, leading axes flattened: rowsOf(t)[i][n] = t[i, n]. */
export function rowsOf(t: Tensor): Vector[] {
  const width = t.shape.at(-1) ?? 1;
  const count = sizeOf(t.shape.slice(0, -1));
  const rows: Vector[] = [];
  for (let i = 0; i < count; i++) rows.push(t.data.subarray(i * width, (i + 1) * width));
  return rows;
}

/** @throws ConfigError unless chunkLen is a whole number ≥ 1. */
export function expectChunkLen(op: string, chunkLen: number): void {
  if (!Number.isInteger(chunkLen) || chunkLen < 1) {
    throw new ConfigError(`${op}: chunkLen: expected a whole number ≥ 1, got ${chunkLen}`);
  }
}

/**
 * @example expectDivides('ssd', { nGroups: 4 }, { nHeads: 6 })
 * @throws ShapeError unless the first number divides the second: heads share groups, or query heads share keys.
 */
export function expectDivides(op: string, divisor: Axes, whole: Axes): void {
  const [[divisorName, n]] = Object.entries(divisor);
  const [[wholeName, width]] = Object.entries(whole);
  if (!(n > 0) || width % n !== 0) {
    throw new ShapeError(
      `${op}: ${divisorName} must divide ${wholeName}, got ${wholeName} = ${width}, ${divisorName} = ${n}`,
    );
  }
}
