/** Judging many chains of thought: votes over answers, step scores, and pass@k. */

import { ConfigError } from './errors.ts';

/** What a tie means: the answer seen first wins, the winners share, or nobody wins. */
export type TiePolicy = 'first' | 'split' | 'none';

export interface WeightedVoteInput {
  /** The answer of each chain; null where none could be extracted, which never wins. */
  answers: readonly (string | null)[];
  /** Weight of each chain, e.g. its reward; finite. */
  weights: readonly number[];
  /** Default `first`. */
  ties?: TiePolicy;
}

export interface VoteOutput {
  /** Winning answers with shares that sum to 1; empty when there is no answer, or a tie and `none`. */
  winners: { answer: string; share: number }[];
}

/**
 * The answer whose chains weigh most together (weighted self-consistency). Equal totals are a tie.
 * @throws ConfigError when there is not one finite weight per answer.
 */
export function weightedVote({ answers, weights, ties = 'first' }: WeightedVoteInput): VoteOutput {
  expectNumbers('weightedVote: weights', weights, answers.length);
  const totals = new Map<string, number>(); // in order of first appearance
  for (let i = 0; i < answers.length; i++) {
    const answer = answers[i];
    if (answer !== null) totals.set(answer, (totals.get(answer) ?? 0) + weights[i]);
  }
  const most = Math.max(...totals.values());
  const best = [...totals.keys()].filter((answer) => totals.get(answer) === most);
  if (best.length > 1 && ties === 'none') return { winners: [] };
  const winners = ties === 'first' ? best.slice(0, 1) : best;
  return { winners: winners.map((answer) => ({ answer, share: 1 / winners.length })) };
}

export interface MajorityVoteInput {
  /** The answer of each chain; null where none could be extracted, which never wins. */
  answers: readonly (string | null)[];
  /** Default `first`. */
  ties?: TiePolicy;
}

/** The most frequent answer (self-consistency, Wang et al. 2022, arXiv 2203.11171). */
export function majorityVote({ answers, ties }: MajorityVoteInput): VoteOutput {
  return weightedVote({ answers, weights: answers.map(() => 1), ties });
}

export interface BestOfNInput {
  /** Reward of each chain, finite. */
  rewards: readonly number[];
}

export interface BestOfNOutput {
  /** Index of the chain with the highest reward, the first of equals. */
  best: number;
}

/**
 * The chain that the reward model likes best.
 * @throws ConfigError when there is no reward, or one is not finite.
 */
export function bestOfN({ rewards }: BestOfNInput): BestOfNOutput {
  expectNumbers('bestOfN: rewards', rewards, Math.max(rewards.length, 1));
  return { best: rewards.indexOf(Math.max(...rewards)) };
}

export interface AggregateStepScoresInput {
  /** Score of each step of one chain, finite. */
  scores: readonly number[];
  method: 'last' | 'min' | 'product' | 'mean';
}

export interface AggregateStepScoresOutput {
  score: number;
}

/**
 * One score for a chain from the scores of its steps, as process reward models give them.
 * @throws ConfigError when there is no score, one is not finite, or the method is unknown.
 */
export function aggregateStepScores(input: AggregateStepScoresInput): AggregateStepScoresOutput {
  const { scores, method } = input;
  expectNumbers('aggregateStepScores: scores', scores, Math.max(scores.length, 1));
  switch (method) {
    case 'last':
      return { score: scores[scores.length - 1] };
    case 'min':
      return { score: Math.min(...scores) };
    case 'product':
      return { score: scores.reduce((product, score) => product * score, 1) };
    case 'mean':
      return { score: scores.reduce((sum, score) => sum + score, 0) / scores.length };
    default:
      throw new ConfigError(
        `aggregateStepScores: method: expected last, min, product or mean, got ${method}`,
      );
  }
}

export interface PassAtKInput {
  /** Chains sampled for the problem. */
  nSamples: number;
  /** How many of them are correct. */
  nCorrect: number;
  /** Chains that one may look at, at most nSamples. */
  k: number;
}

export interface PassAtKOutput {
  /** Probability that at least one of k chains is correct, k of the nSamples drawn at random. */
  probability: number;
}

/**
 *   pass@k = 1 − C(n − c, k) / C(n, k) = 1 − Π_{i=0}^{k−1} (n − c − i) / (n − i)
 *
 * without bias (Chen et al. 2021, arXiv 2107.03374, equation 1). Coverage is its mean over problems.
 * @throws ConfigError unless 0 ≤ nCorrect ≤ nSamples and 1 ≤ k ≤ nSamples, all whole numbers.
 */
export function passAtK({ nSamples, nCorrect, k }: PassAtKInput): PassAtKOutput {
  const whole = [nSamples, nCorrect, k].every(Number.isInteger);
  if (!whole || nCorrect < 0 || nCorrect > nSamples || k < 1 || k > nSamples) {
    throw new ConfigError(
      `passAtK: expected whole numbers 0 ≤ nCorrect ≤ nSamples and 1 ≤ k ≤ nSamples, ` +
        `got nSamples = ${nSamples}, nCorrect = ${nCorrect}, k = ${k}`,
    );
  }
  if (nSamples - nCorrect < k) return { probability: 1 };
  let allWrong = 1;
  for (let i = 0; i < k; i++) allWrong *= (nSamples - nCorrect - i) / (nSamples - i);
  return { probability: 1 - allWrong };
}

function expectNumbers(who: string, numbers: readonly number[], count: number): void {
  const wrong = numbers.find((x) => !Number.isFinite(x));
  if (numbers.length !== count || wrong !== undefined) {
    throw new ConfigError(
      `${who}: expected ${count} finite numbers, got ${wrong ?? numbers.length}`,
    );
  }
}
