/** Upstream's op names and what they are here: the one place where the two vocabularies meet. */

import type { OpName } from '../../../reference/ops.ts';
import * as attention from './attention.ts';
import type { Adapter } from './case.ts';
import * as convolution from './convolution.ts';
import * as discrete from './discreteSsd.ts';
import * as gradients from './gradients.ts';
import * as layers from './layers.ts';
import * as mamba1 from './mamba1.ts';
import * as mamba2 from './mamba2.ts';
import * as sampling from './sampling.ts';
import type { Translation } from './translation.ts';

/** Compositions, tables and gradients that the adapters compute on the reference itself, not with a backend's ops. */
export const REFERENCE_ONLY: ReadonlySet<string> = new Set([
  'mamba_inner',
  'mamba2_block',
  'llama_attention',
  'rope_inv_freq',
  'selective_scan_grad',
  'ssd_scan_grad',
  'causal_conv1d_grad',
  'mohawk_stage1',
]);

/** By the name in a case file's metadata. */
export const ADAPTERS: ReadonlyMap<string, Adapter> = new Map([
  ['selective_scan', mamba1.selectiveScan],
  ['selective_scan_init', mamba1.selectiveScan],
  ['selective_state_update', mamba1.selectiveStateUpdate],
  ['mamba_inner', mamba1.mambaInnerCase],
  ['ssd_scan', mamba2.ssdScan],
  ['ssd_minimal', mamba2.ssdMinimal],
  ['segsum', mamba2.segsum],
  ['ssd_chunk_pieces', mamba2.ssdChunkPieces],
  ['mamba2_block', mamba2.mamba2Block],
  ['simple_gla', mamba2.simpleGla],
  ['discrete_ssd', discrete.discreteSsd],
  ['materialize_mixer', discrete.materializeMixer],
  ['causal_conv1d', convolution.causalConv1d],
  ['causal_conv1d_update', convolution.causalConv1dUpdate],
  ['causal_conv1d_varlen_states', convolution.causalConv1dVarlenStates],
  ['rmsnorm', layers.rmsNorm],
  ['layernorm', layers.layerNorm],
  ['rmsnorm_gated', layers.gatedRmsNorm],
  ['rope_inv_freq', attention.ropeInvFreq],
  ['rope_apply', attention.ropeApply],
  ['rope_flash', attention.ropeFlash],
  ['attention', attention.attention],
  ['llama_attention', attention.llamaAttention],
  ['swiglu_mlp', layers.swigluMlp],
  ['gated_mlp_mamba', layers.gatedMlp],
  ['activations', layers.activations],
  ['log_softmax', sampling.logSoftmax],
  ['logits_filter', sampling.logitsFilter],
  ['pass_at_k', sampling.passAtK],
  ['selective_scan_grad', gradients.selectiveScanGrad],
  ['ssd_scan_grad', gradients.ssdScanGrad],
  ['causal_conv1d_grad', gradients.causalConv1dGrad],
  ['mohawk_stage1', gradients.mohawkStage1],
]);

/** The way back, for each op of ours that upstream has. */
export const TRANSLATIONS: { readonly [Name in OpName]?: Translation<Name> } = {
  selectiveScan: mamba1.selectiveScanCase,
  selectiveScanStep: mamba1.selectiveScanStepCase,
  ssd: mamba2.ssdCase,
  ssdStep: mamba2.ssdStepCase,
  semiseparableChunked: mamba2.semiseparableChunkedCase,
  discreteSsd: discrete.discreteSsdCase,
  discreteSsdStep: discrete.discreteSsdStepCase,
  discreteSsdMatrix: discrete.discreteSsdMatrixCase,
  causalConv1d: convolution.causalConv1dCase,
  causalConv1dStep: convolution.causalConv1dStepCase,
  rmsNorm: layers.rmsNormCase,
  layerNorm: layers.layerNormCase,
  gatedRmsNorm: layers.gatedRmsNormCase,
  rope: attention.ropeCase,
  attention: attention.attentionCase,
  attentionStep: attention.attentionStepCase,
  swigluMlp: layers.swigluMlpCase,
  gatedMlp: layers.gatedMlpCase,
  softplus: layers.softplusCase,
  silu: layers.siluCase,
  sigmoid: layers.sigmoidCase,
  logSoftmax: sampling.logSoftmaxCase,
  softmax: sampling.probabilitiesCase,
  filterLogits: sampling.filterLogitsCase,
  passAtK: sampling.passAtKCase,
};
