/** Checking kernels: random inputs, laws, and definitions that bound their own error. */

export type { RunOp } from '../../backends/types.ts';
export { runOnReference } from '../referenceOps.ts';
export {
  type Approx,
  Calculator,
  type Freedom,
} from './approx.ts';
export { type Drawn, INPUTS, type InputOf } from './arbitraries.ts';
export { type CheckOptions, type Counterexample, checkLaw, type LawResult } from './check.ts';
export {
  type CheckSubjectOptions,
  checkSubject,
  DEFAULT_RUNS,
  type Finding,
  type LawReport,
  type OpReport,
} from './checkSubject.ts';
export {
  DifferenceError,
  expectClose,
  expectSameBits,
  expectSameOutputs,
  expectWithin,
  type Tolerance,
} from './compare.ts';
export { DEFINITIONS, type Defined, type Definition } from './definitions/index.ts';
export { type Diagnosis, diagnose } from './diagnose.ts';
export type { Divergence } from './finding.ts';
export { type RunCaseOptions, runCase } from './golden/run.ts';
export { type GuardOptions, guarded, KernelError } from './guard.ts';
export { type KernelLaw, type KernelLawsOptions, kernelLaws } from './kernelLaws.ts';
export {
  LAWS,
  type Law,
  type LawOf,
  lawsOf,
  OP_NAMES,
  type Subject,
} from './laws/index.ts';
export { inPrecision } from './laws/law.ts';
export { MODEL_LAWS, type ModelLaw, type ModelSubject } from './laws/models.ts';
export {
  FLOAT32,
  FLOAT64,
  GLSL32,
  IEEE32_KERNEL,
  IEEE64_KERNEL,
  type Loss,
  type Machine,
  WGSL32,
} from './machines.ts';
export { MISTAKES, type Mistake, mistakesIn } from './mistakes/index.ts';
export { drawnModel, MIXERS, modelOf, type RandomModel, randomWeights } from './randomModel.ts';
export {
  backendSubject,
  type KernelSubjectOptions,
  type Kernels,
  kernelSubject,
  kernelsSubject,
  referenceSubject,
} from './subject.ts';
export { Draws, VALUE_FAMILIES, type ValueFamily } from './values.ts';
