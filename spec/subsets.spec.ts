/** Random subsets and resamples: drawn evenly, and as far off as they say. */

import { describe, expect, it } from 'vitest';
import { aggregate } from '../lib/reasoning/aggregate.ts';
import { bootstrapIntervals } from '../lib/reasoning/bootstrap.ts';
import { expectedVotes } from '../lib/reasoning/expectedVotes.ts';
import { ballotOf } from '../lib/reasoning/problemMetrics.ts';
import { drawInFront, eachSubset, subsetCount, Words } from '../lib/reasoning/subsets.ts';
import { Tally } from '../lib/reasoning/tally.ts';
import { SEED } from './support.ts';

describe('random subsets', () => {
  it.each(['first', 'split', 'none'] as const)(
    'come as close to all subsets as their standard errors say, ties %s',
    (rule) => {
      const answers = ['a', 'b', 'c', null];
      const chains = Array.from({ length: 18 }, (_, i) => {
        const answer = answers[(i * i) % 7 === 1 ? 0 : i % 4];
        return { sample: i, answer, form: answer, isRight: answer === 'a' };
      });
      const ballot = ballotOf(
        chains,
        chains.map((_, i) => 1 + (i % 3) / 4),
        rule,
      );
      const ks = [6, 9];
      const stream = { seed: SEED, index: 0, purpose: 'subsets' as const };
      const drawn = expectedVotes({ ballot, ks, subsets: 2000, stream });
      ks.forEach((k, i) => {
        const { value, standardError = Number.NaN } = drawn[i];
        const tally = new Tally(ballot);
        let [sum, squares] = [0, 0];
        eachSubset(18, k, (subset) => {
          tally.clear();
          for (const one of subset) tally.add(one);
          sum += tally.share();
          squares += tally.share() ** 2;
        });
        const count = subsetCount(18, k, 1e6);
        const deviation = Math.sqrt(squares / count - (sum / count) ** 2);
        expect(Math.abs(value - sum / count)).toBeLessThan(5 * standardError);
        // a deviation found from 2,000 shares in [0, 1] is right to some per cent
        expect(Math.abs((standardError * Math.sqrt(2000)) / deviation - 1)).toBeLessThan(0.15);
      });
    },
  );

  it('of several problems are drawn apart: four like one have half its error', () => {
    const chains = (problems: number) =>
      Array.from({ length: 24 * problems }, (_, i) => {
        const [problem, sample] = [Math.floor(i / 24), i % 24];
        const answer = 'abac'[sample % 4];
        return { problem, sample, answer, gold: 'a', reward: 1 + (sample % 5) };
      });
    const options = { ks: [9], resamples: 2, canonical: (answer: string) => answer, seed: SEED };
    const errorOf = (problems: number) =>
      aggregate(chains(problems), options)[0].standardErrors.weighted?.[9] ?? Number.NaN;
    // 400 subsets: a deviation is right to some 5 %
    expect(Math.abs(errorOf(4) / errorOf(1) - 0.5)).toBeLessThan(0.15);
  });

  it('are drawn evenly', () => {
    const words = new Words({ seed: SEED, index: 3, purpose: 'subsets' });
    const counts = new Map<string, number>();
    const draws = 6000;
    for (let i = 0; i < draws; i++) {
      const items = Int32Array.from([0, 1, 2, 3, 4]);
      drawInFront(items, 2, words);
      const key = items.slice(0, 2).join();
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    expect(counts.size).toBe(20);
    const want = draws / 20;
    const chiSquared = [...counts.values()].reduce((sum, x) => sum + (x - want) ** 2 / want, 0);
    expect(chiSquared).toBeLessThan(50.8); // 19 degrees of freedom: once in 10,000 seeds
  });

  it('all of a size are visited once, in order', () => {
    for (const [n, k] of [
      [1, 1],
      [5, 2],
      [6, 6],
      [9, 4],
    ]) {
      const seen = new Set<string>();
      eachSubset(n, k, (subset) => {
        expect([...subset].sort((a, b) => a - b)).toEqual([...subset]);
        seen.add(subset.join());
      });
      expect(seen.size).toBe(subsetCount(n, k, 1e6));
    }
    expect(subsetCount(1000, 500, 4096)).toBe(Number.POSITIVE_INFINITY);
  });
});

describe('intervals', () => {
  const rowsOf = (values: readonly number[]) => values.map((value) => Float64Array.of(value));

  it('of equal problems have no width, and one seed gives one interval', () => {
    const rows = rowsOf(Array.from({ length: 9 }, () => 0.25));
    expect(bootstrapIntervals({ rows, resamples: 50, seed: 1 })).toEqual([[0.25, 0.25]]);
    const others = rowsOf([0, 1, 0.5, 1, 0, 0, 1]);
    const intervals = (seed: number) => bootstrapIntervals({ rows: others, resamples: 50, seed });
    expect(intervals(1)).toEqual(intervals(1));
    expect(intervals(1)).not.toEqual(intervals(2 ** 40 + 1));
  });

  it('of many problems are as wide as the normal law says', () => {
    // 400 problems, half of them right: a mean of 0.5 ± 1.96 · 0.5 / 20. The end points of 4,000 resamples have a relative
    // error of √(0.025 · 0.975 / 4000) / φ(1.96) / 1.96 = 2 %; 10 % is five times that
    const rows = rowsOf(Array.from({ length: 400 }, (_, i) => i % 2));
    const [[least, greatest]] = bootstrapIntervals({ rows, resamples: 4000, seed: SEED });
    const halfWidth = (1.96 * 0.5) / 20;
    expect(Math.abs(0.5 - least - halfWidth)).toBeLessThan(0.1 * halfWidth);
    expect(Math.abs(greatest - 0.5 - halfWidth)).toBeLessThan(0.1 * halfWidth);
  });
});
