import { describe, expect, it } from 'vitest';
import { planDecoding } from '../lib/decode/options.ts';
import { Draws } from '../lib/verify/values.ts';
import { softmaxInto } from '../reference/activations.ts';
import { uniform } from '../reference/philox.ts';
import {
  chooseToken,
  filterLogits,
  greedyToken,
  type SamplingStep,
} from '../reference/sampling.ts';
import type { Tensor } from '../reference/tensor.ts';
import { describeLaws, SEED } from './support.ts';

describeLaws('filterLogits', 'chooseToken', 'greedyToken');

const row = (...logits: number[]): Tensor => ({
  data: Float64Array.from(logits),
  shape: [1, logits.length],
});
const INF = Number.POSITIVE_INFINITY;
const EPS = Number.EPSILON;

/** A double in [0, 2) as a whole number of 2⁻¹⁰⁷⁴, exactly. */
function exactly(x: number): bigint {
  const bits = new DataView(new ArrayBuffer(8));
  bits.setFloat64(0, x);
  const all = bits.getBigUint64(0);
  const exponent = all >> 52n;
  const fraction = all & ((1n << 52n) - 1n);
  return exponent === 0n ? fraction : (fraction | (1n << 52n)) << (exponent - 1n);
}

/** Ids of the smallest set of likeliest tokens with mass ≥ p; undefined where rounding may decide. */
function smallestSet(
  logits: Float64Array,
  p: number,
): { ids: number[]; isExact: boolean } | undefined {
  const probabilities = new Float64Array(logits.length);
  softmaxInto(probabilities, logits, 0, logits.length);
  const order = Array.from(logits.keys()).sort((a, b) => logits[b] - logits[a] || a - b);
  const wanted = exactly(p);
  const near = exactly(1e-12);
  let mass = 0n;
  const ids: number[] = [];
  for (const id of order) {
    if (mass >= wanted) break;
    ids.push(id);
    mass += exactly(probabilities[id]);
    const off = mass > wanted ? mass - wanted : wanted - mass;
    if (off > 0n && off < near) return undefined;
  }
  return {
    ids: ids.filter((id) => logits[id] > -INF).sort((a, b) => a - b),
    isExact: mass === wanted,
  };
}

it('top-p keeps exactly the smallest set with mass ≥ p, on 6,000 distributions in rational arithmetic', () => {
  const draws = new Draws(SEED);
  let [skipped, exact] = [0, 0];
  for (let run = 0; run < 6000; run++) {
    const kind = run % 3; // spread, tied, or dyadic: 2^k equal logits among removed ones
    const vocabSize = 1 + draws.below(12);
    const kept = 2 ** draws.below(5);
    const logits =
      kind === 2
        ? Float64Array.from({ length: kept + 3 }, (_, i) => (i % (kept + 3) < 3 ? -INF : 0.25))
        : Float64Array.from({ length: vocabSize }, () => draws.between(-6, 6));
    if (kind === 1) logits.set(logits.map((x) => Math.round(x / 3)));
    const p = kind === 2 ? (1 + draws.below(kept)) / kept : 1 - draws.uniform();
    const want = smallestSet(logits, p);
    if (!want) {
      skipped++;
      continue;
    }
    if (want.isExact) exact++;
    const { data } = filterLogits({ logits: row(...logits), steps: [{ kind: 'topP', p }] }).logits;
    const got = Array.from(data.keys()).filter((id) => data[id] > -INF);
    expect(got, `p = ${p} of ${logits.join(' ')}`).toEqual(want.ids);
    for (const id of got) expect(data[id]).toBe(logits[id]);
  }
  expect(skipped).toBeLessThan(100);
  expect(exact).toBeGreaterThan(1500);
});

it('100,000 draws by philox follow the distribution (χ²), and a removed token is never drawn', () => {
  const logits = row(0.3, -1, 2, -INF, 1.1, 0, -2.5, 1.9, -INF, 0.7, -0.4);
  const probabilities = new Float64Array(logits.data.length);
  softmaxInto(probabilities, logits.data, 0, logits.data.length);
  const n = 100_000;
  const counts = new Array<number>(probabilities.length).fill(0);
  for (let sample = 0; sample < n; sample++) {
    const u = [uniform({ seed: SEED, problem: 0, sample, position: 4 })];
    const { tokens, logprobs } = chooseToken({ logits, u });
    counts[tokens[0]]++;
    if (sample % 1000 === 0) {
      expect(logprobs[0]).toBeCloseTo(Math.log(probabilities[tokens[0]]), 12);
    }
  }
  expect([counts[3], counts[8]]).toEqual([0, 0]);
  const chiSquare = counts.reduce((sum, count, i) => {
    const want = n * probabilities[i];
    return want === 0 ? sum : sum + (count - want) ** 2 / want;
  }, 0);
  expect(chiSquare).toBeLessThan(31.8); // 0.9999 of the distribution with 8 degrees of freedom
});

describe('the edges of the steps', () => {
  const apply = (step: SamplingStep) => [
    ...filterLogits({ logits: row(1, 3, 3, -2), steps: [step], previous: [[1, 3]] }).logits.data,
  ];
  const temperature = (t: number) => apply({ kind: 'temperature', temperature: t });
  const penalty = (x: number) => apply({ kind: 'repetitionPenalty', penalty: x });
  const topK = (k: number) => apply({ kind: 'topK', k });
  const topP = (p: number) => apply({ kind: 'topP', p });
  const minP = (p: number) => apply({ kind: 'minP', p });

  it.each([
    ['temperature', temperature, /^temperature: expected a number > 0, got/, [0, -EPS, INF]],
    [
      'repetitionPenalty',
      penalty,
      /^repetitionPenalty: expected a number > 0, got/,
      [0, -EPS, INF],
    ],
    ['topK', topK, /^topK: expected a whole number ≥ 1, got/, [0, -EPS, 1 + EPS, INF]],
    ['topP', topP, /^topP: expected a number in \(0, 1\], got/, [0, -EPS, 1 + EPS]],
    ['minP', minP, /^minP: expected a number in \[0, 1\], got/, [-EPS, 1 + EPS]],
  ] as const)('%s refuses what is outside of its range', (_, run, message, values) => {
    for (const value of [...values, Number.NaN]) expect(() => run(value)).toThrow(message);
  });

  it('1 changes nothing for temperature, repetition penalty and top-p', () => {
    for (const run of [temperature, penalty, topP]) expect(run(1)).toEqual([1, 3, 3, -2]);
  });

  it('temperature and repetition penalty take numbers above 1', () => {
    expect(temperature(2)).toEqual([0.5, 1.5, 1.5, -1]);
    expect(penalty(2)).toEqual([1, 1.5, 3, -4]);
    expect(temperature(1 + EPS)[0]).toBe(1 / (1 + EPS));
  });

  it('top-k of 1 keeps all of the likeliest that are equal', () => {
    expect(topK(1)).toEqual([-INF, 3, 3, -INF]);
  });

  it('the smallest top-p keeps one token, the first of equals', () => {
    expect(topP(Number.MIN_VALUE)).toEqual([-INF, 3, -INF, -INF]);
  });

  it('min-p of 0 keeps all, min-p of 1 keeps the likeliest and its equals', () => {
    expect(minP(0)).toEqual([1, 3, 3, -2]);
    expect(minP(1)).toEqual([-INF, 3, 3, -INF]);
  });

  it('a filter keeps minKeep tokens, which must be a whole number ≥ 1', () => {
    expect(apply({ kind: 'topP', p: 0.1, minKeep: 3 })).toEqual([1, 3, 3, -INF]);
    expect(apply({ kind: 'minP', p: 1, minKeep: 4 })).toEqual([1, 3, 3, -2]);
    for (const minKeep of [0, -EPS, 1 + EPS]) {
      expect(() => apply({ kind: 'topK', k: 1, minKeep })).toThrow(
        /^minKeep: expected a whole number ≥ 1/,
      );
    }
  });

  it('a logit bias is added, −Infinity bans, and +Infinity, NaN and bad ids are refused', () => {
    const bias = (token: number, value: number) => () =>
      apply({ kind: 'logitBias', bias: new Map([[token, value]]) });
    expect(bias(0, 2)()).toEqual([3, 3, 3, -2]);
    expect(bias(1, -INF)()).toEqual([1, -INF, 3, -2]);
    expect(bias(1, INF)).toThrow(/^logitBias: expected a number or −Infinity, got Infinity/);
    expect(bias(1, Number.NaN)).toThrow(/^logitBias: expected a number or −Infinity, got NaN/);
    expect(bias(-1, 0)).toThrow(/^logitBias: expected a token id ≥ 0, got -1/);
    expect(bias(1 + EPS, 0)).toThrow(/^logitBias: expected a token id ≥ 0/);
  });

  it('u of 0 takes the first token that is left, u of just below 1 the last', () => {
    const logits = row(-INF, 1, 1, -INF);
    expect(chooseToken({ logits, u: [0] }).tokens).toEqual([1]);
    expect(chooseToken({ logits, u: [1 - EPS / 2] }).tokens).toEqual([2]);
  });

  it.each([1, 1 + EPS, -EPS, Number.NaN])('u of %d is refused', (u) => {
    expect(() => chooseToken({ logits: row(1, 2), u: [u] })).toThrow(
      /^chooseToken: u: expected a number in \[0, 1\) for row 0, got/,
    );
  });
});

describe('the edges of the options of generate', () => {
  it('temperature 0 is greedy, and topK 0, topP 1, minP 0 and penalty 1 are off', () => {
    const off = { topK: 0, topP: 1, minP: 0, repetitionPenalty: 1 };
    expect(planDecoding({ ...off, temperature: 0 }, 8)).toMatchObject({
      isGreedy: true,
      steps: [],
    });
    expect(planDecoding({ ...off, temperature: 1 }, 8)).toMatchObject({
      isGreedy: false,
      steps: [],
    });
  });

  it.each([
    [{ temperature: -EPS }, /^temperature: expected a number ≥ 0, got/],
    [{ temperature: Number.NaN }, /^temperature: expected a number ≥ 0, got NaN/],
    [{ temperature: INF }, /^temperature: expected a number ≥ 0, got Infinity/],
    [{ topP: 0 }, /^topP: expected a number in \(0, 1\], got 0/],
    [{ topP: -EPS }, /^topP: expected a number in \(0, 1\]/],
    [{ topP: 1 + EPS }, /^topP: expected a number in \(0, 1\]/],
    [{ minP: -EPS }, /^minP: expected a number in \[0, 1\]/],
    [{ minP: 1 + EPS }, /^minP: expected a number in \[0, 1\]/],
    [{ topK: -EPS }, /^topK: expected a whole number ≥ 1/],
    [{ topK: 1 + EPS }, /^topK: expected a whole number ≥ 1/],
    [{ repetitionPenalty: 0 }, /^repetitionPenalty: expected a number > 0, got 0/],
    [{ repetitionPenalty: -EPS }, /^repetitionPenalty: expected a number > 0/],
    [{ temperature: 0, topP: 2 }, /^topP: expected a number in \(0, 1\], got 2/],
    [{ seed: -1 }, /^seed: expected a whole number in \[0, 2\^53\), got -1/],
    [{ samples: 0 }, /^samples: expected a whole number from 1 to/],
    [{ maxTokens: 0 }, /^maxTokens: expected a whole number from 1 to/],
    [{ maxRows: 1 + EPS }, /^maxRows: expected a whole number from 1 to/],
    [{ stop: [''] }, /^stop: expected texts of at least one character/],
    [{ stopTokens: [8] }, /^stopTokens: expected a whole number from 0 to 7, got 8/],
    [{ logitBias: { 8: 1 } }, /^logitBias: expected token ids in \[0, 8\), got 8/],
    [{ logitBias: { 1: INF } }, /^logitBias: expected a number or −Infinity, got Infinity/],
  ])('%j is refused by name and range', (options, message) => {
    expect(() => planDecoding(options, 8)).toThrow(message);
  });
});

describe('logits that are no numbers', () => {
  const choose = (logits: Tensor) => chooseToken({ logits, u: [0.5] });
  const greedy = (logits: Tensor) => greedyToken({ logits });

  it.each([choose, greedy])('NaN and +Infinity are refused at every position (%o)', (run) => {
    for (let i = 0; i < 7; i++) {
      for (const bad of [Number.NaN, INF]) {
        const logits = row(0, 1, 2, -INF, 4, 3, 2);
        logits.data[i] = bad;
        expect(() => run(logits)).toThrow(
          expect.objectContaining({
            code: 'NonFiniteLogits',
            message: expect.stringMatching(`got ${bad} for token ${i};`),
          }),
        );
      }
    }
  });

  it.each([choose, greedy])('a row of −Infinity alone is refused (%o)', (run) => {
    expect(() => run(row(-INF, -INF))).toThrow(
      expect.objectContaining({
        code: 'NonFiniteLogits',
        message: expect.stringMatching(/no token left to choose/),
      }),
    );
  });
});
