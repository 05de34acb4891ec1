/**
 * The Float64 oracle: every op, whole models, sampling and state, as plain loops. reference/README.md is the
 * way in for readers. Tensors are plain `{ data, shape }`; a Float32Array as main input rounds every operation.
 */

export {
  type Activation,
  logSigmoid,
  logSoftmax,
  logSumExp,
  sigmoid,
  silu,
  softmax,
  softplus,
} from './activations.ts';
export * from './associativeScan.ts';
export * from './attention.ts';
export type { AttentionWeights } from './attentionMixer.ts';
export * from './attentionStep.ts';
export type { LayerWeights, MixerWeights, MlpWeights, NormWeights } from './block.ts';
export * from './causalConv1d.ts';
export * from './causalConv1dStep.ts';
export { checkConfig } from './checkConfig.ts';
export type {
  AttentionConfig,
  DiscreteMamba2Config,
  LayerConfig,
  Mamba2Config,
  MambaConfig,
  MambaInLlama2Config,
  MambaInLlamaConfig,
  MixerConfig,
  MlpConfig,
  ModelConfig,
  NormConfig,
  RopeConfig,
  SsdConfig,
  StateSize,
} from './config.ts';
export { mixerStateSize, stateSize } from './config.ts';
export type { DiscreteMamba2Weights } from './discreteMamba2Mixer.ts';
export { type DiscreteSsdInput, type DiscreteSsdOutput, discreteSsd } from './discreteSsd.ts';
export { type DiscreteSsdChunkedInput, discreteSsdChunked } from './discreteSsdChunked.ts';
export { discreteSsdMatrix } from './discreteSsdMatrix.ts';
export * from './discreteSsdStep.ts';
export { cos, exp, log, log1p, pow, sin } from './elementary.ts';
export * from './embedding.ts';
export * from './errors.ts';
export * from './gatedMlp.ts';
export * from './gatedRmsNorm.ts';
export * from './gradients/index.ts';
export * from './layerNorm.ts';
export * from './linear.ts';
export type { Mamba2Weights, SsdWeights } from './mamba2Mixer.ts';
export type { MambaInLlama2Weights, MambaInLlamaWeights } from './mambaInLlamaMixer.ts';
export type { MambaWeights } from './mambaMixer.ts';
export * from './model.ts';
export { type OpName, type Ops, ops, type PointwiseInput, type PointwiseOutput } from './ops.ts';
export * from './philox.ts';
export { type RmsNormInput, type RmsNormOutput, rmsNorm } from './rmsNorm.ts';
export * from './rope.ts';
export * from './sampling.ts';
export {
  type SelectiveScanInput,
  type SelectiveScanOutput,
  selectiveScan,
} from './selectiveScan.ts';
export {
  type SelectiveScanAssociativeInput,
  selectiveScanAssociative,
} from './selectiveScanAssociative.ts';
export { type SelectiveScanChunkedInput, selectiveScanChunked } from './selectiveScanChunked.ts';
export { type SelectiveScanMatrixOutput, selectiveScanMatrix } from './selectiveScanMatrix.ts';
export {
  channelStep,
  type SelectiveScanStepInput,
  type SelectiveScanStepOutput,
  selectiveScanStep,
} from './selectiveScanStep.ts';
export {
  type SemiseparableChunkedInput,
  type SemiseparableChunkedOutput,
  type SemiseparableInput,
  type SemiseparableMatrixOutput,
  semiseparableChunked,
  semiseparableMatrix,
} from './semiseparable.ts';
export { type SsdInput, type SsdOutput, ssd } from './ssd.ts';
export { type SsdAssociativeInput, ssdAssociative } from './ssdAssociative.ts';
export { type SsdChunkedInput, ssdChunked } from './ssdChunked.ts';
export { ssdMatrix } from './ssdMatrix.ts';
export { headStep, type SsdStepInput, type SsdStepOutput, ssdStep } from './ssdStep.ts';
export {
  cloneState,
  type LayerState,
  newState,
  type SequenceState,
  type TokenCache,
} from './state.ts';
export { type SwigluMlpInput, type SwigluMlpOutput, swigluMlp } from './swigluMlp.ts';
export {
  type Precision,
  type Rounding,
  reshape,
  rounding,
  type Tensor,
  tensor,
  toPrecision,
  type Vector,
  zeros,
} from './tensor.ts';
export type * from './trace.ts';
export * from './votes.ts';
