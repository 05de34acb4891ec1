/** The ops that have gradients, as random inputs, outputs with bounds, and the gradient that is judged. */

import type fc from 'fast-check';
import { FLOAT64 } from '../lib/verify/approx.ts';
import { Calculator, DEFINITIONS, INPUTS } from '../lib/verify/index.ts';
import { type Drawn, drawn, mapDrawn, size } from '../lib/verify/inputs/drawn.ts';
import { softplus } from '../reference/activations.ts';
import { causalConv1d } from '../reference/causalConv1d.ts';
import { type DiscreteSsdInput, discreteSsd } from '../reference/discreteSsd.ts';
import { discreteSsdMatrix } from '../reference/discreteSsdMatrix.ts';
import * as gradients from '../reference/gradients/index.ts';
import type { OpName } from '../reference/ops.ts';
import { selectiveScan } from '../reference/selectiveScan.ts';
import { ssd } from '../reference/ssd.ts';
import { exact, type Tensor } from '../reference/tensor.ts';
import type { Computed, Tensors } from './differences.ts';

/** From an input and the gradients of its outputs, by the outputs' names, the gradients of the input. */
export type Gradient = (input: object, upstream: Tensors, chunkLen?: number) => object;

/** An op with a gradient. */
export interface Differentiable extends Computed {
  name: string;
  inputs: fc.Arbitrary<Drawn<object>>;
  /** Names of the inputs that have a gradient. */
  variables: readonly string[];
  gradient: Gradient;
  /** Whether it carries a state, so that it can be cut in two. */
  isRecurrence?: boolean;
  /** Whether all rows are in one number. */
  isMeanOverRows?: boolean;
}

/** Forgets the type of the input: laws are about any op. */
function differentiable<Input extends object>(op: {
  name: string;
  inputs: fc.Arbitrary<Drawn<Input>>;
  run(input: Input): object;
  bounds(input: Input): Record<string, ArrayLike<number>>;
  variables: readonly string[];
  gradient(input: Input, upstream: Tensors, chunkLen?: number): object;
  isRecurrence?: boolean;
  isMeanOverRows?: boolean;
}): Differentiable {
  return op as unknown as Differentiable;
}

/** Bounds of an op's outputs from its definition. */
const defined =
  <Name extends OpName>(name: Name) =>
  (input: object): Record<string, number[]> => {
    const outputs = DEFINITIONS[name]?.(input as never, new Calculator(FLOAT64)) ?? {};
    return Object.fromEntries(
      Object.entries(outputs).map(([output, all]) => [output, all.map(({ error }) => error)]),
    );
  };

interface Scan {
  dtRaw: Tensor;
  dtBias?: Tensor;
  dtSoftplus?: boolean;
}

/** Every fourth input with Δ given as it is. */
const someWithoutSoftplus = <Input extends Scan>(inputs: fc.Arbitrary<Drawn<Input>>) =>
  mapDrawn(inputs, (input, dims) => {
    if ((dims as { seed: number }).seed % 4 !== 0) return input;
    const { dtRaw, dtBias } = input;
    const positive = (t: Tensor, f: (v: number) => number) => ({
      data: t.data.map((v) => Math.fround(f(v))),
      shape: t.shape,
    });
    return {
      ...input,
      dtSoftplus: false,
      dtRaw: positive(dtRaw, (v) => softplus(v, exact)),
      ...(dtBias && { dtBias: positive(dtBias, Math.abs) }),
    };
  });

/**
 * What M may be off by: the dot product loses dState + 1 roundings of Σ|C·B| ≥ |C·B|, and the sum S of seqlen
 * logarithms (4 ulp each) loses (seqlen + 4)·u·|S|, of which exp keeps at most |S|·e^S < 1 times that.
 */
function matrixBounds({ x, B, C, D }: DiscreteSsdInput): Record<string, number[]> {
  const [batch, seqlen, nHeads] = x.shape;
  const [, , nGroups, dState] = B.shape;
  const unit = 2 ** -52;
  const M = Array.from({ length: batch * nHeads * seqlen * seqlen }, (_, at) => {
    const [s, t] = [at % seqlen, Math.trunc(at / seqlen) % seqlen];
    const head = Math.trunc(at / (seqlen * seqlen));
    const [b, i] = [Math.trunc(head / nHeads), head % nHeads];
    const group = Math.trunc((i * nGroups) / nHeads);
    let products = 0;
    for (let n = 0; n < dState; n++) {
      const row = (token: number) => ((b * seqlen + token) * nGroups + group) * dState + n;
      products += Math.abs(C.data[row(t)] * B.data[row(s)]);
    }
    const skip = s === t ? Math.abs(D?.data[i] ?? 0) : 0;
    return s > t ? 0 : unit * ((dState + seqlen + 8) * products + skip) + Number.MIN_VALUE;
  });
  return { M };
}

const matrixPair = drawn(
  { batch: size(2), nHeads: size(3), seqlen: size(5) },
  ({ batch, nHeads, seqlen, family }, draws) => ({
    x: draws.tensor(family, batch, nHeads, seqlen, seqlen),
    target: draws.tensorBetween(0, 1, batch, nHeads, seqlen, seqlen),
  }),
);

const distanceTensor = (input: gradients.MatrixDistanceInput): Tensor => ({
  data: Float64Array.of(gradients.matrixDistance(input)),
  shape: [1],
});

export const DIFFERENTIABLE: Record<string, Differentiable> = {
  selectiveScan: differentiable({
    name: 'selectiveScan',
    inputs: someWithoutSoftplus(INPUTS.selectiveScan),
    run: selectiveScan,
    bounds: defined('selectiveScan'),
    variables: ['x', 'dtRaw', 'dtBias', 'A', 'B', 'C', 'D', 'z', 'h'],
    gradient: (input, { y, h }, chunkLen) =>
      gradients.selectiveScanGradient(input, y, { dh: h, chunkLen }),
    isRecurrence: true,
  }),
  ssd: differentiable({
    name: 'ssd',
    inputs: someWithoutSoftplus(INPUTS.ssd),
    run: ssd,
    bounds: defined('ssd'),
    variables: ['x', 'dtRaw', 'dtBias', 'A', 'B', 'C', 'D', 'z', 'h'],
    gradient: (input, { y, h }, chunkLen) => gradients.ssdGradient(input, y, { dh: h, chunkLen }),
    isRecurrence: true,
  }),
  discreteSsd: differentiable({
    name: 'discreteSsd',
    inputs: INPUTS.discreteSsd,
    run: discreteSsd,
    bounds: defined('discreteSsd'),
    variables: ['x', 'a', 'B', 'C', 'D', 'h'],
    gradient: (input, { y, h }, chunkLen) =>
      gradients.discreteSsdGradient(input, y, { dh: h, chunkLen }),
    isRecurrence: true,
  }),
  discreteSsdMatrix: differentiable({
    name: 'discreteSsdMatrix',
    inputs: INPUTS.discreteSsdMatrix.filter(({ input }) => input.x.shape[1] <= 40),
    run: discreteSsdMatrix,
    bounds: matrixBounds,
    variables: ['a', 'B', 'C', 'D'],
    gradient: (input, { M }) => gradients.discreteSsdMatrixGradient(input, M),
  }),
  causalConv1d: differentiable({
    name: 'causalConv1d',
    inputs: INPUTS.causalConv1d,
    run: (input) => ({ y: causalConv1d(input).y }),
    bounds: defined('causalConv1d'),
    variables: ['x', 'weight', 'bias', 'convState'],
    gradient: (input, { y }) => gradients.causalConv1dGradient(input, y),
  }),
  matrixDistance: differentiable({
    name: 'matrixDistance',
    inputs: matrixPair,
    run: (input) => ({ y: distanceTensor(input) }),
    bounds: (input) => {
      // (x − target)² of float32 numbers is off by 3 units, their sum of n by n more, √ by half of that and one
      const n = input.x.data.length;
      return { y: [2 ** -52 * (n + 8) * distanceTensor(input).data[0]] };
    },
    variables: ['x'],
    isMeanOverRows: true,
    gradient: (input, { y }) => {
      const { x } = gradients.matrixDistanceGradient(input);
      return { x: { data: x.data.map((v) => v * y.data[0]), shape: x.shape } };
    },
  }),
};
