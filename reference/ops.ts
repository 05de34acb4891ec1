/** The ops: the contract between the reference, the backends and other people's kernels. */

import * as activations from './activations.ts';
import { associativeScan } from './associativeScan.ts';
import { attention } from './attention.ts';
import { attentionStep } from './attentionStep.ts';
import { causalConv1d } from './causalConv1d.ts';
import { causalConv1dStep } from './causalConv1dStep.ts';
import { discreteSsd } from './discreteSsd.ts';
import { discreteSsdChunked } from './discreteSsdChunked.ts';
import { discreteSsdMatrix } from './discreteSsdMatrix.ts';
import { discreteSsdStep } from './discreteSsdStep.ts';
import { embedding } from './embedding.ts';
import { gatedMlp } from './gatedMlp.ts';
import { gatedRmsNorm } from './gatedRmsNorm.ts';
import { layerNorm } from './layerNorm.ts';
import { linear } from './linear.ts';
import { rmsNorm } from './rmsNorm.ts';
import { rope } from './rope.ts';
import { chooseToken, filterLogits, greedyToken } from './sampling.ts';
import { selectiveScan } from './selectiveScan.ts';
import { selectiveScanAssociative } from './selectiveScanAssociative.ts';
import { selectiveScanChunked } from './selectiveScanChunked.ts';
import { selectiveScanMatrix } from './selectiveScanMatrix.ts';
import { selectiveScanStep } from './selectiveScanStep.ts';
import { semiseparableChunked, semiseparableMatrix } from './semiseparable.ts';
import { ssd } from './ssd.ts';
import { ssdAssociative } from './ssdAssociative.ts';
import { ssdChunked } from './ssdChunked.ts';
import { ssdMatrix } from './ssdMatrix.ts';
import { ssdStep } from './ssdStep.ts';
import { swigluMlp } from './swigluMlp.ts';
import type { Rounding, Tensor } from './tensor.ts';
import { aggregateStepScores, bestOfN, majorityVote, passAtK, weightedVote } from './votes.ts';

/** Input and output of a pointwise op and of softmax: one tensor of any shape. */
export interface PointwiseInput {
  x: Tensor;
}
export interface PointwiseOutput {
  /** Of the same shape as x. */
  y: Tensor;
}

const pointwise =
  (f: (x: number, fl: Rounding) => number) =>
  ({ x }: PointwiseInput): PointwiseOutput => ({
    y: { data: activations.mapElements(x.data, f), shape: x.shape },
  });

/** Every op of the reference by its name. Backends implement a subset of it under the same names. */
export const ops = {
  // pointwise
  silu: pointwise(activations.silu),
  sigmoid: pointwise(activations.sigmoid),
  softplus: pointwise(activations.softplus),
  softmax: ({ x }: PointwiseInput): PointwiseOutput => ({ y: activations.softmax(x) }),
  logSoftmax: ({ x }: PointwiseInput): PointwiseOutput => ({ y: activations.logSoftmax(x) }),
  // matrices, norms, MLPs
  linear,
  embedding,
  rmsNorm,
  layerNorm,
  gatedRmsNorm,
  swigluMlp,
  gatedMlp,
  // convolution and recurrences
  causalConv1d,
  causalConv1dStep,
  selectiveScan,
  selectiveScanStep,
  selectiveScanChunked,
  selectiveScanMatrix,
  selectiveScanAssociative,
  ssd,
  ssdStep,
  ssdChunked,
  ssdMatrix,
  ssdAssociative,
  discreteSsd,
  discreteSsdStep,
  discreteSsdChunked,
  discreteSsdMatrix,
  semiseparableChunked,
  semiseparableMatrix,
  associativeScan,
  // attention
  rope,
  attention,
  attentionStep,
  // choosing tokens, judging chains
  filterLogits,
  chooseToken,
  greedyToken,
  majorityVote,
  weightedVote,
  bestOfN,
  aggregateStepScores,
  passAtK,
} as const;

export type Ops = typeof ops;
export type OpName = keyof Ops;
