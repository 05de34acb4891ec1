/** Upstream's op names and what they are here: the one place where the two vocabularies meet. */

import * as attention from './attention.ts';
import type { Adapter } from './case.ts';
import * as layers from './layers.ts';
import * as mamba1 from './mamba1.ts';
import * as mamba2 from './mamba2.ts';
import * as sampling from './sampling.ts';

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
  ['discrete_ssd', mamba2.discreteSsd],
  ['materialize_mixer', mamba2.materializeMixer],
  ['causal_conv1d', layers.causalConv1d],
  ['causal_conv1d_update', layers.causalConv1dUpdate],
  ['causal_conv1d_varlen_states', layers.causalConv1dVarlenStates],
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
]);
