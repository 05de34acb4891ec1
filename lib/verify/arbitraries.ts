/** Random inputs of every op for fast-check, with awkward sizes; they print as dimensions and a seed. */

import type fc from 'fast-check';
import type { OpName } from '../../reference/ops.ts';
import * as choosing from './inputs/choosing.ts';
import type { Drawn, InputOf } from './inputs/drawn.ts';
import * as layers from './inputs/layers.ts';
import * as recurrences from './inputs/recurrences.ts';

export type { Drawn, InputOf } from './inputs/drawn.ts';

/** An arbitrary input for every op. */
export const INPUTS: { readonly [Name in OpName]: fc.Arbitrary<Drawn<InputOf<Name>>> } = {
  silu: layers.pointwiseInput,
  sigmoid: layers.pointwiseInput,
  softplus: layers.pointwiseInput,
  softmax: layers.pointwiseInput,
  logSoftmax: layers.pointwiseInput,
  linear: layers.linearInput,
  embedding: layers.embeddingInput,
  rmsNorm: layers.rmsNormInput,
  layerNorm: layers.layerNormInput,
  gatedRmsNorm: layers.gatedRmsNormInput,
  swigluMlp: layers.swigluMlpInput,
  gatedMlp: layers.gatedMlpInput,
  causalConv1d: recurrences.causalConv1dInput,
  causalConv1dStep: recurrences.causalConv1dStepInput,
  selectiveScan: recurrences.selectiveScanInput,
  selectiveScanStep: recurrences.selectiveScanStepInput,
  selectiveScanChunked: recurrences.selectiveScanChunkedInput,
  selectiveScanMatrix: recurrences.selectiveScanMatrixInput,
  selectiveScanAssociative: recurrences.selectiveScanAssociativeInput,
  ssd: recurrences.ssdInput,
  ssdStep: recurrences.ssdStepInput,
  ssdChunked: recurrences.ssdChunkedInput,
  ssdMatrix: recurrences.ssdMatrixInput,
  ssdAssociative: recurrences.ssdAssociativeInput,
  discreteSsd: recurrences.discreteSsdInput,
  discreteSsdStep: recurrences.discreteSsdStepInput,
  discreteSsdChunked: recurrences.discreteSsdChunkedInput,
  discreteSsdMatrix: recurrences.discreteSsdMatrixInput,
  semiseparableChunked: recurrences.semiseparableChunkedInput,
  semiseparableMatrix: recurrences.semiseparableMatrixInput,
  associativeScan: recurrences.associativeScanInput,
  rope: layers.ropeInput,
  attention: layers.attentionInput,
  attentionStep: layers.attentionStepInput,
  filterLogits: choosing.filterLogitsInput,
  chooseToken: choosing.chooseTokenInput,
  greedyToken: choosing.logitsInput,
  majorityVote: choosing.majorityVoteInput,
  weightedVote: choosing.weightedVoteInput,
  bestOfN: choosing.bestOfNInput,
  aggregateStepScores: choosing.aggregateStepScoresInput,
  passAtK: choosing.passAtKInput,
};
