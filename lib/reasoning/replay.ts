/** What a model would have answered by any moment of a recorded run: nothing is sampled again. */

import type { TiePolicy } from '../../reference/votes.ts';
import { keyOf, type LedgerChain } from './chain.ts';
import { type GradedChain, type Grading, gradeChains } from './grade.ts';
import { type Policy, policiesOf, problemMetrics } from './problemMetrics.ts';

/** Shares of problems that were solved by a moment. */
export interface ReplayPoint {
  /** Seconds from the start of the run. */
  readonly seconds: number;
  /** Chains that had ended, of all problems. */
  readonly chains: number;
  /** By each policy that the chains can be judged by. A problem without a chain is not solved. */
  readonly solved: { readonly [policy in Policy]?: number };
}

export interface ReplayOptions extends Grading {
  /** Moments, in seconds from the start of the run. Default: 60 from the first chain to the last, in equal ratios. */
  readonly seconds?: readonly number[];
  /** Default `first`: the answer that came first. */
  readonly ties?: TiePolicy;
}

/**
 * Replays the chains of one model: at each moment every policy chooses among the chains that had ended by then, in the
 * order in which they had.
 * @param problems how many were asked; those without a chain yet count.
 */
export function replay(
  chains: readonly LedgerChain[],
  problems: number,
  { seconds, ties = 'first', ...grading }: ReplayOptions = {},
): ReplayPoint[] {
  const ended = chains.filter((chain) => chain.seconds !== undefined);
  if (ended.length === 0) return [];
  const times = new Map(ended.map((chain) => [keyOf(chain), chain.seconds as number]));
  const [graded] = gradeChains(ended, grading);
  const timeOf = (problem: string | number, { sample }: GradedChain) =>
    times.get(keyOf({ model: graded.model, problem, sample })) as number;
  const inOrder = graded.problems.map(({ problem, chains: own }) =>
    own
      .map((chain) => ({ chain, at: timeOf(problem, chain) }))
      .sort((a, b) => a.at - b.at || a.chain.sample - b.chain.sample),
  );
  const all = [...times.values()].sort((a, b) => a - b);
  const moments = seconds ?? ratios(all[0], all[all.length - 1], 60);
  const policies = policiesOf(graded.problems.flatMap((one) => one.chains));
  return moments.map((moment) => {
    const sums = new Map<Policy, number>();
    let count = 0;
    inOrder.forEach((own, index) => {
      const first = own.filter(({ at }) => at <= moment).map(({ chain }) => chain);
      if (first.length === 0) return;
      count += first.length;
      const metrics = problemMetrics({
        ...{ chains: first, ks: [first.length], order: 'first', ties, subsets: 2 },
        stream: { seed: 0, index, purpose: 'subsets' },
      });
      for (const policy of policies) {
        sums.set(policy, (sums.get(policy) ?? 0) + (metrics[policy]?.[0].value ?? 0));
      }
    });
    const solved = Object.fromEntries(policies.map((p) => [p, (sums.get(p) ?? 0) / problems]));
    return { seconds: moment, chains: count, solved };
  });
}

/** Numbers from least to most in equal ratios, both included. */
function ratios(least: number, most: number, count: number): number[] {
  const first = Math.max(least, most / 1e4, 1e-6);
  return Array.from({ length: count }, (_, i) =>
    i === count - 1 ? most : first * (most / first) ** (i / (count - 1)),
  );
}
