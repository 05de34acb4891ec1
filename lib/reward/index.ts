/** Reward models: chains that a teacher draws, judged by the tasks, and a Llama that learns to tell right from wrong. */

export {
  type AggregateStepScoresInput,
  type AggregateStepScoresOutput,
  aggregateStepScores,
} from '../../reference/votes.ts';
export { type RewardRecipe, readRewardRecipe } from '../train/recipe.ts';
export { type ChainTokens, type ChainToScore, chainTokens, type EndTokens } from './chains.ts';
export { type DrawnProblem, type DrawOptions, drawChains } from './drawChains.ts';
export { evaluateReward, type RewardAccuracy } from './evaluate.ts';
export { type LabelledChain, labelChain } from './labels.ts';
export { type Judge, loadJudge, loadReward, type Reward } from './loadReward.ts';
export { type Separation, separationOf } from './measures.ts';
export { type ChainScores, type ScoreChainsOptions, scoreChains } from './scoreChains.ts';
export { labelDrawn, TASK_REWARD, type TrainRewardOptions, trainReward } from './train.ts';
