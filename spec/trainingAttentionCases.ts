/**
 * Random inputs of training's attention, positions and matrices of mixers, and what y and the gradients of each must be:
 * values in Float64 from reference/, and bounds from the equations, computed with numbers that know how wrong they may be.
 */

import { type Approx, Calculator, exactly, negated } from '../lib/verify/approx.ts';
import {
  attention as attentionBounds,
  rope as ropeBounds,
  softmaxOf,
} from '../lib/verify/definitions/layers.ts';
import { IEEE32_KERNEL } from '../lib/verify/machines.ts';
import { Draws, type ValueFamily } from '../lib/verify/values.ts';
import { attention } from '../reference/attention.ts';
import { discreteSsdMatrix } from '../reference/discreteSsdMatrix.ts';
import { attentionGradient } from '../reference/gradients/attention.ts';
import { discreteSsdMatrixGradient } from '../reference/gradients/discreteSsdMatrix.ts';
import { ropeGradient } from '../reference/gradients/rope.ts';
import { rope, ropeAngles } from '../reference/rope.ts';
import { reshape, type Tensor, type Vector } from '../reference/tensor.ts';

export const calc = new Calculator(IEEE32_KERNEL, 'any');

/** What is added to a gradient: its values, and the terms of each sum with their bounds. */
export interface Added {
  values: Vector;
  terms: Approx[][];
}

export interface Case {
  input: Record<string, unknown>;
  dy: Tensor;
  y: Approx[];
  gradients: Record<string, Added>;
}

/** Sizes that meet every tail: of vectors, tiles, blocks of queries and keys. */
export class Sizes {
  readonly draws: Draws;
  readonly family: ValueFamily;

  constructor(seed: number) {
    this.draws = new Draws(seed);
    const families = ['usual', 'usual', 'cancelling', 'sparse', 'oneHot', 'dyadic'] as const;
    this.family = families[this.draws.below(families.length)];
  }

  upTo(most: number): number {
    return 1 + this.draws.below(most);
  }

  isSo(): boolean {
    return this.draws.below(2) === 1;
  }

  /** Mostly a few tokens, sometimes more than two blocks. */
  seqlen(): number {
    return this.upTo(this.draws.below(4) === 0 ? 70 : 12);
  }

  tensor(...shape: number[]): Tensor {
    return this.draws.tensor(this.family, ...shape);
  }
}

const exact = (values: Vector): Approx[] => Array.from(values, exactly);
export const bounded = (values: Vector, bounds: readonly Approx[]): Approx[] =>
  bounds.map(({ error }, i) => ({ value: values[i], error }));
const nothing = (length: number): Approx[][] => Array.from({ length }, () => []);

function ropeCase(sizes: Sizes): Case {
  const [batch, seqlen, heads] = [sizes.upTo(3), sizes.seqlen(), sizes.upTo(3)];
  const pairs = sizes.upTo(6);
  const headDim = 2 * (pairs + sizes.draws.below(3));
  const pairing = sizes.isSo() ? 'half' : 'interleaved';
  const frequencies = Float64Array.from({ length: pairs }, () => sizes.draws.uniform());
  const flat = [batch * seqlen, heads * headDim];
  const [x, dy] = [sizes.tensor(...flat), sizes.tensor(...flat)];
  const shaped = (t: Tensor) => reshape(t, batch, seqlen, heads, headDim);
  const angles = ropeAngles(
    Array.from({ length: seqlen }, (_, t) => t),
    frequencies,
  );
  const input = { x: shaped(x), angles, pairing } as const;
  const back = { ...angles, data: angles.data.map((angle) => -angle) };
  const terms = ropeBounds({ x: shaped(dy), angles: back, pairing }, calc).y.map((one) => [one]);
  return {
    input: { x, headDim, frequencies, pairing, seqlen },
    dy,
    y: bounded(rope(input).y.data, ropeBounds(input, calc).y),
    gradients: { x: { values: ropeGradient(input, shaped(dy)).x.data, terms } },
  };
}

export function attentionCase(
  sizes: Sizes,
  batch = sizes.upTo(2),
  seqlen = sizes.seqlen(),
  headDim = sizes.upTo(11),
  nKvHeads = sizes.upTo(2),
  group = sizes.upTo(3),
): Case {
  const nHeads = nKvHeads * group;
  const rows = batch * seqlen;
  const [q, dy] = [0, 1].map(() => sizes.tensor(rows, nHeads * headDim));
  const [k, v] = [0, 1].map(() => sizes.tensor(rows, nKvHeads * headDim));
  const scale = Math.fround(1 / Math.sqrt(headDim));
  const shaped = (t: Tensor, heads: number) => reshape(t, batch, seqlen, heads, headDim);
  const [keys, values] = [shaped(k, nKvHeads), shaped(v, nKvHeads)];
  const input = { q: shaped(q, nHeads), keys, values, scale };
  const want = attentionGradient(input, shaped(dy, nHeads));
  const y = attentionBounds(input, calc).y;

  const [Q, K, V, DY] = [q, k, v, dy].map(({ data }) => exact(data));
  const [dq, dk, dv] = [q, k, v].map(({ data }) => nothing(data.length));
  const headOf = (all: Approx[], at: number) => all.slice(at, at + headDim);
  for (let row = 0; row < rows; row++) {
    for (let head = 0; head < nHeads; head++) {
      const at = (row * nHeads + head) * headDim;
      const seen = Array.from({ length: (row % seqlen) + 1 }, (_, j) => {
        const token = row - (row % seqlen) + j;
        return (token * nKvHeads + Math.floor(head / group)) * headDim;
      });
      const query = headOf(Q, at);
      const scores = seen.map((key) => calc.mul(exactly(scale), calc.dot(query, headOf(K, key))));
      const weights = softmaxOf(scores, calc);
      const mean = calc.dot(headOf(DY, at), headOf(y, at));
      seen.forEach((key, j) => {
        const slope = calc.sub(calc.dot(headOf(DY, at), headOf(V, key)), mean);
        const score = calc.mul(exactly(scale), calc.mul(weights[j], slope));
        for (let p = 0; p < headDim; p++) {
          dq[at + p].push(calc.mul(score, K[key + p]));
          dk[key + p].push(calc.mul(score, Q[at + p]));
          dv[key + p].push(calc.mul(weights[j], DY[at + p]));
        }
      });
    }
  }
  return {
    input: { q, k, v, nHeads, nKvHeads, scale, seqlen },
    dy,
    y: bounded(attention(input).y.data, y),
    gradients: {
      q: { values: want.q.data, terms: dq },
      k: { values: want.keys.data, terms: dk },
      v: { values: want.values.data, terms: dv },
    },
  };
}

/** Attention's weights: y alone. */
export function attentionMatrixCase(sizes: Sizes): Omit<Case, 'dy' | 'gradients'> {
  const { input } = attentionCase(sizes);
  const { q, k, v, nHeads, nKvHeads, scale, seqlen } = input as Record<string, Tensor & number>;
  const shaped = (t: Tensor, heads: number) =>
    reshape(t, t.shape[0] / seqlen, seqlen, heads, t.shape[1] / heads);
  const shapes = { q: shaped(q, nHeads), keys: shaped(k, nKvHeads), values: shaped(v, nKvHeads) };
  const all = { ...shapes, scale, withWeights: true };
  const values = attention(all).weights?.data ?? [];
  return { input, y: bounded(values as Vector, attentionBounds(all, calc).weights ?? []) };
}

export function mixerMatrixCase(
  sizes: Sizes,
  batch = sizes.upTo(2),
  seqlen = sizes.seqlen(),
  dState = sizes.upTo(11),
  nGroups = sizes.upTo(2),
  perGroup = sizes.upTo(3),
): Case {
  const nHeads = nGroups * perGroup;
  const rows = batch * seqlen;
  // from almost nothing to almost everything is forgotten
  const most = [0.1, 1, 30][sizes.draws.below(3)];
  const a = sizes.draws.tensorBetween(-8, most, rows, nHeads);
  const [B, C] = [0, 1].map(() => sizes.tensor(rows, nGroups * dState));
  const D = sizes.isSo() ? sizes.tensor(nHeads) : undefined;
  const dy = sizes.tensor(batch * nHeads * seqlen, seqlen);
  const shaped = (t: Tensor) => reshape(t, batch, seqlen, nGroups, dState);
  const input = {
    x: { data: new Float64Array(rows * nHeads), shape: [batch, seqlen, nHeads, 1] },
    a: reshape(a, batch, seqlen, nHeads),
    ...{ B: shaped(B), C: shaped(C), D: D && reshape(D, nHeads, 1) },
  };
  const want = discreteSsdMatrixGradient(input, reshape(dy, batch, nHeads, seqlen, seqlen));

  const [bs, cs, dys] = [B, C, dy].map(({ data }) => exact(data));
  const [da, dB, dC] = [a, B, C].map(({ data }) => nothing(data.length));
  const dD = nothing(nHeads);
  const y = dys.map(() => exactly(0));
  for (let b = 0; b < batch; b++) {
    for (let head = 0; head < nHeads; head++) {
      const at = (t: number) => ((b * seqlen + t) * nGroups + Math.floor(head / perGroup)) * dState;
      const logits = Array.from(
        { length: seqlen },
        (_, t) => a.data[(b * seqlen + t) * nHeads + head],
      );
      const logDecays = logits.map((logit) => calc.logSigmoid(exactly(-logit)));
      const forgets = logits.map((logit) => negated(calc.sigmoid(exactly(logit))));
      for (let t = 0; t < seqlen; t++) {
        for (let s = 0; s <= t; s++) {
          const place = ((b * nHeads + head) * seqlen + t) * seqlen + s;
          const product = calc.dot(
            cs.slice(at(t), at(t) + dState),
            bs.slice(at(s), at(s) + dState),
          );
          const decay = calc.exp(calc.sum(logDecays.slice(s + 1, t + 1)));
          y[place] = calc.mul(product, decay);
          if (s === t) y[place] = calc.add(y[place], exactly(D?.data[head] ?? 0));
          if (s === t) dD[head].push(dys[place]);
          const slope = calc.mul(dys[place], decay);
          for (let n = 0; n < dState; n++) {
            dC[at(t) + n].push(calc.mul(slope, bs[at(s) + n]));
            dB[at(s) + n].push(calc.mul(slope, cs[at(t) + n]));
          }
          const ofDecay = calc.mul(slope, product);
          for (let k = s + 1; k <= t; k++) {
            da[(b * seqlen + k) * nHeads + head].push(calc.mul(ofDecay, forgets[k]));
          }
        }
      }
    }
  }
  return {
    input: { a, B, C, D, nHeads, nGroups, seqlen },
    dy,
    y: bounded(discreteSsdMatrix(input).M.data, y),
    gradients: {
      a: { values: want.a.data, terms: da },
      B: { values: want.B.data, terms: dB },
      C: { values: want.C.data, terms: dC },
      ...(want.D && { D: { values: want.D.data, terms: dD } }),
    },
  };
}

export const CASES = { rope: ropeCase, attention: attentionCase, mixerMatrix: mixerMatrixCase };
