/** Mistakes in the short convolution and its state. */

import type { OpName } from '../../../reference/ops.ts';
import type { Tensor } from '../../../reference/tensor.ts';
import { mapped, mapRows, onInput, onOutput, right, type Values, without } from './reference.ts';
import { silu } from './scan.ts';
import type { Mistake } from './types.ts';

const CONV: readonly OpName[] = ['causalConv1d', 'causalConv1dStep'];
const SEQUENCE: readonly OpName[] = ['causalConv1d'];

const activate = ({ activation }: Values, x: number) =>
  (activation as unknown) === 'silu' ? silu(x) : x;

/** y from a function that says which input, counted from the current token, weight w meets. */
function window(input: Values, lagOf: (w: number, dConv: number) => number): { y: Tensor } {
  const { x, weight, bias, convState } = input;
  const [batch, seqlen, channels] = x.shape;
  const dConv = weight.shape[1];
  const inputAt = (b: number, t: number, c: number) => {
    if (t >= seqlen) return 0;
    if (t >= 0) return x.data[(b * seqlen + t) * channels + c];
    const column = dConv - 1 + t;
    return column < 0 ? 0 : (convState?.data[(b * channels + c) * (dConv - 1) + column] ?? 0);
  };
  const data = new Float64Array(batch * seqlen * channels);
  for (let i = 0; i < data.length; i++) {
    const c = i % channels;
    const t = Math.floor(i / channels) % seqlen;
    const b = Math.floor(i / channels / seqlen);
    let sum = bias?.data[c] ?? 0;
    for (let w = 0; w < dConv; w++) {
      sum += weight.data[c * dConv + w] * inputAt(b, t - lagOf(w, dConv), c);
    }
    data[i] = activate(input, sum);
  }
  return { y: { data, shape: x.shape } };
}

/** The state with every line of saved inputs changed. */
const lines = (output: Values, f: (line: number[], i: number) => readonly number[]): Values => ({
  ...output,
  convState: mapRows(output.convState, f),
});

export const CONVOLUTION_MISTAKES: readonly Mistake[] = [
  onInput(
    CONV,
    'the taps are in reverse order',
    'the last weight meets the current token, the first the oldest',
    (input) => ({ ...input, weight: mapRows(input.weight, (row) => row.reverse()) }),
  ),
  {
    ops: SEQUENCE,
    cause: 'the convolution is not causal: the window is centred on the token',
    look: 'pad dConv − 1 on the left and nothing on the right',
    wrong: (_op, input) =>
      window(input as Values, (w, dConv) => dConv - 1 - w - Math.floor((dConv - 1) / 2)),
  },
  {
    ops: SEQUENCE,
    cause: 'the window begins at the token and looks ahead',
    look: 'y[t] = Σ_w weight[w]·x[t − dConv + 1 + w]',
    wrong: (_op, input) => window(input as Values, (w) => -w),
  },
  {
    ops: SEQUENCE,
    cause: 'the window is one token late: the current token is left out',
    look: 'y[t] = Σ_w weight[w]·x[t − dConv + 1 + w], which ends at x[t]',
    wrong: (_op, input) => window(input as Values, (w, dConv) => dConv - w),
  },
  {
    ops: SEQUENCE,
    cause: 'the window is one token early: it sees the next token',
    look: 'y[t] = Σ_w weight[w]·x[t − dConv + 1 + w], which ends at x[t]',
    wrong: (_op, input) => window(input as Values, (w, dConv) => dConv - 2 - w),
  },
  onInput(CONV, 'the bias is dropped', 'y = act(bias + …)', (input) => without(input, 'bias')),
  onInput(CONV, 'the bias is added twice', 'y = act(bias + …), once', (input) => ({
    ...input,
    ...(input.bias && { bias: mapped(input.bias, (x) => 2 * x) }),
  })),
  onInput(CONV, 'the activation is missing', 'silu where `activation` says so', (input) => ({
    ...input,
    activation: 'identity',
  })),
  onInput(CONV, 'silu is applied although the activation is identity', '`activation`', (input) => ({
    ...input,
    activation: 'silu',
  })),
  onOutput(
    CONV,
    'the bias is added after the activation',
    'y = act(bias + …)',
    (output, input, op) => {
      const plain = right(op, without(input, 'bias'));
      const channels = output.y.shape[output.y.shape.length - 1];
      const y = mapped(plain.y, (x, i) => x + (input.bias?.data[i % channels] ?? 0));
      return { ...output, y };
    },
  ),
  onInput(
    SEQUENCE,
    'the saved inputs are ignored',
    'convState holds what came before the first token',
    (input) => without(input, 'convState'),
  ),
  onInput(
    CONV,
    'the saved inputs are read newest first',
    'the last column of convState is the newest',
    (input) => {
      if (!input.convState) return input;
      return { ...input, convState: mapRows(input.convState, (row) => row.reverse()) };
    },
  ),
  onOutput(
    CONV,
    'the state that is returned is newest first',
    'the last column is the newest',
    (output) => lines(output, (line) => line.reverse()),
  ),
  onOutput(
    CONV,
    'the state holds activated inputs or outputs instead of raw inputs',
    'what is saved is x itself, before the convolution',
    (output) => lines(output, (line) => line.map(silu)),
  ),
  onOutput(
    CONV,
    'the state holds outputs instead of inputs',
    'what is saved is x itself, before the convolution',
    (output, input) => {
      const { y } = output;
      const channels = y.shape[y.shape.length - 1];
      const seqlen = y.shape.length === 3 ? y.shape[1] : 1;
      return lines(output, (line, i) => {
        const [b, c] = [Math.floor(i / channels), i % channels];
        const before = input.convState?.data.subarray(i * line.length, (i + 1) * line.length);
        return line.map((_, k) => {
          const t = seqlen - line.length + k;
          if (t >= 0) return y.data[(b * seqlen + t) * channels + c];
          return before?.[line.length + t] ?? 0;
        });
      });
    },
  ),
  onOutput(
    CONV,
    'the state that is returned lacks the newest input',
    'the last dConv − 1 inputs, the current token among them',
    (output, input) => {
      const { x } = input;
      const channels = x.shape[x.shape.length - 1];
      const seqlen = x.shape.length === 3 ? x.shape[1] : 1;
      return lines(output, (line, i) => {
        const [b, c] = [Math.floor(i / channels), i % channels];
        const t = seqlen - line.length - 1;
        const older =
          t >= 0
            ? x.data[(b * seqlen + t) * channels + c]
            : (input.convState?.data[i * line.length + line.length + t] ?? 0);
        return [older, ...line.slice(0, -1)].slice(0, line.length);
      });
    },
  ),
  onOutput(
    CONV,
    'the state is not updated',
    'the saved inputs move on by one',
    (output, input) => ({
      ...output,
      convState: input.convState ?? mapped(output.convState, () => 0),
    }),
  ),
  onOutput(
    SEQUENCE,
    'a sequence shorter than the filter loses the inputs that were saved before it',
    'the state is the last dConv − 1 of saved and new inputs together',
    (output, input) => {
      const seqlen = input.x.shape[1];
      return lines(output, (line) => line.map((x, k) => (k < line.length - seqlen ? 0 : x)));
    },
  ),
];
