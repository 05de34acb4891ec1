/** Checking kernels: random inputs, laws, and definitions that bound their own error. */

export {
  type Approx,
  Calculator,
  FLOAT32,
  FLOAT64,
  type Machine,
} from './approx.ts';
export { type Drawn, INPUTS, type InputOf } from './arbitraries.ts';
export {
  DifferenceError,
  expectClose,
  expectSameBits,
  expectSameOutputs,
  expectWithin,
  type Tolerance,
} from './compare.ts';
export { DEFINITIONS, type Defined, type Definition } from './definitions/index.ts';
export type { RunOp } from './golden/case.ts';
export { type RunCaseOptions, runCase, runOnReference } from './golden/run.ts';
export {
  type CheckOptions,
  checkLaw,
  LAWS,
  type Law,
  type LawOf,
  type LawResult,
  lawsOf,
  type Subject,
} from './laws/index.ts';
export { MODEL_LAWS, type ModelLaw, type OpenExecutor } from './laws/models.ts';
export { drawnModel, MIXERS, modelOf, type RandomModel, randomWeights } from './randomModel.ts';
export { Draws, VALUE_FAMILIES, type ValueFamily } from './values.ts';
