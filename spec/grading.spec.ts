/** What chains are judged by: right answers, what the ledger says, rewards of steps. */

import { describe, expect, it } from 'vitest';
import { aggregate } from '../lib/reasoning/aggregate.ts';
import type { LedgerChain } from '../lib/reasoning/chain.ts';
import { gradeChains, gradeLines } from '../lib/reasoning/grade.ts';
import { parseLedger } from '../lib/reasoning/ledger.ts';
import { refusal } from './ledgers.ts';

const line = (fields: object) => JSON.stringify({ problem: 0, sample: 0, answer: '1', ...fields });
const parse = (...lines: string[]) => parseLedger([{ name: 'f', lines, isOpen: false }]);

describe('grading', () => {
  const chain = (fields: Partial<LedgerChain>): LedgerChain => ({
    problem: 0,
    sample: 0,
    ...fields,
  });
  const grade = (...chains: LedgerChain[]) =>
    gradeChains(chains)[0].problems.flatMap((problem) => problem.chains);

  it('finds the answer in the text and compares it with the right one', () => {
    const [one] = grade(chain({ text: 'so the answer is 12.0', gold: '12' }));
    expect(one).toMatchObject({ isRight: true, form: '12' });
  });

  it('lets stand what the ledger says', () => {
    expect(grade(chain({ answer: '1', gold: '2', correct: true }))[0].isRight).toBe(true);
    expect(grade(chain({ text: '2', answer: null, gold: '2' }))[0]).toMatchObject({
      ...{ answer: null, form: null, isRight: false },
    });
  });

  it('takes the right answer from another chain of the problem', () => {
    const both = grade(chain({ answer: '2', gold: '2' }), chain({ sample: 1, answer: '2' }));
    expect(both.map(({ isRight }) => isRight)).toEqual([true, true]);
  });

  it.each([
    [
      [chain({ answer: '1' })],
      'LedgerGold: problem 0, sample 0: expected "gold" (the right answer) or "correct", got neither',
    ],
    [
      [chain({ answer: '1', gold: '1' }), chain({ sample: 1, answer: '1', gold: '2' })],
      'LedgerGold: problem 0: expected one right answer, got "1" and "2"; are these ledgers of the same problems?',
    ],
    [
      [chain({ answer: '1', gold: '1' })],
      'LedgerSamples: k: expected at most 1, as many as problem 0 has chains, got 2; choose a smaller one',
    ],
    [[], 'LedgerEmpty: aggregate: expected chains, got none'],
  ])('refuses %j', (chains, message) => {
    expect(refusal(() => aggregate(chains, { ks: [2] }))).toBe(message);
  });

  it.each([
    [{ ks: [0] }, 'Option: k: expected whole numbers ≥ 1, got 0'],
    [{ ks: [] }, 'Option: k: expected whole numbers ≥ 1, got none'],
    [{ seed: -1 }, 'Option: seed: expected a whole number in [0, 2^53), got -1'],
    [{ resamples: 1 }, 'Option: resamples: expected a whole number from 2 to 1,000,000, got 1'],
    [
      { subsets: Number.NaN },
      'Option: subsets: expected a whole number from 2 to 1,000,000, got NaN',
    ],
    [{ ties: 'all' as 'none' }, 'Option: ties: expected first, split or none, got all'],
    [{ order: 'last' as 'all' }, 'Option: order: expected all or first, got last'],
  ])('refuses the options %j', (options, message) => {
    expect(refusal(() => aggregate([chain({ answer: '1', gold: '1' })], options))).toBe(message);
  });

  it('makes rewards of the rewards of steps', () => {
    const chains = [chain({ answer: '1', gold: '1', reward: 9, stepRewards: [0.5, 0.125] })];
    const rewardBy = (stepRewards?: 'last' | 'min' | 'product' | 'mean') =>
      gradeChains(chains, { ...(stepRewards && { stepRewards }) })[0].problems[0].chains[0].reward;
    const all = (['last', 'min', 'product', 'mean'] as const).map(rewardBy);
    expect([...all, rewardBy()]).toEqual([0.125, 0.125, 0.0625, 0.3125, 9]);
    const without = [...chains, chain({ sample: 1, answer: '1', gold: '1', reward: 1 })];
    const [result] = aggregate(without, { stepRewards: 'last' });
    expect(result).toMatchObject({ weighted: null, bestOfN: null });
    expect(result.notes).toEqual([
      'weighted vote and best of N need a reward for every chain: 1 of 2 have none',
    ]);
    const huge = chain({ answer: '1', gold: '1', stepRewards: [1e200, 1e200] });
    expect(refusal(() => gradeChains([huge], { stepRewards: 'product' }))).toBe(
      'LedgerReward: problem 0, sample 0: expected a finite product of its step rewards, got Infinity',
    );
  });

  it('says where models were asked different problems, and equal answers judged differently', () => {
    const asked = (model: string, problem: number, sample = 0, correct = true) =>
      chain({ model, problem, sample, correct, answer: '1', reward: -1 });
    const notesOf = (...chains: LedgerChain[]) => aggregate(chains).map(({ notes }) => notes);
    const negative =
      'some rewards are negative: in a weighted vote their chains count against their answers';
    expect(notesOf(asked('a', 1), asked('b', 1))).toEqual([[negative], [negative]]);
    const other = 'not all models were asked the same problems: all were asked 1, this one ';
    expect(notesOf(asked('a', 1), asked('b', 1), asked('b', 2))).toEqual([
      [negative, `${other}1`],
      [negative, `${other}2`],
    ]);
    expect(notesOf(asked('a', 1), asked('a', 1, 1, false))[0][1]).toBe(
      '"correct" differs between equal answers of 1 problem: a vote for one counts as right in proportion',
    );
  });

  it('fills in every line, those said twice too, and keeps fields that we do not know', () => {
    const one = line({ answer: undefined, text: 'it is 3', gold: '3', note: 'kept' });
    const { lines } = parse(one, one, line({ sample: 1, gold: '3', correct: true }));
    const first = { problem: 0, sample: 0, text: 'it is 3', gold: '3', note: 'kept', answer: '3' };
    expect(gradeLines(lines)).toEqual([
      { ...first, correct: true },
      { ...first, correct: true },
      { problem: 0, sample: 1, answer: '1', gold: '3', correct: true },
    ]);
  });
});
