/** Training: a tape over a device's ops, the loop, and models of tasks with chains of thought. */

export type { Numbers, TrainingDevice, TrainingOps } from '../../backends/training.ts';
export { type Batch, batchOf, type Example, maskOf } from './batches.ts';
export { openTraining, TRAINING_BACKENDS } from './device.ts';
export {
  type BatchSize,
  largestBatch,
  type MemoryNeeds,
  memoryNeeds,
  type Phase,
  type PhaseNeeds,
  timeNeeds,
} from './estimate.ts';
export { type Accuracy, type EvaluateOptions, evaluate } from './evaluate.ts';
export { type GraphInput, modelOnTape, type Parameters } from './graph.ts';
export {
  type Objective,
  type TrainOptions,
  type TrainProgress,
  type TrainResult,
  train,
} from './loop.ts';
export { type OptimiserOptions, ParameterSet } from './optimiser.ts';
export {
  type DistilRecipe,
  readDistilRecipe,
  readTrainRecipe,
  type StageRecipe,
  type TrainRecipe,
} from './recipe.ts';
export type { LossCurve } from './savedRun.ts';
export { learningRateAt, type Schedule } from './schedule.ts';
export { Tape, Variable } from './tape.ts';
export { exampleOf, type TaskDataOptions, taskBatches } from './taskData.ts';
export { initialWeights, type TeacherSizes, teacherConfig } from './teacher.ts';
