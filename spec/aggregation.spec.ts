/** Published votes and step scores reproduced by the public functions, and ten thousand chains in the time that they may take. */

import { describe, expect, it } from 'vitest';
import { aggregate } from '../lib/reasoning/aggregate.ts';
import type { LedgerChain } from '../lib/reasoning/chain.ts';
import { gradeChains } from '../lib/reasoning/grade.ts';
import { predictionColumns } from '../lib/reasoning/searchAndLearn.ts';
import { STEP_SCORES, VOTES } from './goldenVotes.ts';

describe('huggingface/search-and-learn', () => {
  it('has 12 votes and 4 scores of steps', () => {
    expect([VOTES.length, STEP_SCORES.length]).toEqual([12, 4]);
  });

  it.each(VOTES)('finds the same answers and pass@k in $preds', (golden) => {
    const { preds, scores, answer: gold } = golden;
    const chains = preds.map((answer, sample) => ({
      ...{ problem: 0, sample, answer, gold, reward: scores[sample] },
    }));
    const n = preds.length;
    const [columns] = predictionColumns(gradeChains(chains)[0], [n]);
    expect(columns).toEqual({
      problem: 0,
      [`pred_naive@${n}`]: golden.best_of_n,
      [`pred_weighted@${n}`]: golden.weighted,
      [`pred_maj@${n}`]: golden.majority,
    });
    const ks = Object.keys(golden.pass_at_k).map(Number);
    const [{ coverage }] = aggregate(chains, { ks, resamples: 2 });
    for (const k of ks) expect(Math.abs(coverage[k] - golden.pass_at_k[k])).toBeLessThan(1e-12);
  });

  it.each(STEP_SCORES)('makes the same reward of the steps $scores', (golden) => {
    const chains = [{ problem: 0, sample: 0, answer: '1', gold: '1', stepRewards: golden.scores }];
    const reward = (stepRewards: 'min' | 'product' | 'last') =>
      gradeChains(chains, { stepRewards })[0].problems[0].chains[0].reward;
    expect(reward('min')).toBe(golden.min);
    expect(reward('last')).toBe(golden.last);
    expect(reward('product')).toBeCloseTo(golden.prod, 15);
  });
});

describe('ten thousand chains', () => {
  /** Ten answers or more to each problem, no two rewards alike. */
  const ledger = (problems: number, samples: number): LedgerChain[] =>
    Array.from({ length: problems * samples }, (_, i) => {
      const [problem, sample] = [Math.floor(i / samples), i % samples];
      const noise = Math.imul(i + 1, 0x9e3779b1) >>> 8;
      const text = `that makes ${noise % 3 === 0 ? 0 : noise % 41}`;
      return { problem, sample, text, gold: '0', reward: noise / 2 ** 24 };
    });

  it.each([
    [10, 1000],
    [100, 100],
    [1250, 8],
    [10_000, 1],
  ])('about %d problems are judged in less than 2 s of one core', (problems, samples) => {
    const chains = ledger(problems, samples);
    const before = process.cpuUsage();
    const [result] = aggregate(chains);
    const { user, system } = process.cpuUsage(before);
    expect((user + system) / 1e6).toBeLessThan(2);
    expect(result).toMatchObject({ problems, chains: 10_000, withoutAnswer: 0 });
  });
});
