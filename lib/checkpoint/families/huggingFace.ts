/** Configs of Mamba, Mamba-2 and Llama as the transformers library writes them. */

import type { LayerConfig, ModelConfig } from '../../../reference/config.ts';
import type { Fields } from '../fields.ts';
import { expectSilu, readDtLimit, readDtRank, readLlamaLayer, rms } from './shared.ts';

function repeatLayer(layer: LayerConfig, fields: Fields): LayerConfig[] {
  const nLayers = fields.integer('num_hidden_layers', { max: 4096 });
  return Array.from({ length: nLayers }, () => layer);
}

function common(fields: Fields, isTiedByDefault: boolean) {
  const vocabSize = fields.integer('vocab_size');
  return {
    vocabSize,
    vocabRows: vocabSize,
    dModel: fields.integer('hidden_size'),
    isTied: fields.boolean('tie_word_embeddings', isTiedByDefault),
    hasHeadBias: false,
  };
}

/** model_type "llama". */
export function readLlama(fields: Fields): ModelConfig {
  const layer = readLlamaLayer(fields);
  return {
    ...common(fields, false),
    layers: repeatLayer(layer, fields),
    finalNorm: layer.norm,
    contextLength: fields.integer('max_position_embeddings', { default: 2048 }),
  };
}

/** model_type "mamba". */
export function readMamba(fields: Fields): ModelConfig {
  const base = common(fields, true);
  const dInner = readDInner(fields, base.dModel);
  expectSilu(fields, 'hidden_act');
  const norm = rms(fields.number('layer_norm_epsilon', { default: 1e-5 }));
  const layer: LayerConfig = {
    norm,
    mixer: {
      kind: 'mamba',
      dInner,
      dState: fields.integer('state_size', { default: 16 }),
      dConv: fields.integer('conv_kernel', { default: 4, max: 1024 }),
      dtRank: readDtRank(fields, 'time_step_rank', base.dModel),
      hasBias: fields.boolean('use_bias', true),
      hasConvBias: fields.boolean('use_conv_bias', true),
    },
  };
  return { ...base, layers: repeatLayer(layer, fields), finalNorm: norm };
}

/** model_type "mamba2". Its gated norm is over all channels at once, whatever n_groups is. */
export function readMamba2(fields: Fields): ModelConfig {
  const base = common(fields, false);
  const dInner = readDInner(fields, base.dModel);
  const nHeads = fields.integer('num_heads', { default: 128 });
  const headDim = fields.integer('head_dim', { default: 64 });
  if (nHeads * headDim !== dInner) {
    fields.refuse(
      'num_heads',
      `expected num_heads · head_dim = ${dInner}, got ${nHeads} · ${headDim}`,
    );
  }
  const nGroups = fields.integer('n_groups', { default: 8 });
  if (nHeads % nGroups !== 0) {
    fields.refuse('n_groups', `expected a divisor of ${nHeads} heads, got ${nGroups}`);
  }
  fields.integer('chunk_size', { default: 256 });
  expectSilu(fields, 'hidden_act');
  const eps = fields.number('layer_norm_epsilon', { default: 1e-5 });
  const layer: LayerConfig = {
    norm: rms(eps),
    mixer: {
      kind: 'mamba2',
      dInner,
      nHeads,
      headDim,
      nGroups,
      dState: fields.integer('state_size', { default: 128 }),
      dConv: fields.integer('conv_kernel', { default: 4, max: 1024 }),
      gatedNorm: { eps, groupSize: dInner, normBeforeGate: false },
      dtLimit: readDtLimit(fields, 'time_step_limit'),
      hasDPerChannel: false,
      hasBias: fields.boolean('use_bias', false),
      hasConvBias: fields.boolean('use_conv_bias', true),
    },
  };
  return { ...base, layers: repeatLayer(layer, fields), finalNorm: rms(eps) };
}

/** expand · hidden_size, which intermediate_size must agree with where it is given. */
function readDInner(fields: Fields, dModel: number): number {
  const expand = fields.number('expand', { default: 2 });
  const dInner = Math.trunc(expand * dModel);
  const given = fields.integer('intermediate_size', { default: Math.max(dInner, 1) });
  if (given !== dInner) {
    fields.refuse('intermediate_size', `expected expand · hidden_size = ${dInner}, got ${given}`);
  }
  return dInner;
}
