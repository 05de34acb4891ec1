/**
 * The recurrences once more, straight from their equations and with a bound on the error of every element:
 * for each state one lane of (decay, written) pairs, written independently of `reference/`.
 */

import type { OpName, Ops } from '../../../reference/ops.ts';
import type { Tensor } from '../../../reference/tensor.ts';
import { type Approx, type Calculator, exactly, ZERO } from '../approx.ts';
import { type Order, type RecurrenceOutput, runRecurrence } from './lanes.ts';

type InputOf<Name extends OpName> = Parameters<Ops[Name]>[0];

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

function skipAndGate(
  calc: Calculator,
  read: Approx,
  x: number,
  D: number | undefined,
  z: number | undefined,
): Approx {
  const y = D === undefined ? read : calc.add(read, calc.mul(exactly(D), exactly(x)));
  return z === undefined ? y : calc.mul(y, calc.silu(exactly(z)));
}

/** y and h of Mamba-1's scan. */
export function selectiveScan(
  input: InputOf<'selectiveScan'>,
  calc: Calculator,
  order: Order = 'sequential',
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
      written: (b, t, d, n) =>
        calc.mul(calc.mul(dts[at(b, t, d)], element(B, b, t, d, n)), exactly(x.data[at(b, t, d)])),
      factors: (b, t, d, n) =>
        Math.abs(x.data[at(b, t, d)]) + Math.abs(element(B, b, t, d, n).value),
      C: (b, t, d, n) => element(C, b, t, d, n),
      finish: (read, b, t, d) =>
        skipAndGate(calc, read, x.data[at(b, t, d)], D?.data[d], z?.data[at(b, t, d)]),
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
  order: Order = 'sequential',
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
      written: (b, t, c, n) =>
        calc.mul(
          calc.mul(dts[headAt(b, t, c)], exactly(x.data[at(b, t, c)])),
          grouped(B, b, t, c, n),
        ),
      factors: (b, t, c, n) =>
        Math.abs(x.data[at(b, t, c)]) + Math.abs(grouped(B, b, t, c, n).value),
      C: (b, t, c, n) => grouped(C, b, t, c, n),
      finish: (read, b, t, c) =>
        skipAndGate(calc, read, x.data[at(b, t, c)], skip(c), z?.data[at(b, t, c)]),
    },
    calc,
    order,
  );
}

/** y and h of Discrete Mamba-2's recurrence. */
export function discreteSsd(
  input: InputOf<'discreteSsd'>,
  calc: Calculator,
  order: Order = 'sequential',
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
      written: (b, t, c, n) => calc.mul(exactly(x.data[at(b, t, c)]), grouped(B, b, t, c, n)),
      factors: (b, t, c, n) =>
        Math.abs(x.data[at(b, t, c)]) + Math.abs(grouped(B, b, t, c, n).value),
      C: (b, t, c, n) => grouped(C, b, t, c, n),
      finish: (read, b, t, c) => skipAndGate(calc, read, x.data[at(b, t, c)], skip(c), undefined),
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
      written: (b, t, c, n) => calc.mul(exactly(x.data[at(b, t, c)]), grouped(B, b, t, c, n)),
      factors: (b, t, c, n) =>
        Math.abs(x.data[at(b, t, c)]) + Math.abs(grouped(B, b, t, c, n).value),
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
    for (let t = 0; t < seqlen; t++) {
      const at = lane * seqlen + t;
      const decay = exactly(a.data[at]);
      product = calc.mul(product, decay);
      sum = calc.add(calc.mul(decay, sum), exactly(b.data[at]));
      size = Math.abs(a.data[at]) * size + Math.abs(b.data[at]);
      // a term takes part in at most 2·seqlen + 4 operations, whatever the order
      const roundings = (2 * seqlen + 4) * unit;
      out.a[at] = { value: product.value, error: product.error + roundings * product.value + tiny };
      out.b[at] = { value: sum.value, error: sum.error + roundings * size + seqlen * tiny };
    }
  }
  return out;
}
