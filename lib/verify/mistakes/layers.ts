/** Mistakes in the pointwise functions, the softmaxes, matrices and MLPs, and in choosing tokens. */

import type { OpName } from '../../../reference/ops.ts';
import type { Tensor } from '../../../reference/tensor.ts';
import { mapped, mapRows, onInput, onOutput, right, type Values, without } from './reference.ts';
import { sigmoid, silu, softplus } from './scan.ts';
import type { Mistake } from './types.ts';

/** Another function of every element. */
function instead(op: OpName, cause: string, look: string, f: (x: number) => number): Mistake {
  return { ops: [op], cause, look, wrong: (_, input) => ({ y: mapped((input as Values).x, f) }) };
}

/** Another function of every row. */
function rowwise(op: OpName, cause: string, look: string, f: (row: number[]) => number[]): Mistake {
  return { ops: [op], cause, look, wrong: (_, input) => ({ y: mapRows((input as Values).x, f) }) };
}

const exp32 = (x: number) => Math.fround(Math.exp(x));
const total = (row: readonly number[]) => row.reduce((sum, x) => sum + x, 0);

/** Rows as columns. */
function transposed({ data, shape }: Tensor): Tensor {
  const [rows, width] = shape;
  const turned = Float64Array.from(data, (_, i) => data[(i % rows) * width + Math.floor(i / rows)]);
  return { data: turned, shape: [width, rows] };
}

const POINTWISE: Mistake[] = [
  instead('silu', 'it is the sigmoid', 'silu(x) = x·σ(x)', sigmoid),
  instead('silu', 'it is gelu', 'silu(x) = x·σ(x)', (x) => x * sigmoid(1.702 * x)),
  instead('silu', 'it is relu', 'silu(x) = x·σ(x)', (x) => Math.max(x, 0)),
  instead(
    'silu',
    'e^x overflows: ∞/∞ is NaN',
    'x/(1 + e^−x)',
    (x) => (x * exp32(x)) / (1 + exp32(x)),
  ),
  instead('sigmoid', 'it is silu', 'σ(x) = 1/(1 + e^−x)', silu),
  instead('sigmoid', 'it is σ(−x)', 'σ(x) = 1/(1 + e^−x)', (x) => sigmoid(-x)),
  instead('sigmoid', 'it is tanh', 'σ(x) = 1/(1 + e^−x)', Math.tanh),
  instead('sigmoid', 'e^x overflows: ∞/∞ is NaN', '1/(1 + e^−x)', (x) => exp32(x) / (1 + exp32(x))),
  instead('softplus', 'it overflows', 'above 20, softplus(x) is x', (x) => Math.log1p(exp32(x))),
  instead(
    'softplus',
    'it is computed as ln(1 + e^x) in float32, which loses small values',
    'log1p(exp(x))',
    (x) => (x > 20 ? x : Math.log(Math.fround(1 + exp32(x)))),
  ),
  instead('softplus', 'it is relu', 'ln(1 + e^x)', (x) => Math.max(x, 0)),
  instead('softplus', 'it is applied twice', 'ln(1 + e^x), once', (x) => softplus(softplus(x))),
];

const SOFTMAX: Mistake[] = [
  {
    ops: ['softmax', 'logSoftmax'],
    cause: 'it is taken over the wrong axis',
    look: 'rows sum to one: the last axis',
    wrong: (op, input) => {
      const { y } = right(op, { x: transposed((input as Values).x) });
      return { y: transposed(y) };
    },
  },
  rowwise(
    'softmax',
    'the maximum is not subtracted, so that e^x overflows',
    'e^(x − max)',
    (row) => {
      const e = row.map(exp32);
      return e.map((x) => x / total(e));
    },
  ),
  rowwise('softmax', 'it is not divided by the sum', 'e^(x − max)/Σ', (row) =>
    row.map((x) => Math.exp(x - Math.max(...row))),
  ),
  rowwise(
    'logSoftmax',
    'the maximum is not subtracted, so that e^x overflows',
    'x − max',
    (row) => {
      const logTotal = Math.log(total(row.map(exp32)));
      return row.map((x) => x - logTotal);
    },
  ),
  rowwise(
    'logSoftmax',
    'it is the logarithm of an underflowed softmax',
    'x − max − ln Σ',
    (row) => {
      const e = row.map((x) => exp32(x - Math.max(...row)));
      return e.map((x) => Math.log(Math.fround(x / total(e))));
    },
  ),
  rowwise(
    'logSoftmax',
    'the maximum is not added back or taken off twice',
    'x − max − ln Σ',
    (row) => {
      const max = Math.max(...row);
      const logTotal = Math.log(total(row.map((x) => Math.exp(x - max))));
      return row.map((x) => x - logTotal);
    },
  ),
];

const LINEAR: readonly OpName[] = ['linear'];
const MLPS: readonly OpName[] = ['swigluMlp', 'gatedMlp'];

const MATRICES: Mistake[] = [
  onInput(LINEAR, 'the bias is dropped', 'W·x + b', (input) => without(input, 'bias')),
  onInput(
    LINEAR,
    'the weight is read as transposed',
    'weight is (dOut, dIn), row-major',
    (input) => {
      const [dOut, dIn] = input.weight.shape;
      const { data } = input.weight;
      const at = (i: number) => (i % dIn) * dOut + Math.floor(i / dIn);
      return { ...input, weight: mapped(input.weight, (_, i) => data[at(i)]) };
    },
  ),
  onInput(LINEAR, 'the last input channel is left out', 'the end of the inner loop', (input) => {
    const width = input.weight.shape[1];
    return { ...input, weight: mapped(input.weight, (w, i) => ((i + 1) % width === 0 ? 0 : w)) };
  }),
  onInput(['embedding'], 'the row is that of the next token', 'the index of the row', (input) => {
    const vocabSize = input.weight.shape[0];
    const tokens = Array.from(input.tokens as unknown as number[], (t) => (t + 1) % vocabSize);
    return { ...input, tokens };
  }),
];

const swapped = (input: Values, one: string, other: string) => ({
  ...input,
  [one]: input[other],
  [other]: input[one],
});

/** The two halves of a matrix or vector in the other order. */
function halvesSwapped(t: Tensor): Tensor {
  const half = t.data.length / 2;
  return mapped(t, (_, i) => t.data[(i + half) % t.data.length]);
}

/** The hidden products of an MLP, by a rule, then the last projection. */
function mlpWith(
  op: OpName,
  input: Values,
  rule: (value: number, gate: number) => number,
): { y: Tensor } {
  const isGated = op === 'gatedMlp';
  const [down, bias] = isGated
    ? [input.fc2Weight, input.fc2Bias]
    : [input.downWeight, input.downBias];
  const project = (weight: Tensor, b: Tensor | undefined) =>
    right('linear', { x: input.x, weight, ...(b && { bias: b }) }).y;
  let [value, gate]: Tensor[] = [];
  if (isGated) {
    const both = project(input.fc1Weight, input.fc1Bias);
    const half = both.shape[1] / 2;
    const cut = (from: number) => ({
      data: Float64Array.from({ length: both.shape[0] * half }, (_, i) => {
        return both.data[Math.floor(i / half) * 2 * half + from + (i % half)];
      }),
      shape: [both.shape[0], half],
    });
    [value, gate] = [cut(0), cut(half)];
  } else {
    value = project(input.upWeight, input.upBias);
    gate = project(input.gateWeight, input.gateBias);
  }
  const x = mapped(value, (v, i) => rule(v, gate.data[i]));
  return { y: right('linear', { x, weight: down, ...(bias && { bias }) }).y };
}

function mlpPart(
  cause: string,
  look: string,
  rule: (value: number, gate: number) => number,
): Mistake {
  return { ops: MLPS, cause, look, wrong: (op, input) => mlpWith(op, input as Values, rule) };
}

const MLP: Mistake[] = [
  onInput(
    MLPS,
    'the gate and the value have changed places',
    'which half is activated',
    (input, op) => {
      if (op === 'swigluMlp') {
        return swapped(swapped(input, 'gateWeight', 'upWeight') as Values, 'gateBias', 'upBias');
      }
      const fc1Bias = input.fc1Bias && halvesSwapped(input.fc1Bias);
      return { ...input, fc1Weight: halvesSwapped(input.fc1Weight), ...(fc1Bias && { fc1Bias }) };
    },
  ),
  mlpPart('the gate is not activated', 'value·silu(gate)', (value, gate) => value * gate),
  mlpPart(
    'the gate is σ instead of silu',
    'value·silu(gate)',
    (value, gate) => value * sigmoid(gate),
  ),
  mlpPart(
    'value and gate are both activated',
    'value·silu(gate)',
    (value, gate) => silu(value) * silu(gate),
  ),
  mlpPart('the product is activated', 'value·silu(gate)', (value, gate) => silu(value * gate)),
  onInput(MLPS, 'the biases are dropped', 'every projection has its own', (input) =>
    without(input, 'gateBias', 'upBias', 'downBias', 'fc1Bias', 'fc2Bias'),
  ),
  onInput(
    MLPS,
    'the bias of the last projection is dropped',
    'every projection has its own',
    (input) => without(input, 'downBias', 'fc2Bias'),
  ),
  onInput(
    MLPS,
    'the biases of the first projections are dropped',
    'every projection has its own',
    (input) => without(input, 'gateBias', 'upBias', 'fc1Bias'),
  ),
];

const rows = ({ data, shape }: Tensor) =>
  Array.from({ length: shape[0] }, (_, r) =>
    Array.from(data.subarray(r * shape[1], (r + 1) * shape[1])),
  );

const CHOOSING: Mistake[] = [
  onOutput(
    ['greedyToken'],
    'of equal logits it takes the last',
    'the first of the largest',
    (output, { logits }) => ({
      ...output,
      tokens: rows(logits).map((row) => row.lastIndexOf(Math.max(...row))),
    }),
  ),
  ...([-1, 1] as const).map((by) =>
    onOutput(
      ['chooseToken'],
      `it takes the token ${by < 0 ? 'before' : 'after'} the right one`,
      'the first token at which the cumulative sum exceeds u',
      (output, { logits }) => {
        const last = logits.shape[1] - 1;
        const tokens = output.tokens as unknown as number[];
        return { tokens: tokens.map((token) => Math.min(Math.max(token + by, 0), last)) };
      },
    ),
  ),
];

export const LAYER_MISTAKES: readonly Mistake[] = [
  ...POINTWISE,
  ...SOFTMAX,
  ...MATRICES,
  ...MLP,
  ...CHOOSING,
];
