/** The reference as a part of wrong kernels: inputs changed on the way in, outputs on the way out. */

import { type OpName, ops } from '../../../reference/ops.ts';
import type { Tensor } from '../../../reference/tensor.ts';
import type { Mistake } from './types.ts';

export type Values = Record<string, unknown> & { [name: string]: Tensor };

/** What the reference gives. */
export function right(op: OpName, input: object): Values {
  return (ops[op] as unknown as (input: object) => Values)(input);
}

/** The op as another input would have it. */
export function onInput(
  names: readonly OpName[],
  cause: string,
  look: string,
  change: (input: Values, op: OpName) => object | undefined,
): Mistake {
  const wrong = (op: OpName, input: object) => {
    const other = change(input as Values, op);
    return other && right(op, other);
  };
  return { ops: names, cause, look, wrong };
}

/** The op with something wrong done to what comes out. */
export function onOutput(
  names: readonly OpName[],
  cause: string,
  look: string,
  change: (output: Values, input: Values, op: OpName) => object | undefined,
): Mistake {
  const wrong = (op: OpName, input: object) => change(right(op, input), input as Values, op);
  return { ops: names, cause, look, wrong };
}

/** An input without some of its parts. */
export function without(input: Values, ...names: string[]): object {
  return Object.fromEntries(Object.entries(input).filter(([name]) => !names.includes(name)));
}

/** A tensor with every element changed, or made anew. */
export function mapped(t: Tensor, f: (value: number, i: number) => number): Tensor {
  return { data: Float64Array.from(t.data, f), shape: t.shape };
}

/** Rows along the last axis, each changed as a whole. */
export function mapRows(t: Tensor, f: (row: number[], i: number) => readonly number[]): Tensor {
  const width = t.shape[t.shape.length - 1];
  const data = new Float64Array(t.data.length);
  for (let at = 0; at < data.length; at += width) {
    data.set(f(Array.from(t.data.subarray(at, at + width)), at / width), at);
  }
  return { data, shape: t.shape };
}
