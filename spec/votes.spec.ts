import { describe, expect, it } from 'vitest';
import {
  aggregateStepScores,
  bestOfN,
  majorityVote,
  passAtK,
  weightedVote,
} from '../reference/votes.ts';
import { STEP_SCORES, VOTES } from './goldenVotes.ts';
import { describeLaws } from './support.ts';

describeLaws('majorityVote', 'weightedVote', 'bestOfN', 'aggregateStepScores', 'passAtK');

function permutations<T>(items: readonly T[]): T[][] {
  if (items.length === 0) return [[]];
  return items.flatMap((item, i) =>
    permutations([...items.slice(0, i), ...items.slice(i + 1)]).map((rest) => [item, ...rest]),
  );
}

describe('ties', () => {
  const answers = ['a', 'a', 'b', 'b', 'c', null];

  it('split gives all winners the same share in each of the 720 orders of six answers', () => {
    const orders = permutations(answers);
    expect(orders.length).toBe(720);
    for (const order of orders) {
      const { winners } = majorityVote({ answers: order, ties: 'split' });
      expect(winners.map(({ answer }) => answer).sort()).toEqual(['a', 'b']);
      expect(winners.map(({ share }) => share)).toEqual([0.5, 0.5]);
    }
  });

  it('first takes the answer seen first in each of the 720 orders', () => {
    for (const order of permutations(answers)) {
      const first = order.find((answer) => answer === 'a' || answer === 'b');
      expect(majorityVote({ answers: order }).winners).toEqual([{ answer: first, share: 1 }]);
    }
  });

  it('none gives no winner, unless one answer is ahead', () => {
    expect(majorityVote({ answers, ties: 'none' }).winners).toEqual([]);
    const ahead = [...answers, 'b'];
    expect(majorityVote({ answers: ahead, ties: 'none' }).winners).toEqual([
      { answer: 'b', share: 1 },
    ]);
  });

  it('chains without an answer never win, however heavy', () => {
    const vote = weightedVote({ answers: [null, 'a', null], weights: [9, 1, 9] });
    expect(vote.winners).toEqual([{ answer: 'a', share: 1 }]);
    expect(majorityVote({ answers: [null, null] }).winners).toEqual([]);
    expect(majorityVote({ answers: [] }).winners).toEqual([]);
  });

  it('answers named like parts of JavaScript objects are answers', () => {
    const { winners } = majorityVote({ answers: ['1', '__proto__', 'toString', '__proto__'] });
    expect(winners).toEqual([{ answer: '__proto__', share: 1 }]);
  });
});

describe('errors', () => {
  it('a weighted vote needs one finite weight per answer', () => {
    const answers = ['a', 'b'];
    expect(() => weightedVote({ answers, weights: [1] })).toThrow(/weights: expected 2 .* got 1/);
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => weightedVote({ answers, weights: [1, bad] })).toThrow(
        /^weightedVote: weights: expected 2 finite numbers, got (NaN|Infinity)/,
      );
    }
  });

  it('best of none, or of a reward that is no number, is refused', () => {
    expect(() => bestOfN({ rewards: [] })).toThrow(/^bestOfN: rewards: expected 1 finite/);
    expect(() => bestOfN({ rewards: [1, Number.NaN] })).toThrow(/^bestOfN: rewards: .* got NaN/);
  });

  it('step scores must be there and finite, and the method must be known', () => {
    expect(() => aggregateStepScores({ scores: [], method: 'min' })).toThrow(/expected 1 finite/);
    const scores = [Number.NEGATIVE_INFINITY];
    expect(() => aggregateStepScores({ scores, method: 'last' })).toThrow(/got -Infinity/);
    const method = 'median' as 'mean';
    expect(() => aggregateStepScores({ scores: [1], method })).toThrow(
      /method: expected last, min, product or mean, got median/,
    );
  });

  it.each([
    [4, 5, 1],
    [4, -1, 1],
    [4, 2, 0],
    [4, 2, 5],
    [4, 1.5, 1],
    [4, 2, Number.NaN],
  ])('passAtK refuses nSamples %d, nCorrect %d, k %d', (nSamples, nCorrect, k) => {
    expect(() => passAtK({ nSamples, nCorrect, k })).toThrow(/^passAtK: expected whole numbers/);
  });
});

/**
 * Published code's own results (huggingface/search-and-learn). Voting groups answers by canonical form: for the
 * few spellings of these cases this table is enough, and the reference needs no more. Answers themselves:
 * answersPublished.spec.ts.
 */
describe('golden aggregation', () => {
  const SAME: Record<string, string> = { '\\dfrac{1}{2}': '\\frac{1}{2}', '12.0': '12' };
  const canonical = (text: string) => SAME[text] ?? text;

  it('there are 12 votes and 4 step scores to check', () => {
    expect([VOTES.length, STEP_SCORES.length]).toEqual([12, 4]);
  });

  it.each(VOTES)('votes and pass@k over $preds are the published ones', (golden) => {
    const { preds, scores, answer } = golden;
    const answers = preds.map(canonical);
    const spelled = (vote: { winners: { answer: string }[] }) =>
      `\\boxed{${preds[answers.indexOf(vote.winners[0].answer)]}}`;
    expect(spelled(majorityVote({ answers }))).toBe(golden.majority);
    expect(spelled(weightedVote({ answers, weights: scores }))).toBe(golden.weighted);
    expect(`\\boxed{${preds[bestOfN({ rewards: scores }).best]}}`).toBe(golden.best_of_n);
    const nCorrect = answers.filter((item) => item === canonical(answer)).length;
    for (const [k, want] of Object.entries(golden.pass_at_k)) {
      const { probability } = passAtK({ nSamples: preds.length, nCorrect, k: Number(k) });
      expect(probability).toBeCloseTo(want, 12);
    }
  });

  it.each(STEP_SCORES)('the scores of steps $scores are the published ones', (golden) => {
    const { scores, min, prod, last } = golden;
    expect(aggregateStepScores({ scores, method: 'min' }).score).toBe(min);
    expect(aggregateStepScores({ scores, method: 'product' }).score).toBeCloseTo(prod, 15);
    expect(aggregateStepScores({ scores, method: 'last' }).score).toBe(last);
  });
});
