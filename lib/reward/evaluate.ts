/** How good a reward model is: on chains of unseen problems, and as a judge among the chains of each. */

import { bestOfN, majorityVote, weightedVote } from '../../reference/votes.ts';
import { answerOf } from '../tasks/steps.ts';
import { decodeText } from '../tasks/vocabulary.ts';
import { halfWidth } from '../train/evaluate.ts';
import { chainTokens } from './chains.ts';
import type { DrawnProblem } from './drawChains.ts';
import { labelChain } from './labels.ts';
import type { Reward } from './loadReward.ts';
import { type Separation, separationOf } from './measures.ts';
import { type ScoreChainsOptions, scoreTokens } from './scoreChains.ts';

export interface RewardAccuracy {
  readonly problems: number;
  /** Chains of each problem. */
  readonly samples: number;
  /** Outcome scores against right answers. */
  readonly outcome: Separation;
  /** Scores at the ends of steps, conclusions left out, against steps that are all right so far; absent without steps. */
  readonly steps?: Separation;
  /** Shares of problems solved, of all `samples` chains: by one at random, by the best score, by votes, by any. */
  readonly mean: number;
  readonly bestOfN: number;
  readonly majority: number;
  readonly weighted: number;
  readonly coverage: number;
  /** Half the width of the 95 % interval (Wilson 1927) of `bestOfN`. */
  readonly error: number;
}

/**
 * Scores chains that were drawn, of problems that the reward model has not seen.
 * @throws ConfigError where there is not one chain; and as scoreChains.
 */
export async function evaluateReward(
  reward: Reward,
  drawn: readonly DrawnProblem[],
  options: ScoreChainsOptions = {},
): Promise<RewardAccuracy> {
  const chains = drawn.flatMap(({ task, problem, prompt, chains: own }) =>
    own.map((tokens) => {
      const text = decodeText(tokens);
      const places = chainTokens(prompt, tokens, reward);
      const { labels } = labelChain(places, prompt.length, task, problem);
      const isRight = task.verifyOutcome(problem, text);
      return { places, labels, isRight, answer: answerOf(text) ?? null };
    }),
  );
  const places = chains.map((chain) => chain.places);
  const scores = await scoreTokens(reward, places, options);
  const outcomes = scores.map(({ outcome }) => outcome);
  const ends = chains.flatMap(({ places: { stepEnds }, labels }, i) =>
    stepEnds.map((end, k) => ({ score: scores[i].steps[k], isRight: labels[end] === 1 })),
  );
  let at = 0;
  const solved = drawn.map(({ chains: own }) => {
    const from = at;
    at += own.length;
    return policies(chains.slice(from, at), outcomes.slice(from, at));
  });
  const share = (policy: keyof (typeof solved)[number]) =>
    solved.reduce((sum, one) => sum + one[policy], 0) / solved.length;
  const best = share('bestOfN');
  return {
    ...{ problems: drawn.length, samples: drawn[0]?.chains.length ?? 0 },
    outcome: separationOf(
      outcomes,
      chains.map(({ isRight }) => isRight),
    ),
    ...(ends.length > 0 && {
      steps: separationOf(
        ends.map(({ score }) => score),
        ends.map(({ isRight }) => isRight),
      ),
    }),
    ...{ mean: share('mean'), bestOfN: best, majority: share('majority') },
    ...{ weighted: share('weighted'), coverage: share('coverage') },
    error: halfWidth(best, drawn.length),
  };
}

/** How probably each way of choosing solves a problem; votes that tie are split. */
function policies(
  chains: readonly { isRight: boolean; answer: string | null }[],
  outcomes: readonly number[],
) {
  const answers = chains.map(({ answer }) => answer);
  const right = new Set(chains.flatMap(({ isRight, answer }) => (isRight ? [answer] : [])));
  const shareOf = ({ winners }: ReturnType<typeof majorityVote>) =>
    winners.reduce((sum, { answer, share }) => sum + (right.has(answer) ? share : 0), 0);
  const count = chains.filter(({ isRight }) => isRight).length;
  return {
    mean: count / chains.length,
    bestOfN: chains[bestOfN({ rewards: outcomes }).best].isRight ? 1 : 0,
    majority: shareOf(majorityVote({ answers, ties: 'split' })),
    weighted: shareOf(weightedVote({ answers, weights: outcomes, ties: 'split' })),
    coverage: count > 0 ? 1 : 0,
  };
}
