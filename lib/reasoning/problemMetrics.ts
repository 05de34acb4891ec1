/** What one would have answered to one problem with k of its chains, by several policies. */

import { passAtK, type TiePolicy } from '../../reference/votes.ts';
import { type Estimate, expectedVotes } from './expectedVotes.ts';
import type { GradedChain } from './grade.ts';
import type { Stream } from './subsets.ts';
import { type Ballot, Tally, wholeWeights } from './tally.ts';

/** Policies that choose among k chains, and what is true of any. */
export const POLICIES = [
  'coverage',
  'sound',
  'allRight',
  'majority',
  'weighted',
  'bestOfN',
] as const;
export type Policy = (typeof POLICIES)[number];

/** What every chain must have for a policy to be one. */
const NEEDS: { readonly [policy in Policy]?: 'reward' | 'isSound' } = {
  sound: 'isSound',
  weighted: 'reward',
  bestOfN: 'reward',
};

/** The policies that chains can be judged by. */
export function policiesOf(chains: readonly GradedChain[]): Policy[] {
  return POLICIES.filter((policy) => {
    const need = NEEDS[policy];
    return need === undefined || chains.every((chain) => chain[need] !== undefined);
  });
}

/** For each k: the probability of being right, by each of {@link policiesOf} the chains. */
export type ProblemMetrics = { readonly [policy in Policy]?: readonly Estimate[] };

export interface ProblemMetricsInput {
  /** By sample number, at least as many as the greatest k. */
  readonly chains: readonly GradedChain[];
  readonly ks: readonly number[];
  /** `all`: the average over all subsets of size k. `first`: the first k by sample number. */
  readonly order: 'all' | 'first';
  readonly ties: TiePolicy;
  /** Random subsets where there is no cheaper exact way. */
  readonly subsets: number;
  /** Where random subsets come from. */
  readonly stream: Stream;
}

/** All policies for one problem. */
export function problemMetrics(input: ProblemMetricsInput): ProblemMetrics {
  return input.order === 'first' ? metricsOfFirst(input) : metricsOfAll(input);
}

function metricsOfAll({ chains, ks, ties, subsets, stream }: ProblemMetricsInput): ProblemMetrics {
  const n = chains.length;
  const nRight = chains.filter(({ isRight }) => isRight).length;
  const nSound = soundOf(chains)?.length;
  const rewards = rewardsOf(chains);
  const votes = (weights: readonly number[]) =>
    expectedVotes({ ballot: ballotOf(chains, weights, ties), ks, subsets, stream });
  return {
    coverage: ks.map((k) => ({ value: anyOf(n, nRight, k) })),
    ...(nSound !== undefined && { sound: ks.map((k) => ({ value: anyOf(n, nSound, k) })) }),
    allRight: ks.map((k) => ({ value: 1 - anyOf(n, n - nRight, k) })),
    majority: votes(chains.map(() => 1)),
    ...(rewards && {
      weighted: votes(rewards),
      bestOfN: ks.map((k) => ({ value: expectedBest(chains, rewards, k) })),
    }),
  };
}

/**
 * The probability that at least one of k chains drawn from n is among `marked` ones: pass@k. Which of the two groups is drawn
 * and which is marked makes no difference; the smaller one as the drawn one needs fewer factors.
 */
export function anyOf(n: number, marked: number, k: number): number {
  if (marked === 0) return 0;
  const [nCorrect, drawn] = marked < k ? [k, marked] : [marked, k];
  return passAtK({ nSamples: n, nCorrect, k: drawn }).probability;
}

/**
 * How right the best of k is on average over all subsets. The chain with r better ones is the best of C(n − 1 − r, k − 1)
 * subsets out of C(n, k). Of equal rewards the first is the best; chains without an answer come after all others.
 */
function expectedBest(chains: readonly GradedChain[], rewards: readonly number[], k: number) {
  const n = chains.length;
  let probability = k / n;
  let right = 0;
  byReward(chains, rewards).forEach((chain, r) => {
    if (chains[chain].isRight) right += probability;
    probability *= r + 1 < n ? (n - k - r) / (n - 1 - r) : 0;
  });
  return right;
}

/** Indices of chains, the best first. */
function byReward(chains: readonly GradedChain[], rewards: readonly number[]): number[] {
  const isMute = (i: number) => Number(chains[i].form === null);
  return chains
    .map((_, i) => i)
    .sort((a, b) => isMute(a) - isMute(b) || rewards[b] - rewards[a] || a - b);
}

function metricsOfFirst({ chains, ks, ties }: ProblemMetricsInput): ProblemMetrics {
  const each = (judge: (first: readonly GradedChain[]) => number) =>
    ks.map((k) => ({ value: judge(chains.slice(0, k)) }));
  const isRight = (chain: GradedChain) => chain.isRight;
  return {
    coverage: each((first) => Number(first.some(isRight))),
    ...(soundOf(chains) && { sound: each((first) => Number(first.some((one) => one.isSound))) }),
    allRight: each((first) => Number(first.every(isRight))),
    majority: each((first) =>
      voteOf(
        ballotOf(
          first,
          first.map(() => 1),
          ties,
        ),
      ).share(),
    ),
    ...(rewardsOf(chains) && {
      weighted: each((first) => voteOf(ballotOf(first, rewardsOf(first) ?? [], ties)).share()),
      bestOfN: each((first) => Number(first[bestOf(first) as number].isRight)),
    }),
  };
}

/** The sound ones, if it is known of all. */
function soundOf(chains: readonly GradedChain[]): readonly GradedChain[] | undefined {
  if (chains.some(({ isSound }) => isSound === undefined)) return undefined;
  return chains.filter(({ isSound }) => isSound);
}

/** The rewards of chains, if all have one. */
export function rewardsOf(chains: readonly GradedChain[]): number[] | undefined {
  const rewards = chains.flatMap(({ reward }) => (reward === undefined ? [] : [reward]));
  return rewards.length === chains.length ? rewards : undefined;
}

/** Index of the chain with the greatest reward, the first of equals, one without an answer only where none has one. */
export function bestOf(chains: readonly GradedChain[]): number | undefined {
  const rewards = rewardsOf(chains);
  return rewards && byReward(chains, rewards)[0];
}

/** Chains as voters; classes are counted in the order in which their answers are seen first. */
export function ballotOf(
  chains: readonly GradedChain[],
  weights: readonly number[],
  ties: TiePolicy,
): Ballot {
  const known = new Map<string, number>();
  const right: number[] = [];
  const counts: number[] = [];
  const classes = Int32Array.from(chains, ({ form, isRight }) => {
    if (form === null) return -1;
    const one = known.get(form) ?? known.size;
    known.set(form, one);
    counts[one] = (counts[one] ?? 0) + 1;
    right[one] = (right[one] ?? 0) + Number(isRight);
    return one;
  });
  const rightness = Float64Array.from(right, (count, one) => count / counts[one]);
  return { classes, weights: wholeWeights(weights), rightness, ties };
}

/** Counts all votes. */
export function voteOf(ballot: Ballot): Tally {
  const tally = new Tally(ballot);
  ballot.classes.forEach((_, chain) => {
    tally.add(chain);
  });
  return tally;
}
