/** selscan: load a model, decode with it, score with it, look inside. */

export type { Backend, BackendInfo, BackendOps, Executor, Row } from '../backends/types.ts';
export type { ModelConfig } from '../reference/config.ts';
export {
  BackendError,
  ConfigError,
  SelscanError,
  ShapeError,
  UnsupportedError,
} from '../reference/errors.ts';
export type { Precision, Tensor, Vector } from '../reference/tensor.ts';
export type { Trace, TraceEvent } from '../reference/trace.ts';
export {
  BACKEND_NAMES,
  type OpenOptions,
  openBackend,
  openExecutor,
  presentBackends,
} from './backend.ts';
export type { Capacity, MemoryAtHand, StoredCapacity } from './capacity.ts';
export { type CheckpointCode, CheckpointError } from './checkpoint/errors.ts';
export type { BlobFiles, BlobLike } from './checkpoint/files.ts';
export type { Budget } from './decode/budget.ts';
export { createEngine } from './decode/engine.ts';
export {
  collect,
  type EndEvent,
  type FinishReason,
  type GenerateEvent,
  type PlanEvent,
  type Prompt,
  type TokenEvent,
} from './decode/events.ts';
export { generate } from './decode/generate.ts';
export type {
  Engine,
  EngineGenerateOptions,
  EngineInfo,
  EngineOptions,
  EngineScoreOptions,
} from './decode/localEngine.ts';
export type { GenerateOptions } from './decode/options.ts';
export { restoreState, saveState } from './decode/savedState.ts';
export { type Score, type ScoreOptions, score } from './decode/score.ts';
export {
  loadSequence,
  openSequence,
  type SavedSequence,
  type Sequence,
  type SequenceOptions,
} from './decode/sequence.ts';
export { type StepTrace, type TraceStepOptions, traceStep } from './decode/traceStep.ts';
export { type Inspection, type InspectOptions, inspect } from './inspect.ts';
export { type LoadedModel, type LoadModelOptions, loadModel } from './loadModel.ts';
export { fromNdarray, ops, toNdarray } from './ndarray.ts';
export type { ChatMessage, ChatTemplate } from './tokenizer/chatTemplate.ts';
export type { Tokenizer } from './tokenizer/tokenizer.ts';
