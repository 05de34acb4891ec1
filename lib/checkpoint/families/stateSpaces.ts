/** Configs of mamba_ssm's own models: Mamba, Mamba-2 and their attention hybrids. */

import type {
  AttentionConfig,
  LayerConfig,
  Mamba2Config,
  MambaConfig,
  MixerConfig,
  ModelConfig,
  NormConfig,
} from '../../../reference/config.ts';
import { CheckpointError } from '../errors.ts';
import type { Fields } from '../fields.ts';
import { readDtLimit, readDtRank, roundUp } from './shared.ts';

/** Constructor arguments that only matter for initialisation or speed. */
const MAMBA_IGNORED = [
  'dt_min',
  'dt_max',
  'dt_init',
  'dt_scale',
  'dt_init_floor',
  'use_fast_path',
] as const;
const MAMBA2_IGNORED = [
  'conv_init',
  'A_init_range',
  'dt_min',
  'dt_max',
  'dt_init_floor',
  'use_mem_eff_path',
  'process_group',
  'sequence_parallel',
] as const;

/** The dataclass MambaConfig of mamba_ssm. */
export function readStateSpaces(fields: Fields): ModelConfig {
  const dModel = fields.integer('d_model');
  const nLayers = fields.integer('n_layer', { max: 4096 });
  const vocabSize = fields.integer('vocab_size');
  const dHidden = fields.integer('d_intermediate', { min: 0, default: 0 });
  const norm: NormConfig = { kind: fields.boolean('rms_norm', true) ? 'rms' : 'layer', eps: 1e-5 };
  const ssm = readSsm(fields.object('ssm_cfg'), dModel);
  const attentionLayers = new Set(fields.indices('attn_layer_idx', nLayers));
  const attention =
    attentionLayers.size > 0 ? readAttention(fields.object('attn_cfg'), dModel) : undefined;
  const layers = Array.from(
    { length: nLayers },
    (_, i): LayerConfig => ({
      norm,
      mixer: attention && attentionLayers.has(i) ? attention : ssm,
      ...(dHidden > 0 && {
        mlp: { kind: 'gated', dHidden: roundUp(dHidden, 128), hasBias: false } as const,
      }),
    }),
  );
  return {
    vocabSize,
    vocabRows: roundUp(vocabSize, fields.integer('pad_vocab_size_multiple', { default: 8 })),
    dModel,
    layers,
    finalNorm: norm,
    isTied: fields.boolean('tie_embeddings', true),
    hasHeadBias: false,
  };
}

function readSsm(fields: Fields, dModel: number): MixerConfig {
  const layer = fields.raw('layer') ?? 'Mamba1';
  if (layer !== 'Mamba1' && layer !== 'Mamba2') {
    throw new CheckpointError(
      'UnsupportedModel',
      fields.file,
      `ssm_cfg.layer: expected Mamba1 or Mamba2, got ${String(layer)}`,
    );
  }
  const mixer = layer === 'Mamba1' ? readMamba(fields, dModel) : readMamba2(fields, dModel);
  fields.refuseOthers();
  return mixer;
}

function readMamba(fields: Fields, dModel: number): MambaConfig {
  fields.ignore(...MAMBA_IGNORED);
  return {
    kind: 'mamba',
    dInner: Math.trunc(fields.number('expand', { default: 2 }) * dModel),
    dState: fields.integer('d_state', { default: 16 }),
    dConv: fields.integer('d_conv', { default: 4, max: 1024 }),
    dtRank: readDtRank(fields, 'dt_rank', dModel),
    hasBias: fields.boolean('bias', false),
    hasConvBias: fields.boolean('conv_bias', true),
  };
}

function readMamba2(fields: Fields, dModel: number): Mamba2Config {
  fields.ignore(...MAMBA2_IGNORED);
  const dInner = fields.number('expand', { default: 2 }) * dModel;
  const dSsm = fields.integer('d_ssm', { default: dInner, max: dInner });
  const headDim = fields.integer('headdim', { default: 64 });
  if (dSsm % headDim !== 0)
    fields.refuse('headdim', `expected a divisor of ${dSsm}, got ${headDim}`);
  const nHeads = dSsm / headDim;
  const nGroups = fields.integer('ngroups', { default: 1 });
  if (nHeads % nGroups !== 0) {
    fields.refuse('ngroups', `expected a divisor of ${nHeads} heads, got ${nGroups}`);
  }
  fields.integer('chunk_size', { default: 256 });
  const hasNorm = fields.boolean('rmsnorm', true);
  const normBeforeGate = fields.boolean('norm_before_gate', false);
  return {
    kind: 'mamba2',
    dInner,
    nHeads,
    headDim,
    nGroups,
    dState: fields.integer('d_state', { default: 128 }),
    dConv: fields.integer('d_conv', { default: 4, max: 1024 }),
    ...(hasNorm && { gatedNorm: { eps: 1e-5, groupSize: dSsm / nGroups, normBeforeGate } }),
    dtLimit: readDtLimit(fields, 'dt_limit'),
    hasDPerChannel: fields.boolean('D_has_hdim', false),
    hasBias: fields.boolean('bias', false),
    hasConvBias: fields.boolean('conv_bias', true),
  };
}

/** The arguments of mamba_ssm's MHA. */
function readAttention(fields: Fields, dModel: number): AttentionConfig {
  const nHeads = fields.integer('num_heads');
  const nKvHeads = fields.integer('num_heads_kv', { default: nHeads });
  if (nHeads % nKvHeads !== 0) {
    fields.refuse('num_heads_kv', `expected a divisor of ${nHeads} heads, got ${nKvHeads}`);
  }
  if (!fields.has('head_dim') && dModel % nHeads !== 0) {
    fields.refuse('num_heads', `expected a divisor of d_model = ${dModel}, got ${nHeads}`);
  }
  const headDim = fields.integer('head_dim', { default: dModel / nHeads });
  if (!fields.boolean('causal', false)) {
    fields.refuse(
      'causal',
      'expected true: attention that looks ahead cannot decode token by token',
    );
  }
  const rotaryDim = fields.integer('rotary_emb_dim', { min: 0, max: headDim, default: 0 });
  if (rotaryDim % 2 !== 0)
    fields.refuse('rotary_emb_dim', `expected an even number, got ${rotaryDim}`);
  const theta = fields.number('rotary_emb_base', { default: 10000 });
  const pairing = fields.boolean('rotary_emb_interleaved', false) ? 'interleaved' : 'half';
  const dConv = fields.integer('d_conv', { min: 0, max: 1024, default: 0 });
  const mlpDim = roundUp(fields.integer('mlp_dim', { min: 0, default: 0 }), 256);
  const config: AttentionConfig = {
    kind: 'attention',
    nHeads,
    nKvHeads,
    headDim,
    ...(rotaryDim > 0 && { rope: { rotaryDim, theta, pairing } }),
    ...(fields.has('softmax_scale') && { scale: fields.number('softmax_scale') }),
    ...(dConv > 0 && { dConv }),
    ...(mlpDim > 0 && { dParallelMlp: mlpDim / 2 }),
    hasQkvBias: fields.boolean('qkv_proj_bias', true),
    hasOutBias: fields.boolean('out_proj_bias', true),
  };
  fields.refuseOthers();
  return config;
}
