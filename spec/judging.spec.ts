/** Judging chains: votes, coverage and best of n over all subsets, against counting every one of them. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { aggregate } from '../lib/reasoning/aggregate.ts';
import { expectedMajority } from '../lib/reasoning/expectedMajority.ts';
import { anyOf } from '../lib/reasoning/problemMetrics.ts';
import { wholeWeights } from '../lib/reasoning/tally.ts';
import {
  chain,
  choose,
  isRight,
  ledgerOf,
  overSubsets,
  POLICIES,
  problem,
  quotient,
  ties,
} from './ledgers.ts';
import { RUNS, SEED } from './support.ts';

const settings = { seed: SEED, numRuns: RUNS };
/** Answers are what they are. */
const canonical = (answer: string) => answer;
const extract = () => null;
const grading = { canonical, extract };

/** Rounding of some hundred additions and multiplications of numbers in [0, 1]. */
const ROUNDING = 1e-12;

describe('the average over all subsets', () => {
  it('is that of counting each of them, for every policy, k and rule for ties', () => {
    fc.assert(
      fc.property(problem, ties, (chains, policy) => {
        // equal rewards are no weights, so the vote is that of the majority
        const isConstant = chains.every(({ reward }) => reward === chains[0].reward);
        const ks = chains.map((_, i) => i + 1);
        const [result] = aggregate(ledgerOf([chains]), { ...grading, ks, ties: policy });
        for (const [name, judge] of Object.entries(POLICIES(policy))) {
          if (name === 'weighted' && isConstant) continue;
          for (const k of ks) {
            const found = result[name as keyof ReturnType<typeof POLICIES>]?.[k];
            const want = overSubsets(chains, k, judge);
            expect(Math.abs((found ?? Number.NaN) - want), `${name} of ${k}`).toBeLessThan(
              ROUNDING,
            );
          }
        }
        expect(result.standardErrors).toEqual({});
      }),
      settings,
    );
  });

  it('is the mean over problems, and of one chain the mean of right ones', () => {
    fc.assert(
      fc.property(fc.array(problem, { minLength: 1, maxLength: 5 }), (problems) => {
        const [result] = aggregate(ledgerOf(problems), { ...grading, ks: [1], resamples: 2 });
        const shares = problems.map((own) => own.filter(isRight).length / own.length);
        const mean = shares.reduce((sum, share) => sum + share, 0) / shares.length;
        const { coverage, majority, bestOfN: best, allRight } = result;
        for (const figure of [{ 1: result.mean }, coverage, majority, best, allRight]) {
          expect(Math.abs((figure?.[1] ?? Number.NaN) - mean)).toBeLessThan(ROUNDING);
        }
      }),
      settings,
    );
  });

  it('of a majority is exact where there are hundreds of chains', () => {
    // two answers, no ties for odd k: the majority is a sum of hypergeometric probabilities
    for (const [right, wrong, k] of [
      [150, 130, 101],
      [10, 400, 9],
      [700, 300, 501],
    ]) {
      const n = BigInt(right + wrong);
      let wins = 0n;
      for (let t = (k + 1) / 2; t <= k; t++) {
        wins += choose(BigInt(right), BigInt(t)) * choose(BigInt(wrong), BigInt(k - t));
      }
      const want = quotient(wins, choose(n, BigInt(k)));
      const input = { counts: [right, wrong], rightness: [1, 0], withoutAnswer: 0, k };
      for (const rule of ['split', 'none'] as const) {
        const found = expectedMajority({ ...input, ties: rule });
        expect(Math.abs(found - want), `${right} ${wrong} ${k}`).toBeLessThan(1e-12);
      }
    }
  });

  it('of a majority, counted answer by answer, is that of counting each subset', () => {
    const of = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(of, fc.integer({ min: 0, max: 3 }), fc.nat(), (counts, withoutAnswer, draw) => {
        const names = ['a', 'b', 'c', 'd'];
        const chains = counts
          .flatMap((count, i) => Array<string | null>(count).fill(names[i]))
          .concat(Array(withoutAnswer).fill(null))
          .slice(0, 11)
          .map((answer) => ({ answer, reward: 1 }));
        const present = names.map((name) => chains.filter(({ answer }) => answer === name).length);
        const n = chains.length;
        if (n < 2) return;
        const k = 1 + (draw % (n - 1));
        for (const rule of ['split', 'none'] as const) {
          const input = { counts: present.filter((count) => count > 0), rightness: [1, 0, 0, 0] };
          const left = chains.filter(({ answer }) => answer === null).length;
          const found = expectedMajority({ ...input, withoutAnswer: left, k, ties: rule });
          const want = overSubsets(chains, k, POLICIES(rule).majority);
          expect(Math.abs(found - want), `${k} ${rule}`).toBeLessThan(ROUNDING);
        }
      }),
      settings,
    );
  });

  it('of a majority adds up to 1 over the answers when ties are split', () => {
    const counts = fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(counts, fc.integer({ min: 0, max: 99 }), (of, draw) => {
        const n = of.reduce((sum, count) => sum + count, 0);
        if (n < 2) return;
        const k = 1 + (draw % (n - 1));
        const input = { counts: of, withoutAnswer: 0, k, ties: 'split' as const };
        const all = expectedMajority({ ...input, rightness: of.map(() => 1) });
        expect(Math.abs(all - 1)).toBeLessThan(ROUNDING);
      }),
      settings,
    );
  });
});

describe('laws', () => {
  const many = fc.array(fc.array(chain, { minLength: 4, maxLength: 24 }), {
    minLength: 1,
    maxLength: 3,
  });

  it('constant rewards make the weighted vote the majority vote, to the bit', () => {
    const reward = fc.constantFrom(1, 0.1, 0, -3.7, 1e300, 5e-324);
    fc.assert(
      fc.property(
        many,
        reward,
        ties,
        fc.constantFrom('all', 'first'),
        (problems, same, rule, order) => {
          const equal = problems.map((own) => own.map((one) => ({ ...one, reward: same })));
          const options = { ...grading, ties: rule, order, resamples: 5, subsets: 20 } as const;
          const [result] = aggregate(ledgerOf(equal), options);
          expect(result.weighted).toEqual(result.majority);
          expect(result.intervals.weighted).toEqual(result.intervals.majority);
          expect(result.standardErrors.weighted).toEqual(result.standardErrors.majority);
        },
      ),
      settings,
    );
  });

  it('the order of lines changes nothing', () => {
    const order = fc.constantFrom('all' as const, 'first' as const);
    fc.assert(
      fc.property(
        many,
        fc.infiniteStream(fc.nat()),
        ties,
        order,
        (problems, draws, rule, which) => {
          const lines = ledgerOf(problems);
          const shuffled = lines
            .map((line) => ({ line, at: draws.next().value as number }))
            .sort((a, b) => a.at - b.at)
            .map(({ line }) => line);
          const options = { ...grading, ties: rule, order: which, resamples: 5, subsets: 20 };
          expect(aggregate(shuffled, options)).toEqual(aggregate(lines, options));
        },
      ),
      settings,
    );
  });

  it('more chains never cover less; neither a vote nor the best of them is better than coverage', () => {
    const few = fc.array(fc.array(chain, { minLength: 4, maxLength: 12 }), {
      minLength: 1,
      maxLength: 3,
    });
    fc.assert(
      fc.property(few, ties, (problems, rule) => {
        const [result] = aggregate(ledgerOf(problems), { ...grading, ties: rule, resamples: 2 });
        const ks = Object.keys(result.coverage);
        ks.forEach((k, i) => {
          expect(result.coverage[k]).toBeGreaterThanOrEqual(result.coverage[ks[i - 1]] ?? 0);
          for (const figure of [result.majority, result.weighted, result.bestOfN]) {
            expect(figure?.[k] ?? Number.NaN).toBeLessThanOrEqual(result.coverage[k] + ROUNDING);
            expect(figure?.[k] ?? Number.NaN).toBeGreaterThan(result.allRight[k] - ROUNDING);
          }
        });
      }),
      settings,
    );
  });

  it('with the order first, the reference votes on the first k, and ties go to the answer seen first', () => {
    fc.assert(
      fc.property(problem, (chains) => {
        const ks = chains.map((_, i) => i + 1);
        const [result] = aggregate(ledgerOf([chains]), { ...grading, ks, order: 'first' });
        expect(result.ties).toBe('first');
        const judges = POLICIES('first');
        for (const k of ks) {
          expect(result.coverage[k]).toBe(judges.coverage(chains.slice(0, k)));
          expect(result.majority[k]).toBe(judges.majority(chains.slice(0, k)));
          expect(result.bestOfN?.[k]).toBe(judges.bestOfN(chains.slice(0, k)));
        }
      }),
      settings,
    );
  });

  it('chains without an answer stay in the denominator and never win', () => {
    const chains = [null, null, null, 'a'].map((answer) => ({ answer, reward: answer ? 0 : 1 }));
    const [result] = aggregate(ledgerOf([chains]), { ...grading, ks: [1, 4] });
    expect(result).toMatchObject({ chains: 4, withoutAnswer: 3, mean: 0.25 });
    for (const figure of [result.coverage, result.majority, result.weighted, result.bestOfN]) {
      expect(figure).toEqual({ 1: 0.25, 4: 1 });
    }
    const none = aggregate(ledgerOf([chains.slice(0, 3)]), { ...grading, ks: [1, 3] });
    expect(none[0].majority).toEqual({ 1: 0, 3: 0 });
    expect(none[0].bestOfN).toEqual({ 1: 0, 3: 0 });
  });

  it('decimal rewards tie where their sums are equal on paper, in any order', () => {
    const weights = wholeWeights([0.1, 0.2, 0.3]);
    expect(weights[0] + weights[1]).toBe(weights[2]);
    const rough = wholeWeights([1 / 3, Math.PI, -Math.E]);
    expect([...rough].every(Number.isSafeInteger)).toBe(true);
    expect(rough[0] / rough[1]).toBeCloseTo(1 / 3 / Math.PI, 14);
  });
});

describe('coverage', () => {
  it('is within 1e-12 of rational arithmetic for up to ten thousand chains', () => {
    const n = fc.integer({ min: 1, max: 10_000 });
    fc.assert(
      fc.property(n, fc.nat(), fc.nat(), (nSamples, a, b) => {
        const nCorrect = a % (nSamples + 1);
        const k = 1 + (b % nSamples);
        const missed = choose(BigInt(nSamples - nCorrect), BigInt(k));
        const want = 1 - quotient(missed, choose(BigInt(nSamples), BigInt(k)));
        expect(Math.abs(anyOf(nSamples, nCorrect, k) - want)).toBeLessThanOrEqual(1e-12);
      }),
      { ...settings, numRuns: 25 },
    );
  });
});
