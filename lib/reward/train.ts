/** From a teacher and the chains that it drew to a reward model. */

import type { TrainingDevice } from '../../backends/training.ts';
import type { ModelConfig } from '../../reference/config.ts';
import { ConfigError } from '../../reference/errors.ts';
import { IGNORED_LABEL } from '../../reference/labels.ts';
import { uniform } from '../../reference/philox.ts';
import type { Tensor } from '../../reference/tensor.ts';
import { plain } from '../distil/stages.ts';
import { STEP_END } from '../tasks/steps.ts';
import { encodeText, SPECIAL_IDS } from '../tasks/vocabulary.ts';
import { anyByLength, type Batch } from '../train/batches.ts';
import { firstNotFinite } from '../train/cause.ts';
import { type TrainProgress, type TrainResult, train } from '../train/loop.ts';
import type { RewardRecipe } from '../train/recipe.ts';
import { chainTokens } from './chains.ts';
import type { DrawnProblem } from './drawChains.ts';
import { withOwnHead, withScore, withTwoRows } from './head.ts';
import { type LabelledChain, labelChain, labelledBatch } from './labels.ts';

/** The tokens of the tasks' vocabulary, as a reward model's files say them. */
export const TASK_REWARD = {
  eosTokens: [SPECIAL_IDS.eos],
  reward: { stepToken: encodeText(STEP_END)[0], padToken: SPECIAL_IDS.pad },
} as const;

/** Labelled chains of drawn problems; those of which nothing is known are left out. */
export function labelDrawn(drawn: readonly DrawnProblem[]): LabelledChain[] {
  const labelled = drawn.flatMap(({ task, problem, prompt, chains }) =>
    chains.map((chain) =>
      labelChain(chainTokens(prompt, chain, TASK_REWARD), prompt.length, task, problem),
    ),
  );
  return labelled.filter(({ labels }) => labels.some((label) => label !== IGNORED_LABEL));
}

/** The batch of each step, counted from 1: all chains in an order by chance, then all of them in another. */
export function rewardBatches(
  chains: readonly LabelledChain[],
  options: { batch: number; seqlen: number; seed: number },
): (step: number) => Batch {
  let order: { round: number; indices: number[] } | undefined;
  const orderOf = (round: number): number[] => {
    if (order?.round === round) return order.indices;
    const keys = chains.map((_, problem) => {
      const place = { seed: options.seed, problem, sample: round, position: 2 } as const;
      return uniform({ ...place, purpose: 'problems' });
    });
    const indices = [...chains.keys()].sort((a, b) => keys[a] - keys[b]);
    order = { round, indices };
    return indices;
  };
  const chainAt = (index: number) => {
    const round = Math.floor(index / chains.length);
    return chains[orderOf(round)[index % chains.length]];
  };
  const rowOf = ({ tokens }: LabelledChain) => tokens.length;
  const kind = { rowOf, batchOf: labelledBatch };
  return anyByLength(chainAt, kind, { ...options, padToken: SPECIAL_IDS.pad });
}

export interface TrainRewardOptions {
  readonly device: TrainingDevice;
  /** The model whose layers learn to judge; weights by the names of weightShapes. */
  readonly judge: { config: ModelConfig; weights: ReadonlyMap<string, Tensor> };
  readonly chains: readonly LabelledChain[];
  readonly recipe: RewardRecipe;
  /** Where the run is saved and goes on from, and what tells it from others. Default: nowhere. */
  readonly saved?: { folder: string; recipe: string };
  readonly onProgress?: (progress: TrainProgress) => void;
  readonly signal?: AbortSignal;
}

/**
 * Trains a model's layers and a scalar head behind them, with the logistic loss at every place with a label.
 * @returns what training returns, with the head as the weight `score`, (1, dModel).
 * @throws ConfigError with code NothingCounted where no chain has a label; and as train.
 */
export async function trainReward(options: TrainRewardOptions): Promise<TrainResult> {
  const { device, judge, chains, recipe, saved, onProgress, signal } = options;
  if (chains.length === 0) {
    throw new ConfigError(
      'reward: expected chains with steps or an end, got none; take a larger seqlen or another teacher',
      'NothingCounted',
    );
  }
  const config = withOwnHead(judge.config);
  const batch = rewardBatches(chains, recipe);
  const result = await train({
    ...{ device, weights: withTwoRows(judge.weights, config.dModel), steps: recipe.steps },
    ...{ objective: plain({ config }, batch), schedule: recipe, optimiser: recipe },
    ...(saved && { saved }),
    ...(signal && { signal }),
    ...(onProgress && { onProgress }),
    findCause: (parameters, step) => firstNotFinite(device, config, parameters, batch(step)),
  });
  return { ...result, weights: withScore(result.weights) };
}
