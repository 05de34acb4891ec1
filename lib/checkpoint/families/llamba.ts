/** Configs of Llamba: Discrete Mamba-2 in every layer, Llama's MLP and norms around it. */

import type { LayerConfig, ModelConfig } from '../../../reference/config.ts';
import type { Fields } from '../fields.ts';
import { expectSilu, rms, roundUp, swiglu } from './shared.ts';

/** model_type "llamba". */
export function readLlamba(fields: Fields): ModelConfig {
  const dModel = fields.integer('d_model');
  const nLayers = fields.integer('n_layer', { max: 4096, default: 32 });
  const vocabRows = roundUp(
    fields.integer('vocab_size'),
    fields.integer('pad_vocab_size_multiple', { default: 8 }),
  );
  const isTied = fields.boolean('tie_embeddings', false);
  const ssm = fields.object('ssm_cfg');
  const nHeads = ssm.integer('n_v_heads', { default: 32 });
  const nGroups = ssm.integer('n_qk_heads', { default: 32 });
  const dInner = ssm.number('expand', { default: 1 }) * dModel;
  if (dInner % nHeads !== 0) {
    ssm.refuse('n_v_heads', `expected a divisor of expand · d_model = ${dInner}, got ${nHeads}`);
  }
  if (nHeads % nGroups !== 0) {
    ssm.refuse('n_qk_heads', `expected a divisor of ${nHeads} value heads, got ${nGroups}`);
  }
  ssm.integer('chunk_size', { default: 128 });
  const activation = ssm.choice('activation', ['identity', 'silu', 'swish'], 'identity');
  const mlp = fields.object('mlp_cfg');
  expectSilu(mlp, 'act_fn');
  const layer: LayerConfig = {
    norm: rms(1e-5), // fixed in the published code; norm_epsilon is the final norm's alone
    mixer: {
      kind: 'discreteMamba2',
      nHeads,
      headDim: dInner / nHeads,
      nGroups,
      dState: ssm.integer('d_state', { default: 64 }),
      dConv: ssm.integer('d_conv', { default: 4, max: 1024 }),
      activation: activation === 'identity' ? 'identity' : 'silu',
      hasBias: ssm.boolean('bias', false),
      hasConvBias: ssm.boolean('conv_bias', true),
    },
    mlp: swiglu(mlp.integer('intermediate_size', { default: 14336 }), mlp.boolean('bias', false)),
  };
  ssm.refuseOthers();
  mlp.refuseOthers();
  return {
    vocabSize: fields.integer('vocab_size'),
    vocabRows,
    dModel,
    layers: Array.from({ length: nLayers }, () => layer),
    finalNorm: rms(fields.number('norm_epsilon', { default: 1e-5 })),
    isTied,
    hasHeadBias: !isTied && fields.boolean('lm_head_bias', false),
  };
}
