/** A trace boiled down to what a person asks: what was forgotten, what was written, who was looked at. */

import { logSumExp } from '../../reference/activations.ts';
import { exp, log } from '../../reference/elementary.ts';
import type { Vector } from '../../reference/tensor.ts';
import type { AttentionTrace, SamplerTrace, SsmTrace } from '../../reference/trace.ts';

/** What one token did to the state of one recurrence. */
export interface SsmSummary {
  /** Step sizes Δ over the heads (channels in Mamba-1): smallest, median, largest. */
  dt: Spread;
  /** Tokens until half of a state is left, if all tokens had this Δ. Infinity where nothing is forgotten. */
  halfLife: Spread;
  /** How many of the states have a half-life below 1, 4, 16, 64, 256 tokens, and above. */
  halfLifeCounts: number[];
  /** Size (root of the sum of squares) of the state before, of what the token left of it, and of what it wrote. */
  before: number;
  kept: number;
  forgotten: number;
  written: number;
  after: number;
  /** Size of what was read along C, before skip and gate. */
  read: number;
  /** silu(z), by which the output is multiplied. */
  gate: Spread;
  /** The heads into which most was written, the most first. */
  busiest: HeadSummary[];
}

export interface HeadSummary {
  head: number;
  dt: number;
  halfLife: Spread;
  before: number;
  kept: number;
  written: number;
  after: number;
}

export interface Spread {
  min: number;
  median: number;
  max: number;
}

/** Upper ends of the classes of half-lives, in tokens. */
export const HALF_LIFE_CLASSES = [1, 4, 16, 64, 256] as const;

export function spreadOf(values: Vector | readonly number[]): Spread {
  const sorted = Float64Array.from(values).sort();
  return { min: sorted[0], median: sorted[sorted.length >> 1], max: sorted[sorted.length - 1] };
}

/** Tokens until half is left of a state that keeps `decay` of itself at each. */
export function halfLifeOf(decay: number): number {
  if (decay >= 1) return Number.POSITIVE_INFINITY;
  return decay <= 0 ? 0 : log(0.5) / log(decay);
}

/** Summarises a recurrence at one token; `most` heads are listed one by one. */
export function summariseSsm(trace: SsmTrace, most = 8): SsmSummary {
  const [nHeads, headDim, dState] = trace.hBefore.shape;
  const perHead = trace.decay.shape[1];
  const [nGroups] = trace.C.shape;
  let read = 0;
  const heads: HeadSummary[] = [];
  const halfLives: number[] = [];
  let forgotten = 0;
  for (let head = 0; head < nHeads; head++) {
    const own = { before: 0, kept: 0, written: 0, after: 0 };
    for (let i = 0; i < headDim * dState; i++) {
      const at = head * headDim * dState + i;
      const decay = trace.decay.data[head * perHead + (perHead === 1 ? 0 : i % dState)];
      const before = trace.hBefore.data[at];
      const after = trace.hAfter.data[at];
      const kept = decay * before;
      own.before += before * before;
      own.kept += kept * kept;
      own.written += (after - kept) * (after - kept);
      own.after += after * after;
      forgotten += (before - kept) * (before - kept);
    }
    const group = Math.floor(head / (nHeads / nGroups));
    for (let p = 0; p < headDim; p++) {
      let y = 0;
      for (let n = 0; n < dState; n++) {
        y +=
          trace.C.data[group * dState + n] * trace.hAfter.data[(head * headDim + p) * dState + n];
      }
      read += y * y;
    }
    const decays = trace.decay.data.subarray(head * perHead, (head + 1) * perHead);
    const ownHalfLives = Array.from(decays, halfLifeOf);
    halfLives.push(...ownHalfLives);
    heads.push({
      head,
      dt: trace.dt.data[head],
      halfLife: spreadOf(ownHalfLives),
      ...mapValues(own, Math.sqrt),
    });
  }
  const total = (key: 'before' | 'kept' | 'written' | 'after') =>
    Math.sqrt(heads.reduce((sum, head) => sum + head[key] * head[key], 0));
  return {
    dt: spreadOf(trace.dt.data),
    halfLife: spreadOf(halfLives),
    halfLifeCounts: classify(halfLives),
    before: total('before'),
    kept: total('kept'),
    forgotten: Math.sqrt(forgotten),
    written: total('written'),
    after: total('after'),
    read: Math.sqrt(read),
    gate: spreadOf(trace.gate.data),
    busiest: heads.sort((a, b) => b.written - a.written).slice(0, most),
  };
}

function mapValues<T extends Record<string, number>>(values: T, f: (x: number) => number): T {
  return Object.fromEntries(Object.entries(values).map(([key, x]) => [key, f(x)])) as T;
}

function classify(halfLives: readonly number[]): number[] {
  const counts = new Array<number>(HALF_LIFE_CLASSES.length + 1).fill(0);
  for (const tokens of halfLives) {
    const at = HALF_LIFE_CLASSES.findIndex((end) => tokens < end);
    counts[at < 0 ? HALF_LIFE_CLASSES.length : at]++;
  }
  return counts;
}

/** Which tokens each attention head looked at most. */
export interface AttentionSummary {
  heads: { head: number; lookedAt: { position: number; weight: number }[] }[];
}

export function summariseAttention(trace: AttentionTrace, most = 3): AttentionSummary {
  const [nHeads, length] = trace.weights.shape;
  const heads = Array.from({ length: nHeads }, (_, head) => {
    const row = trace.weights.data.subarray(head * length, (head + 1) * length);
    const lookedAt = Array.from(row, (weight, position) => ({ position, weight }))
      .sort((a, b) => b.weight - a.weight)
      .slice(0, most);
    return { head, lookedAt };
  });
  return { heads };
}

/** The likeliest next tokens, before and after the sampling options. */
export interface SamplerSummary {
  u?: number;
  token: number;
  /** Tokens that the options left, of all. */
  kept: number;
  candidates: {
    token: number;
    /** Under the model itself. */
    probability: number;
    /** After all options; 0 for a token that was removed. */
    filtered: number;
    /** Sum of the filtered probabilities of this token and all with a lower id: u falls below it or not. */
    cumulative: number;
  }[];
}

export function summariseSampler(trace: SamplerTrace, most = 8): SamplerSummary {
  const probabilities = probabilitiesOf(trace.logits);
  const filtered = probabilitiesOf(trace.filtered);
  const order = Array.from(filtered.keys()).sort(
    (a, b) => filtered[b] - filtered[a] || probabilities[b] - probabilities[a] || a - b,
  );
  const shown = new Set([...order.slice(0, most), trace.token]);
  const cumulative: number[] = [];
  let sum = 0;
  for (const p of filtered) {
    sum += p;
    cumulative.push(sum);
  }
  return {
    ...(trace.u !== undefined && { u: trace.u }),
    token: trace.token,
    kept: filtered.filter((p) => p > 0).length,
    candidates: order
      .filter((token) => shown.has(token))
      .map((token) => ({
        token,
        probability: probabilities[token],
        filtered: filtered[token],
        cumulative: cumulative[token],
      })),
  };
}

function probabilitiesOf(logits: Vector): number[] {
  const total = logSumExp(logits);
  return Array.from(logits, (x) => exp(x - total));
}
