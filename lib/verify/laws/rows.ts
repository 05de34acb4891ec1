/** Which inputs and outputs of an op have one row per sequence: what batching may and may not touch. */

import type { OpName } from '../../../reference/ops.ts';
import { isTensor, type Tensor } from '../../../reference/tensor.ts';

/** Names of the inputs and outputs whose first axis is the batch (or rows), the main input first. */
export interface Batched {
  inputs: readonly string[];
  outputs: readonly string[];
}

const xToY: Batched = { inputs: ['x'], outputs: ['y'] };
const scan: Batched = { inputs: ['x', 'dtRaw', 'B', 'C', 'z', 'h'], outputs: ['y', 'h'] };
const matrix: Batched = { inputs: scan.inputs, outputs: ['M'] };
const discrete: Batched = { inputs: ['x', 'a', 'B', 'C', 'h'], outputs: ['y', 'h'] };
const semiseparable = ['x', 'logDecay', 'B', 'C', 'h'];
const attention: Batched = { inputs: ['q', 'keys', 'values'], outputs: ['y', 'weights'] };
const convolution: Batched = { inputs: ['x', 'convState'], outputs: ['y', 'convState'] };

export const BATCHED: { readonly [Name in OpName]?: Batched } = {
  silu: xToY,
  sigmoid: xToY,
  softplus: xToY,
  softmax: xToY,
  logSoftmax: xToY,
  linear: xToY,
  embedding: { inputs: ['tokens'], outputs: ['y'] },
  rmsNorm: xToY,
  layerNorm: xToY,
  gatedRmsNorm: { inputs: ['x', 'z'], outputs: ['y'] },
  swigluMlp: xToY,
  gatedMlp: xToY,
  causalConv1d: convolution,
  causalConv1dStep: convolution,
  selectiveScan: scan,
  selectiveScanStep: scan,
  selectiveScanChunked: scan,
  selectiveScanAssociative: scan,
  selectiveScanMatrix: matrix,
  ssd: scan,
  ssdStep: scan,
  ssdChunked: scan,
  ssdAssociative: scan,
  ssdMatrix: matrix,
  discreteSsd: discrete,
  discreteSsdStep: discrete,
  discreteSsdChunked: discrete,
  discreteSsdMatrix: { inputs: discrete.inputs, outputs: ['M'] },
  semiseparableChunked: { inputs: semiseparable, outputs: ['y', 'h', 'entering', 'written'] },
  semiseparableMatrix: { inputs: semiseparable, outputs: ['M'] },
  associativeScan: { inputs: ['a', 'b'], outputs: ['a', 'b'] },
  rope: xToY,
  attention,
  attentionStep: attention,
  filterLogits: { inputs: ['logits', 'previous'], outputs: ['logits'] },
  chooseToken: { inputs: ['logits', 'u'], outputs: ['tokens', 'logprobs'] },
  greedyToken: { inputs: ['logits'], outputs: ['tokens', 'logprobs'] },
};

type Rows = Tensor | readonly unknown[];

/** Some rows of a tensor or list, in the given order. */
function pick(value: Rows, rows: readonly number[]): Rows {
  if (!isTensor(value)) return rows.map((row) => (value as readonly unknown[])[row]);
  const width = value.data.length / value.shape[0];
  const data = value.data.slice(0, rows.length * width);
  rows.forEach((row, i) => {
    data.set(value.data.subarray(row * width, (row + 1) * width), i * width);
  });
  return { data, shape: [rows.length, ...value.shape.slice(1)] };
}

/** The same object with only some rows of the named parts. */
export function pickRows<T extends object>(
  object: T,
  names: readonly string[],
  rows: readonly number[],
): T {
  const copy = { ...object } as Record<string, unknown>;
  for (const name of names) {
    if (copy[name] !== undefined) copy[name] = pick(copy[name] as Rows, rows);
  }
  return copy as T;
}

/** Number of rows of an input. */
export function rowCount(input: object, { inputs }: Batched): number {
  const main = (input as Record<string, Rows>)[inputs[0]];
  return isTensor(main) ? main.shape[0] : (main as readonly unknown[]).length;
}
