/** Mistakes in the norms. */

import type { OpName } from '../../../reference/ops.ts';
import type { Tensor } from '../../../reference/tensor.ts';
import { mapped, mapRows, onInput, type Values, without } from './reference.ts';
import { sigmoid, silu } from './scan.ts';
import type { Mistake } from './types.ts';

const NORMS: readonly OpName[] = ['rmsNorm', 'layerNorm', 'gatedRmsNorm'];
const WITHOUT_MEAN: readonly OpName[] = ['rmsNorm', 'gatedRmsNorm'];
const GATED: readonly OpName[] = ['gatedRmsNorm'];

const sum = (row: readonly number[]) => row.reduce((total, x) => total + x, 0);
const mean = (row: readonly number[]) => sum(row) / row.length;
const meanSquare = (row: readonly number[]) => mean(row.map((x) => x * x));

/** The small decisions of a norm. */
interface NormParts {
  centre(row: readonly number[], op: OpName): number;
  /** Whether x keeps its mean, and only its variance is taken around it. */
  keepsMean: boolean;
  /** What a centred group is multiplied by. */
  scale(group: readonly number[], eps: number): number;
  weight(weight: number): number;
  gate(z: number): number;
}

const RIGHT: NormParts = {
  centre: (row, op) => (op === 'layerNorm' ? mean(row) : 0),
  scale: (group, eps) => 1 / Math.sqrt(meanSquare(group) + eps),
  weight: (weight) => weight,
  gate: silu,
  keepsMean: false,
};

function normWith(op: OpName, given: object, own: Partial<NormParts>): { y: Tensor } {
  const parts = { ...RIGHT, ...own };
  const { x, z, weight, bias } = given as Values;
  const { eps, normBeforeGate, groupSize } = given as unknown as {
    eps: number;
    normBeforeGate?: boolean;
    groupSize?: number;
  };
  const width = x.shape[x.shape.length - 1];
  const size = groupSize ?? width;
  const y = mapRows(x, (row, r) => {
    const gates = z
      ? Array.from(z.data.subarray(r * width, (r + 1) * width), parts.gate)
      : row.map(() => 1);
    const inner = normBeforeGate ? row : row.map((value, i) => value * gates[i]);
    const out: number[] = [];
    for (let start = 0; start < width; start += size) {
      const group = inner.slice(start, start + size);
      const centre = parts.centre(group, op);
      const centred = group.map((value) => value - centre);
      const scale = parts.scale(centred, eps);
      centred.forEach((value, k) => {
        const i = start + k;
        const shown = parts.keepsMean ? group[k] : value;
        const normed = shown * scale * parts.weight(weight.data[i]) + (bias?.data[i] ?? 0);
        out.push(normBeforeGate ? normed * gates[i] : normed);
      });
    }
    return out;
  });
  return { y };
}

function part(
  ops: readonly OpName[],
  cause: string,
  look: string,
  parts: Partial<NormParts>,
): Mistake {
  return { ops, cause, look, wrong: (op, input) => normWith(op, input, parts) };
}

export const NORM_MISTAKES: readonly Mistake[] = [
  part(NORMS, 'eps is added outside of the root', '1/√(mean(x²) + eps)', {
    scale: (group, eps) => 1 / (Math.sqrt(meanSquare(group)) + eps),
  }),
  part(NORMS, 'eps is missing', '1/√(mean(x²) + eps)', {
    scale: (group) => 1 / Math.sqrt(meanSquare(group)),
  }),
  part(NORMS, 'eps is fixed instead of taken from the input', '`eps`', {
    scale: (group) => 1 / Math.sqrt(meanSquare(group) + 1e-5),
  }),
  part(NORMS, 'it is divided by the sum of squares, not by their mean', 'the division by n', {
    scale: (group, eps) => 1 / Math.sqrt(sum(group.map((x) => x * x)) + eps),
  }),
  part(NORMS, 'the mean of squares is divided by n − 1 instead of n', 'biased variance: n', {
    scale: (group, eps) => 1 / Math.sqrt(sum(group.map((x) => x * x)) / (group.length - 1) + eps),
  }),
  part(NORMS, 'the root is missing', '1/√(mean(x²) + eps)', {
    scale: (group, eps) => 1 / (meanSquare(group) + eps),
  }),
  part(WITHOUT_MEAN, 'the mean is subtracted', 'RMSNorm does not centre: that is LayerNorm', {
    centre: mean,
  }),
  part(['layerNorm'], 'the mean is not subtracted', 'LayerNorm centres first', { centre: () => 0 }),
  part(
    ['layerNorm'],
    'the mean is not subtracted from x, only for the variance',
    'y = (x − mean)·scale',
    {
      keepsMean: true,
    },
  ),
  part(NORMS, 'the weight is missing', 'y = x·scale·weight + bias', { weight: () => 1 }),
  part(NORMS, 'the weight is 1 + weight', 'only checkpoints of Gemma store weight − 1', {
    weight: (weight) => 1 + weight,
  }),
  onInput(NORMS, 'the bias is dropped', 'y = x·scale·weight + bias', (input) =>
    without(input, 'bias'),
  ),
  onInput(
    GATED,
    'the gate is applied on the other side of the norm',
    '`normBeforeGate`',
    (input) => ({
      ...input,
      normBeforeGate: !(input.normBeforeGate as unknown),
    }),
  ),
  ...[true, false].map((normBeforeGate) =>
    onInput(
      GATED,
      `the gate is applied on the other side of the norm where normBeforeGate is ${!normBeforeGate}`,
      `it is always ${normBeforeGate ? 'after' : 'before'} the norm`,
      (input) => ({ ...input, normBeforeGate }),
    ),
  ),
  onInput(GATED, 'the norm is over the whole width instead of each group', '`groupSize`', (input) =>
    without(input, 'groupSize'),
  ),
  onInput(GATED, 'the gate is missing', 'x·silu(z) where z is given', (input) =>
    without(input, 'z'),
  ),
  part(GATED, 'the gate is σ(z) instead of silu(z) = z·σ(z)', 'the activation of z', {
    gate: sigmoid,
  }),
  part(GATED, 'it is gated with z itself', 'silu(z) = z·σ(z)', { gate: (z) => z }),
  onInput(NORMS, 'the weight is that of the next channel', 'the index of weight', (input) => {
    const { data } = input.weight;
    const weight = mapped(input.weight, (_, i) => data[(i + 1) % data.length]);
    return { ...input, weight };
  }),
];
