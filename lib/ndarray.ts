/** The public edge of the ops: ndarray views in, ndarray views out, beside plain tensors. */

import ndarray, { type NdArray } from 'ndarray';
import type { OpName, Ops } from '../reference/ops.ts';
import { ops as referenceOps } from '../reference/ops.ts';
import { isTensor, type Tensor, type Vector } from '../reference/tensor.ts';

/** An ndarray of floats, strided or not. */
export type FloatArray = NdArray<Float64Array> | NdArray<Float32Array>;

/** The same value with an ndarray allowed (in inputs), or put (in outputs), for every tensor. */
export type WithNdarrays<T> = {
  [K in keyof T]: T[K] extends Tensor | undefined ? T[K] | FloatArray : T[K];
};
/** The same value with plain tensors only: an ndarray has data and a shape too, but is none. */
type WithoutNdarrays<T> = {
  [K in keyof T]: T[K] extends Tensor | undefined ? T[K] & { stride?: never } : T[K];
};
type AsNdarrays<T> = { [K in keyof T]: T[K] extends Tensor ? NdArray<Float64Array> : T[K] };

/** Ops that take tensors and give tensors, or take at least one ndarray and give ndarrays. */
export type PublicOps = {
  [Name in OpName]: {
    (input: WithoutNdarrays<Parameters<Ops[Name]>[0]>): ReturnType<Ops[Name]>;
    (input: WithNdarrays<Parameters<Ops[Name]>[0]>): AsNdarrays<ReturnType<Ops[Name]>>;
  };
};

/**
 * Every op of the reference. Tensors may be given as ndarrays, whose strides are compacted on the way in;
 * if one is, all tensors of the output are ndarrays too.
 *
 * @example
 * import ndarray from 'ndarray';
 * const x = ndarray(new Float64Array([1, 2, 3, 4]), [2, 2]);
 * const weight = ndarray(new Float64Array([1, 1]), [1, 2]);
 * ops.linear({ x: x.transpose(1, 0), weight }).y.get(1, 0) // 6
 */
export const ops: PublicOps = /* @__PURE__ */ wrapAll();

function wrapAll(): PublicOps {
  const entries = Object.entries(referenceOps).map(([name, op]) => [
    name,
    wrap(op as unknown as AnyOp),
  ]);
  return Object.fromEntries(entries) as PublicOps;
}

type AnyOp = (input: Record<string, unknown>) => Record<string, unknown>;

function wrap(op: AnyOp): AnyOp {
  return (input) => {
    let hasViews = false;
    const plain = Object.fromEntries(
      Object.entries(input).map(([key, value]) => {
        if (!isNdarray(value)) return [key, value];
        hasViews = true;
        return [key, fromNdarray(value)];
      }),
    );
    const output = op(plain);
    if (!hasViews) return output;
    return Object.fromEntries(
      Object.entries(output).map(([key, value]) => [
        key,
        isTensor(value) ? toNdarray(value) : value,
      ]),
    );
  };
}

function isNdarray(value: unknown): value is FloatArray {
  return typeof value === 'object' && value !== null && 'stride' in value && 'offset' in value;
}

/** A dense, row-major copy of an ndarray view. */
export function fromNdarray(view: FloatArray): Tensor {
  const { data, shape, stride, offset } = view;
  const size = shape.reduce((product, n) => product * n, 1);
  const out: Vector =
    data instanceof Float32Array ? new Float32Array(size) : new Float64Array(size);
  const index = shape.map(() => 0);
  for (let i = 0; i < size; i++) {
    let at = offset;
    for (let axis = 0; axis < shape.length; axis++) at += index[axis] * stride[axis];
    out[i] = data[at];
    for (let axis = shape.length - 1; axis >= 0 && ++index[axis] === shape[axis]; axis--)
      index[axis] = 0;
  }
  return { data: out, shape: [...shape] };
}

/** A tensor as an ndarray over the same numbers. */
export function toNdarray(t: Tensor): FloatArray {
  return ndarray(t.data as Float64Array, [...t.shape]);
}
