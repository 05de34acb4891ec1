/** Random cases of training's recurrences, what they should give, and how far from it float32 may be. */

import fc from 'fast-check';
import { Draws } from '../lib/verify/values.ts';
import { causalConv1d } from '../reference/causalConv1d.ts';
import { discreteSsd } from '../reference/discreteSsd.ts';
import {
  causalConv1dGradient,
  discreteSsdGradient,
  selectiveScanGradient,
  ssdGradient,
} from '../reference/gradients/index.ts';
import { selectiveScan } from '../reference/selectiveScan.ts';
import { ssd } from '../reference/ssd.ts';
import { reshape, type Tensor } from '../reference/tensor.ts';

export type OpName = 'causalConv1d' | 'selectiveScan' | 'ssd' | 'discreteSsd';

export interface Drawn {
  seed: number;
  batch: number;
  seqlen: number;
  /** Channels of a group of channels, or of a head. */
  channels: number;
  headsPerGroup: number;
  nGroups: number;
  dState: number;
  dConv: number;
  isSilu: boolean;
  hasOptional: boolean;
  /** Bit i says whether the gradient of input i is wanted. */
  wanted: number;
}

/** What an op gives, by the names of y and of the inputs whose gradients they are. */
type Values = Record<string, ArrayLike<number>>;

export interface Case {
  inputs: Record<string, Tensor>;
  attributes: Record<string, number | string>;
  dy: Tensor;
  /** What stands in each gradient that is wanted. */
  before: Record<string, Tensor>;
  /** The values, the sums of the absolute values of their products, and how often these are rounded. */
  expected(): { want: Values; size: Values; roundings: number };
}

const size = (most: number) => fc.integer({ min: 1, max: most });
const drawn = fc.record<Drawn>({
  seed: fc.nat(),
  batch: size(3),
  seqlen: fc.oneof(size(8), size(50)),
  channels: size(19),
  headsPerGroup: size(3),
  nGroups: size(3),
  dState: size(18),
  dConv: size(8),
  isSilu: fc.boolean(),
  hasOptional: fc.boolean(),
  wanted: fc.oneof(fc.constant(-1), fc.nat(127)),
});
export const GRADIENT_CASES: { op: OpName; drawn: fc.Arbitrary<Drawn> }[] = (
  ['causalConv1d', 'selectiveScan', 'ssd', 'discreteSsd'] as const
).map((op) => ({ op, drawn }));

/** Steps before softplus are between −STEP and STEP, their biases too. */
const STEP = 2;

const abs = (t: Tensor): Tensor => ({ data: t.data.map(Math.abs), shape: t.shape });
const maybeAbs = (t: Tensor | undefined) => t && abs(t);
const largest = (values: ArrayLike<number>) => Array.from(values).reduce((a, b) => Math.max(a, b));
/** A = −exp(ALog), and the gradient of one from that of the other. */
const ratesOf = (ALog: Tensor): Tensor => ({
  data: ALog.data.map((x) => -Math.exp(x)),
  shape: ALog.shape,
});
const timesRates = (dA: Tensor, A: Tensor) => dA.data.map((x, i) => x * A.data[i]);
const softplus = (x: number) => Math.log1p(Math.exp(x));
const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));

function gradientsBefore(draws: Draws, inputs: Record<string, Tensor>, wanted: number) {
  const some = Object.entries(inputs).filter((_, i) => (wanted >> i) & 1);
  return Object.fromEntries(
    some.map(([name, { shape }]) => [name, draws.tensorBetween(-1, 1, ...shape)]),
  );
}

function convolutionCase(d: Drawn): Case {
  const draws = new Draws(d.seed);
  const { batch, seqlen, dConv } = d;
  const channels = d.channels * d.nGroups;
  const rows = batch * seqlen;
  const inputs = {
    x: draws.tensor('usual', rows, channels),
    weight: draws.tensor('usual', channels, dConv),
    ...(d.hasOptional && { bias: draws.tensor('usual', channels) }),
  };
  const activation = d.isSilu ? 'silu' : 'identity';
  const dy = draws.tensor('usual', rows, channels);
  const shaped = (t: Tensor) => reshape(t, batch, seqlen, channels);
  return {
    inputs,
    attributes: { activation, seqlen },
    dy,
    before: gradientsBefore(draws, inputs, d.wanted),
    expected() {
      const input = { ...inputs, x: shaped(inputs.x), activation } as const;
      const { x, weight, bias } = causalConv1dGradient(input, shaped(dy));
      const want = { y: causalConv1d(input).y.data, x: x.data, weight: weight.data };
      // |silu| ≤ |s|, |silu′| < 1.1, |silu″| ≤ ½
      const all = { x: abs(input.x), weight: abs(input.weight), bias: maybeAbs(input.bias) };
      const linear = { ...all, activation: 'identity' } as const;
      const back = causalConv1dGradient(linear, shaped(abs(dy)));
      const sums = causalConv1d(linear).y.data;
      const inSums = dConv + 1;
      // silu′ is rounded 18 times and moves with s; the rest are sums
      const inSlopes = 20 + (inSums / 2) * largest(sums);
      return {
        want: { ...want, ...(bias && { bias: bias.data }) },
        size: {
          ...{ y: sums, x: back.x.data, weight: back.weight.data },
          ...(back.bias && { bias: back.bias.data }),
        },
        roundings: inSlopes + 1.1 * (2 * dConv + seqlen + batch + 5) + 10,
      };
    },
  };
}

/**
 * Roundings of a recurrence along its longest product, and in the sums above it. A product meets each token once on its
 * way from x to dy: its decay, off by 6 units and by as many times its logarithm as Δ·A is rounded (Δ: STEP for the sum
 * before softplus, and 6; A: 3, log₂(e) 2; their product 1), and 2 for the state.
 */
function roundingsOf(d: Drawn, logDecays: number, inGroup: number): number {
  const inStep = 2 * STEP + 6;
  const inDecays = 8 * d.seqlen + logDecays * (inStep + 6);
  const inSums = 2 * d.dState + inGroup + d.seqlen + d.batch;
  // Δ, a slope (as Δ), the products of a token, A once more in dALog
  return inDecays + inSums + 2 * inStep + 20;
}

/** What the decays' logarithms of a sequence can add up to. */
const mostForgotten = (d: Drawn, dts: ArrayLike<number>, A: Tensor) =>
  d.seqlen * largest(dts) * largest(abs(A).data);

function scanCase(d: Drawn): Case {
  const draws = new Draws(d.seed);
  const { batch, seqlen, nGroups, dState } = d;
  const dInner = d.channels * nGroups;
  const rows = batch * seqlen;
  const inputs = {
    x: draws.tensor('usual', rows, dInner),
    dtRaw: draws.tensorBetween(-STEP, STEP, rows, dInner),
    ALog: draws.tensorBetween(-2, 1, dInner, dState),
    B: draws.tensor('usual', rows, nGroups * dState),
    C: draws.tensor('usual', rows, nGroups * dState),
    ...(d.hasOptional && {
      dtBias: draws.tensorBetween(-STEP, STEP, dInner),
      D: draws.tensor('usual', dInner),
    }),
  };
  const dy = draws.tensor('usual', rows, dInner);
  const shaped = (t: Tensor) => reshape(t, batch, seqlen, dInner);
  const grouped = (t: Tensor) => reshape(t, batch, seqlen, nGroups, dState);
  return {
    inputs,
    attributes: { nGroups, seqlen },
    dy,
    before: gradientsBefore(draws, inputs, d.wanted),
    expected() {
      const { dtBias, D } = inputs;
      const A = ratesOf(inputs.ALog);
      const given = { dtRaw: shaped(inputs.dtRaw), dtBias, A, D };
      const [x, B, C] = [shaped(inputs.x), grouped(inputs.B), grouped(inputs.C)];
      const input = { ...given, x, B, C };
      const all = { ...given, x: abs(x), B: abs(B), C: abs(C), D: maybeAbs(D) };
      const valuesOf = (one: typeof input, back: Tensor) => {
        const { A: dA, ...rest } = selectiveScanGradient(one, back);
        const others = Object.entries(rest).map(([name, t]) => [
          name,
          t?.data as ArrayLike<number>,
        ]);
        const y = selectiveScan(one).y.data;
        return { y, ALog: timesRates(dA, A), ...(Object.fromEntries(others) as Values) } as Values;
      };
      const size = valuesOf(all, shaped(abs(dy)));
      size.ALog = Array.from(size.ALog, Math.abs);
      const sums = Array.from(inputs.dtRaw.data, (raw, i) => raw + (dtBias?.data[i % dInner] ?? 0));
      const dts = sums.map(softplus);
      // x·Σ dh·B and A·Σ dh·h cancel in dΔ: the first is in dx, the other is what is missing
      size.dtRaw = Array.from(size.dtRaw, (difference, i) => {
        const skip = Math.abs((D?.data[i % dInner] ?? 0) * dy.data[i]);
        const first = (Math.abs(inputs.x.data[i]) * (size.x[i] - skip)) / dts[i];
        return 2 * first * sigmoid(sums[i]) - difference;
      });
      size.dtBias = columnSums(size.dtRaw, dInner);
      const roundings = roundingsOf(d, mostForgotten(d, dts, A), d.channels);
      return { want: valuesOf(input, shaped(dy)), size, roundings };
    },
  };
}

function columnSums(rows: ArrayLike<number>, width: number): Float64Array {
  const sums = new Float64Array(width);
  for (let i = 0; i < rows.length; i++) sums[i % width] += rows[i];
  return sums;
}

interface HeadInputs {
  x: Tensor;
  B: Tensor;
  C: Tensor;
  D: Tensor | undefined;
}

function headsCase(d: Drawn, isDiscrete: boolean): Case {
  const draws = new Draws(d.seed);
  const { batch, seqlen, nGroups, dState, headsPerGroup, channels: headDim } = d;
  const nHeads = nGroups * headsPerGroup;
  const rows = batch * seqlen;
  const skip = d.hasOptional && { D: draws.tensor('usual', nHeads) };
  const inputs: Record<string, Tensor> = {
    x: draws.tensor('usual', rows, nHeads * headDim),
    [isDiscrete ? 'a' : 'dtRaw']: draws.tensorBetween(-STEP, STEP, rows, nHeads),
    B: draws.tensor('usual', rows, nGroups * dState),
    C: draws.tensor('usual', rows, nGroups * dState),
    ...skip,
    ...(!isDiscrete && { ALog: draws.tensorBetween(-2, 1, nHeads) }),
    ...(!isDiscrete && d.hasOptional && { dtBias: draws.tensorBetween(-STEP, STEP, nHeads) }),
  };
  const dy = draws.tensor('usual', rows, nHeads * headDim);
  const shaped = (t: Tensor) => reshape(t, batch, seqlen, nHeads, headDim);
  const grouped = (t: Tensor) => reshape(t, batch, seqlen, nGroups, dState);
  const ofHeads = (t: Tensor) => reshape(t, batch, seqlen, nHeads);
  return {
    inputs,
    attributes: { nHeads, nGroups, seqlen },
    dy,
    before: gradientsBefore(draws, inputs, d.wanted),
    expected() {
      const D = inputs.D && reshape(inputs.D, nHeads, 1);
      const [x, B, C] = [shaped(inputs.x), grouped(inputs.B), grouped(inputs.C)];
      const input: HeadInputs = { x, B, C, D };
      const all: HeadInputs = { x: abs(x), B: abs(B), C: abs(C), D: maybeAbs(D) };
      const [back, allBack] = [shaped(dy), shaped(abs(dy))];
      const dataOf = (tensors: object) =>
        Object.fromEntries(Object.entries(tensors).map(([k, t]) => [k, t?.data])) as Values;
      const inGroup = headsPerGroup * headDim;
      if (isDiscrete) {
        const a = ofHeads(inputs.a);
        const valuesOf = (one: HeadInputs, dOut: Tensor): Values => ({
          y: discreteSsd({ ...one, a }).y.data,
          ...dataOf(discreteSsdGradient({ ...one, a }, dOut)),
        });
        const size = valuesOf(all, allBack);
        size.a = Array.from(size.a, Math.abs);
        return { want: valuesOf(input, back), size, roundings: roundingsOf(d, 0, inGroup) };
      }
      const { dtBias } = inputs;
      const A = ratesOf(inputs.ALog);
      const given = { dtRaw: ofHeads(inputs.dtRaw), dtBias, A };
      const valuesOf = (one: HeadInputs, dOut: Tensor): Values => {
        const gradient = ssdGradient({ ...one, ...given }, dOut);
        const y = ssd({ ...one, ...given }).y.data;
        return { y, ...dataOf(gradient), ALog: timesRates(gradient.A, A) };
      };
      const size = valuesOf(all, allBack);
      size.ALog = Array.from(size.ALog, Math.abs);
      const sums = Array.from(inputs.dtRaw.data, (raw, i) => raw + (dtBias?.data[i % nHeads] ?? 0));
      const dts = sums.map(softplus);
      // as in the scan, and summed over the channels of the head
      size.dtRaw = Array.from(size.dtRaw, (difference, head) => {
        let first = 0;
        for (let i = head * headDim; i < (head + 1) * headDim; i++) {
          const skipped = Math.abs((D?.data[head % nHeads] ?? 0) * dy.data[i]);
          first += (Math.abs(inputs.x.data[i]) * (size.x[i] - skipped)) / dts[head];
        }
        return 2 * first * sigmoid(sums[head]) - difference;
      });
      size.dtBias = columnSums(size.dtRaw, nHeads);
      const roundings = roundingsOf(d, mostForgotten(d, dts, A), inGroup);
      return { want: valuesOf(input, back), size, roundings };
    },
  };
}

export const CASES: Record<OpName, (d: Drawn) => Case> = {
  causalConv1d: convolutionCase,
  selectiveScan: scanCase,
  ssd: (d) => headsCase(d, false),
  discreteSsd: (d) => headsCase(d, true),
};
