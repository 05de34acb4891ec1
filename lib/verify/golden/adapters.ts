/** Upstream's op names and what they are here: the one place where the two vocabularies meet. */

import type { Adapter } from './case.ts';
import * as layers from './layers.ts';
import * as recurrences from './recurrences.ts';
import * as sampling from './sampling.ts';

/** By the name in a case file's metadata. */
export const ADAPTERS: ReadonlyMap<string, Adapter> = new Map([
  ['selective_scan', recurrences.selectiveScan],
  ['selective_scan_init', recurrences.selectiveScan],
  ['selective_state_update', recurrences.selectiveStateUpdate],
  ['mamba_inner', recurrences.mambaInnerCase],
  ['ssd_scan', recurrences.ssdScan],
  ['ssd_minimal', recurrences.ssdMinimal],
  ['segsum', recurrences.segsum],
  ['ssd_chunk_pieces', recurrences.ssdChunkPieces],
  ['mamba2_block', recurrences.mamba2Block],
  ['simple_gla', recurrences.simpleGla],
  ['discrete_ssd', recurrences.discreteSsd],
  ['materialize_mixer', recurrences.materializeMixer],
  ['causal_conv1d', layers.causalConv1d],
  ['causal_conv1d_update', layers.causalConv1dUpdate],
  ['causal_conv1d_varlen_states', layers.causalConv1dVarlenStates],
  ['rmsnorm', layers.rmsNorm],
  ['layernorm', layers.layerNorm],
  ['rmsnorm_gated', layers.gatedRmsNorm],
  ['rope_inv_freq', layers.ropeInvFreq],
  ['rope_apply', layers.ropeApply],
  ['rope_flash', layers.ropeFlash],
  ['attention', layers.attention],
  ['llama_attention', layers.llamaAttention],
  ['swiglu_mlp', layers.swigluMlp],
  ['gated_mlp_mamba', layers.gatedMlp],
  ['activations', layers.activations],
  ['log_softmax', sampling.logSoftmax],
  ['logits_filter', sampling.logitsFilter],
  ['pass_at_k', sampling.passAtK],
]);
