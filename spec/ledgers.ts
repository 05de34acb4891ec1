/** Chains for specs that judge them, and judging them by counting. */

import fc from 'fast-check';
import type { LedgerChain } from '../lib/reasoning/chain.ts';
import { ConfigError } from '../reference/errors.ts';
import { bestOfN, majorityVote, type TiePolicy, weightedVote } from '../reference/votes.ts';

/** Rewards that are often equal, and whose sums are exact in any order. */
export const chain = fc.record({
  answer: fc.option(fc.constantFrom('a', 'b', 'c', '__proto__'), { freq: 5 }),
  reward: fc.integer({ min: 0, max: 8 }).map((eighths) => eighths / 8),
  sound: fc.boolean(),
});
export const problem = fc.array(chain, { minLength: 1, maxLength: 8 });
export const ties = fc.constantFrom<TiePolicy>('first', 'split', 'none');

export type Chain = { answer: string | null; reward: number; sound?: boolean };
export const ledgerOf = (problems: readonly (readonly Chain[])[]): LedgerChain[] =>
  problems.flatMap((own, i) =>
    own.map((one, sample) => ({ problem: i, sample, gold: 'a', ...one })),
  );

/** The mean over all subsets of k, each in the order of the chains. */
export function overSubsets(
  chains: readonly Chain[],
  k: number,
  judge: (subset: Chain[]) => number,
): number {
  const values: number[] = [];
  const choose = (from: number, chosen: Chain[]) => {
    if (chosen.length === k) values.push(judge(chosen));
    else for (let i = from; i < chains.length; i++) choose(i + 1, [...chosen, chains[i]]);
  };
  choose(0, []);
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

export const isRight = ({ answer }: Chain) => answer === 'a';
/** How right each policy is with a subset, by the reference's votes. */
export const POLICIES = (policy: TiePolicy) => {
  const shareOf = (winners: { answer: string; share: number }[]) =>
    winners.find(({ answer }) => answer === 'a')?.share ?? 0;
  const answersOf = (subset: Chain[]) => subset.map(({ answer }) => answer);
  return {
    coverage: (subset: Chain[]) => Number(subset.some(isRight)),
    sound: (subset: Chain[]) => Number(subset.some(({ sound }) => sound === true)),
    allRight: (subset: Chain[]) => Number(subset.every(isRight)),
    majority: (subset: Chain[]) =>
      shareOf(majorityVote({ answers: answersOf(subset), ties: policy }).winners),
    weighted: (subset: Chain[]) => {
      const rewards = subset.map(({ reward }) => reward);
      return shareOf(
        weightedVote({ answers: answersOf(subset), weights: rewards, ties: policy }).winners,
      );
    },
    bestOfN: (subset: Chain[]) => {
      const answered = subset.filter(({ answer }) => answer !== null);
      if (answered.length === 0) return 0;
      return Number(
        isRight(answered[bestOfN({ rewards: answered.map((one) => one.reward) }).best]),
      );
    },
  };
};

/** Of whole numbers, without rounding; 0 where k > n. */
export function choose(n: bigint, k: bigint): bigint {
  if (k > n) return 0n;
  const least = k < n - k ? k : n - k;
  let result = 1n;
  for (let i = 0n; i < least; i++) result = (result * (n - i)) / (i + 1n);
  return result;
}

/** Rounded once, to 2⁻⁸⁰. */
export const quotient = (a: bigint, b: bigint) => Number((a << 80n) / b) / 2 ** 80;

/** Exact code and message. */
export function refusal(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof ConfigError) return `${error.code}: ${error.message}`;
    throw error;
  }
  return 'accepted';
}
