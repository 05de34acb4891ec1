/**
 * The recurrences once more, straight from their equations and with a bound on the error of every element:
 * for each state one lane of (decay, written) pairs, written independently of `reference/`.
 */

import type { OpName, Ops } from '../../../reference/ops.ts';
import type { Tensor } from '../../../reference/tensor.ts';
import { type Approx, type Calculator, exactly, ZERO } from '../approx.ts';
import { type Order, type Recurrence, type RecurrenceOutput, runRecurrence } from './lanes.ts';

type InputOf<Name extends OpName> = Parameters<Ops[Name]>[0];

/** What the bound must cover: the reference goes token by token, other kernels may do as they like. */
const orderOf = (calc: Calculator): Order => (calc.freedom === 'any' ? 'any' : 'sequential');

function stepSize(
  calc: Calculator,
  raw: number,
  bias: number | undefined,
  hasSoftplus: boolean,
  limit: readonly [number, number] | undefined,
): Approx {
  const sum = bias === undefined ? exactly(raw) : calc.add(exactly(raw), exactly(bias));
  const dt = hasSoftplus ? calc.softplus(sum) : sum;
  if (!limit) return dt;
  const clamped = Math.min(Math.max(dt.value, limit[0]), limit[1]);
  return calc.rounded(clamped, dt.error);
}

/**
 * (read + D·x)·silu(z). In any freedom D·x may be the first term of the sum along the dState states, and
 * both terms may be gated apart: then each is rounded by itself.
 */
function skipAndGate(
  calc: Calculator,
  read: Approx,
  dState: number,
  x: number,
  D: number | undefined,
  z: number | undefined,
): Approx {
  const isFree = calc.freedom === 'any';
  let y = read;
  if (D !== undefined) {
    const skip = calc.mul(exactly(D), exactly(x));
    const sum = calc.add(read, skip);
    const apart = (dState + 4) * calc.machine.unit * (Math.abs(read.value) + Math.abs(skip.value));
    y = isFree ? { value: sum.value, error: sum.error + apart } : sum;
  }
  if (z === undefined) return y;
  const gated = calc.gated(y, exactly(z));
  // each term by itself, before they cancel
  const size = Math.abs(read.value) + Math.abs(D === undefined ? 0 : D * x);
  const overflows = size * Math.max(Math.abs(z), 1) > calc.machine.largest;
  return isFree && overflows ? { value: gated.value, error: Infinity } : gated;
}

/**
 * Size of what a factor of a write may meet before the others: another order may multiply others first, and in
 * any freedom all those above 1, so that they overflow by themselves.
 */
function factorsOf(calc: Calculator, factors: readonly Approx[]): number {
  const sizes = factors.map(({ value }) => Math.abs(value));
  return calc.freedom === 'any'
    ? sizes.reduce((product, size) => product * Math.max(size, 1), factors.length)
    : sizes.reduce((sum, size) => sum + size, 0);
}

/** A function of what a token writes, given its factors in the order of the equation. */
function writes(
  calc: Calculator,
  factors: (b: number, t: number, channel: number, n: number) => readonly Approx[],
): Pick<Recurrence, 'written' | 'factors'> {
  return {
    written: (b, t, channel, n) => calc.product(factors(b, t, channel, n)),
    factors: (b, t, channel, n) => factorsOf(calc, factors(b, t, channel, n)),
  };
}

/** y and h of Mamba-1's scan. */
export function selectiveScan(
  input: InputOf<'selectiveScan'>,
  calc: Calculator,
  order: Order = orderOf(calc),
): RecurrenceOutput {
  const { x, dtRaw, dtBias, dtSoftplus = true, A, B, C, D, z, h } = input;
  const [batch, seqlen, channels] = x.shape;
  const [, , nGroups, dState] = B.shape;
  const perGroup = channels / nGroups;
  const element = (t: Tensor, b: number, s: number, d: number, n: number) =>
    exactly(t.data[((b * seqlen + s) * nGroups + Math.trunc(d / perGroup)) * dState + n]);
  const dts = Array.from(dtRaw.data, (raw, i) =>
    stepSize(calc, raw, dtBias?.data[i % channels], dtSoftplus, undefined),
  );
  const at = (b: number, t: number, d: number) => (b * seqlen + t) * channels + d;
  return runRecurrence(
    {
      sizes: { batch, seqlen, channels, dState },
      h,
      logDecay: (b, t, d, n) => calc.mul(dts[at(b, t, d)], exactly(A.data[d * dState + n])),
      ...writes(calc, (b, t, d, n) => [
        dts[at(b, t, d)],
        element(B, b, t, d, n),
        exactly(x.data[at(b, t, d)]),
      ]),
      C: (b, t, d, n) => element(C, b, t, d, n),
      finish: (read, b, t, d) =>
        skipAndGate(calc, read, dState, x.data[at(b, t, d)], D?.data[d], z?.data[at(b, t, d)]),
    },
    calc,
    order,
  );
}

/** Where the numbers of a recurrence over heads stand. */
function heads(x: Tensor, B: Tensor, D: Tensor | undefined) {
  const [batch, seqlen, nHeads, headDim] = x.shape;
  const [, , nGroups, dState] = B.shape;
  const channels = nHeads * headDim;
  const headOf = (channel: number) => Math.trunc(channel / headDim);
  return {
    sizes: { batch, seqlen, channels, dState },
    at: (b: number, t: number, channel: number) => (b * seqlen + t) * channels + channel,
    headAt: (b: number, t: number, channel: number) => (b * seqlen + t) * nHeads + headOf(channel),
    headOf,
    grouped: (m: Tensor, b: number, t: number, channel: number, n: number) => {
      const group = Math.trunc((headOf(channel) * nGroups) / nHeads);
      return exactly(m.data[((b * seqlen + t) * nGroups + group) * dState + n]);
    },
    skip: (channel: number) => D && (D.shape[1] === 1 ? D.data[headOf(channel)] : D.data[channel]),
  };
}

/** y and h of Mamba-2's recurrence. */
export function ssd(
  input: InputOf<'ssd'>,
  calc: Calculator,
  order: Order = orderOf(calc),
): RecurrenceOutput {
  const { x, dtRaw, dtBias, dtSoftplus = true, dtLimit, A, B, C, D, z, h } = input;
  const { sizes, at, headAt, headOf, grouped, skip } = heads(x, B, D);
  const nHeads = x.shape[2];
  const dts = Array.from(dtRaw.data, (raw, i) =>
    stepSize(calc, raw, dtBias?.data[i % nHeads], dtSoftplus, dtLimit),
  );
  return runRecurrence(
    {
      sizes,
      h,
      logDecay: (b, t, c) => calc.mul(dts[headAt(b, t, c)], exactly(A.data[headOf(c)])),
      ...writes(calc, (b, t, c, n) => [
        dts[headAt(b, t, c)],
        exactly(x.data[at(b, t, c)]),
        grouped(B, b, t, c, n),
      ]),
      C: (b, t, c, n) => grouped(C, b, t, c, n),
      finish: (read, b, t, c) =>
        skipAndGate(calc, read, sizes.dState, x.data[at(b, t, c)], skip(c), z?.data[at(b, t, c)]),
    },
    calc,
    order,
  );
}

/** y and h of Discrete Mamba-2's recurrence. */
export function discreteSsd(
  input: InputOf<'discreteSsd'>,
  calc: Calculator,
  order: Order = orderOf(calc),
): RecurrenceOutput {
  const { x, a, B, C, D, h } = input;
  const { sizes, at, headAt, grouped, skip } = heads(x, B, D);
  return runRecurrence(
    {
      sizes,
      h,
      logDecay: (b, t, c) => calc.logSigmoid(exactly(-a.data[headAt(b, t, c)])),
      decay: (b, t, c) => {
        const direct = calc.sigmoid(exactly(-a.data[headAt(b, t, c)]));
        if (order === 'sequential') return direct;
        const byLog = calc.exp(calc.logSigmoid(exactly(-a.data[headAt(b, t, c)])));
        return { value: direct.value, error: Math.max(direct.error, byLog.error) };
      },
      ...writes(calc, (b, t, c, n) => [exactly(x.data[at(b, t, c)]), grouped(B, b, t, c, n)]),
      C: (b, t, c, n) => grouped(C, b, t, c, n),
      finish: (read, b, t, c) =>
        skipAndGate(calc, read, sizes.dState, x.data[at(b, t, c)], skip(c), undefined),
    },
    calc,
    order,
  );
}

/** y and h of the shared dual form, from a given logarithm of the decay. */
export function semiseparable(
  input: InputOf<'semiseparableChunked'>,
  calc: Calculator,
): RecurrenceOutput {
  const { x, logDecay, B, C, h } = input;
  const { sizes, at, headAt, grouped } = heads(x, B, undefined);
  return runRecurrence(
    {
      sizes,
      h,
      logDecay: (b, t, c) => exactly(logDecay.data[headAt(b, t, c)]),
      ...writes(calc, (b, t, c, n) => [exactly(x.data[at(b, t, c)]), grouped(B, b, t, c, n)]),
      C: (b, t, c, n) => grouped(C, b, t, c, n),
      finish: (read) => read,
    },
    calc,
    'any',
  );
}

/** All prefixes of one lane of (a, b) pairs, in any order of composing. */
export function associativeScan(input: InputOf<'associativeScan'>, calc: Calculator) {
  const { a, b } = input;
  const [lanes, seqlen] = a.shape;
  const { unit, tiny } = calc.machine;
  const out = { a: new Array<Approx>(a.data.length), b: new Array<Approx>(a.data.length) };
  for (let lane = 0; lane < lanes; lane++) {
    let product = exactly(1);
    let sum = ZERO;
    let size = 0;
    let writes = 1;
    for (let t = 0; t < seqlen; t++) {
      const at = lane * seqlen + t;
      const decay = exactly(a.data[at]);
      product = calc.mul(product, decay);
      sum = calc.add(calc.mul(decay, sum), exactly(b.data[at]));
      size = Math.abs(a.data[at]) * size + Math.abs(b.data[at]);
      writes += Math.abs(b.data[at]);
      // a term takes part in at most 2·seqlen + 4 operations, whatever the order
      const roundings = (2 * seqlen + 4) * unit;
      out.a[at] = { value: product.value, error: product.error + roundings * product.value + tiny };
      // a product of decays may vanish before it meets a large b
      const vanished = calc.freedom === 'any' ? seqlen * tiny * writes : seqlen * tiny;
      out.b[at] = { value: sum.value, error: sum.error + roundings * size + vanished };
    }
  }
  return out;
}
