/** Many chains of thought for every problem: sampled, judged, and replayed against time. Node only. */

export {
  type AggregateStepScoresInput,
  aggregateStepScores,
  type BestOfNInput,
  bestOfN,
  type MajorityVoteInput,
  majorityVote,
  type PassAtKInput,
  passAtK,
  type TiePolicy,
  type VoteOutput,
  type WeightedVoteInput,
  weightedVote,
} from '../../reference/votes.ts';
export { type Aggregate, type AggregateOptions, aggregate } from './aggregate.ts';
export { type BootstrapInput, bootstrapIntervals, type Interval } from './bootstrap.ts';
export { areSameAnswer, canonicalAnswer } from './canonicalAnswer.ts';
export { type LedgerChain, type LedgerCode, type LedgerLine, parseLine } from './chain.ts';
export { type ExpectedMajorityInput, expectedMajority } from './expectedMajority.ts';
export {
  ANSWER_RULES,
  type AnswerRule,
  type ExtractAnswerOptions,
  extractAnswer,
  MATH_RULES,
  TASK_RULES,
} from './extractAnswer.ts';
export {
  type GradedChain,
  type GradedModel,
  type GradedProblem,
  type Grading,
  gradeChains,
  gradeLines,
  type StepMethod,
} from './grade.ts';
export { Journal } from './journal.ts';
export { type Ledger, type LedgerText, parseLedger } from './ledger.ts';
export type { ModelFacts } from './modelFacts.ts';
export type { Policy } from './problemMetrics.ts';
export {
  type Judgement,
  type ProblemsOptions,
  problemsFromLines,
  problemsFromTasks,
  type ReasoningProblem,
} from './problems.ts';
export type { ScaleProgress } from './progress.ts';
export { readLedger } from './readLedger.ts';
export { type ReplayOptions, type ReplayPoint, replay } from './replay.ts';
export {
  type OpenRun,
  openRun,
  type RunManifest,
  type RunModel,
  type RunSettings,
  readManifest,
} from './runFolder.ts';
export {
  type Done,
  type SampleChainsOptions,
  type SampledChain,
  sampleChains,
} from './sampleChains.ts';
export { type ScaleModel, type ScaleOptions, scale } from './scale.ts';
export { type PredictionColumns, predictionColumns } from './searchAndLearn.ts';
export { stripAnswer } from './stripAnswer.ts';
export {
  measureThroughput,
  type SpeedAtLength,
  type Throughput,
  type ThroughputCurve,
  type ThroughputOptions,
} from './throughput.ts';
