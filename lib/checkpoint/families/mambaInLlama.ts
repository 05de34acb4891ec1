/** Configs of MambaInLlama and M1: a Llama config, and beside it which layers became Mamba. */

import type { LayerConfig, MixerConfig, ModelConfig } from '../../../reference/config.ts';
import { CheckpointError } from '../errors.ts';
import type { Fields } from '../fields.ts';
import { readLlama } from './huggingFace.ts';
import { expectSilu, readDtLimit, readDtRank, readLlamaLayer, rms, swiglu } from './shared.ts';

const IGNORED = [
  'dt_min',
  'dt_max',
  'dt_init',
  'dt_scale',
  'dt_init_floor',
  'use_fast_path',
  'conv_init',
  'A_init_range',
  'use_mem_eff_path',
  'process_group',
  'sequence_parallel',
] as const;

/**
 * config.json (Llama's) with mamba_config.json.
 * @throws CheckpointError with code ConfigMismatch where the two contradict each other.
 */
export function readMambaInLlama(fields: Fields, mambaFields: Fields): ModelConfig {
  const llama = readLlama(fields);
  const dModel = mambaFields.integer('d_model');
  const nLayers = mambaFields.integer('n_layer', { max: 4096 });
  const agree = (name: string, mamba: number, other: string, value: number) => {
    if (mamba === value) return;
    throw new CheckpointError(
      'ConfigMismatch',
      mambaFields.file,
      `${name} = ${mamba}, but config.json says ${other} = ${value}; are they from one model?`,
    );
  };
  agree('d_model', dModel, 'hidden_size', llama.dModel);
  agree('n_layer', nLayers, 'num_hidden_layers', llama.layers.length);
  expectSilu(mambaFields, 'hidden_act');
  const mambaLayer: LayerConfig = {
    norm: rms(mambaFields.number('rms_norm_eps', { default: 1e-5 })),
    mixer: readMixer(mambaFields, dModel),
    mlp: swiglu(mambaFields.integer('intermediate_size', { default: 10240 }), false),
  };
  const attentionLayers = new Set(mambaFields.indices('attn_layers', nLayers));
  return {
    ...llama,
    layers: llama.layers.map((layer, i) => (attentionLayers.has(i) ? layer : mambaLayer)),
    contextLength: attentionLayers.size > 0 ? llama.contextLength : undefined,
  };
}

function readMixer(fields: Fields, dModel: number): MixerConfig {
  const ssm = fields.object('ssm_cfg');
  ssm.ignore(...IGNORED);
  const expanded = Math.trunc(ssm.number('expand', { default: 2 }) * dModel);
  const dInner = fields.integer('d_inner', { default: expanded });
  const dXb = fields.integer('d_xb', { default: 2560 });
  // only the Mamba-2 mixer has groups to name
  const mixer = ssm.has('ngroups')
    ? readMamba2(ssm, dInner, dXb)
    : readMamba(ssm, dModel, dInner, dXb);
  const { dState } = mixer;
  if (dInner % dXb !== 0 || dXb % dState !== 0) {
    fields.refuse(
      'd_xb',
      `expected a multiple of d_state = ${dState} and a divisor of ${dInner}, got ${dXb}`,
    );
  }
  ssm.refuseOthers();
  return mixer;
}

function readMamba(ssm: Fields, dModel: number, dInner: number, dXb: number) {
  return {
    kind: 'mambaInLlama',
    dInner,
    dXb,
    dState: ssm.integer('d_state', { default: 16 }),
    dConv: ssm.integer('d_conv', { default: 4, max: 1024 }),
    dtRank: readDtRank(ssm, 'dt_rank', dModel),
    repeatsBeforeConv: ssm.boolean('repeat_kv_before_conv', true),
    hasXBias: ssm.boolean('proj_x_bias', false),
    hasZBias: ssm.boolean('proj_z_bias', false),
    hasOutBias: ssm.boolean('out_proj_bias', false),
    hasConvBias: ssm.boolean('conv_bias', true),
  } as const;
}

function readMamba2(ssm: Fields, dInner: number, dXb: number) {
  ssm.ignore('headdim'); // upstream overwrites it with d_state
  const nGroups = ssm.integer('ngroups');
  const dState = ssm.integer('d_state', { default: 128 });
  if (nGroups * dState !== dInner) {
    ssm.refuse('ngroups', `expected ngroups · d_state = ${dInner}, got ${nGroups} · ${dState}`);
  }
  const dSsm = ssm.integer('d_ssm', { default: dInner });
  if (dSsm !== dInner) ssm.refuse('d_ssm', `expected d_inner = ${dInner}, got ${dSsm}`);
  ssm.integer('chunk_size', { default: 256 });
  const hasNorm = ssm.boolean('rmsnorm', true);
  const normBeforeGate = ssm.boolean('norm_before_gate', false);
  return {
    kind: 'mambaInLlama2',
    nHeads: nGroups,
    headDim: dState,
    dXb,
    dState,
    dConv: ssm.integer('d_conv', { default: 4, max: 1024 }),
    repeatsBeforeConv: ssm.boolean('repeat_kv_before_conv', false),
    ...(hasNorm && { gatedNorm: { eps: 1e-5, groupSize: dInner / nGroups, normBeforeGate } }),
    dtLimit: readDtLimit(ssm, 'dt_limit'),
    hasDPerChannel: ssm.boolean('D_has_hdim', false),
    hasBias: ssm.boolean('bias', false),
    hasConvBias: ssm.boolean('conv_bias', true),
  } as const;
}

/** model_type "hybrid_mamba": the same model described in a single config.json. */
export function readHybridMamba(fields: Fields): ModelConfig {
  const attention = readLlamaLayer(fields);
  const dModel = fields.integer('hidden_size');
  const nLayers = fields.integer('num_hidden_layers', { max: 4096 });
  const dState = fields.integer('state_size', { default: 16 });
  const dInner = Math.trunc(fields.number('expand', { default: 1 }) * dModel);
  const { mixer, mlp } = attention;
  if (mixer.kind !== 'attention') throw new TypeError('readLlamaLayer makes attention layers');
  const dXb = mixer.nKvHeads * mixer.headDim;
  if (dInner % dXb !== 0 || dXb % dState !== 0) {
    fields.refuse(
      'state_size',
      `expected key/value width ${dXb} to be a multiple of state_size and a divisor of ${dInner}`,
    );
  }
  const mambaLayer: LayerConfig = {
    norm: attention.norm,
    mixer: {
      kind: 'mambaInLlama',
      dInner,
      dXb,
      dState,
      dConv: fields.integer('conv_kernel', { default: 4, max: 1024 }),
      dtRank: readDtRank(fields, 'time_step_rank', dModel),
      repeatsBeforeConv: true,
      hasXBias: false,
      hasZBias: false,
      hasOutBias: false,
      hasConvBias: true,
    },
    mlp,
  };
  const attentionLayers = new Set(fields.indices('attn_layers', nLayers));
  const vocabSize = fields.integer('vocab_size');
  return {
    vocabSize,
    vocabRows: vocabSize,
    dModel,
    layers: Array.from({ length: nLayers }, (_, i) =>
      attentionLayers.has(i) ? attention : mambaLayer,
    ),
    finalNorm: attention.norm,
    isTied: fields.boolean('tie_word_embeddings', false),
    hasHeadBias: false,
    contextLength: fields.integer('max_position_embeddings', { default: 2048 }),
  };
}
