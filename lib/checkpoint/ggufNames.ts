/** What llama.cpp calls our tensors, after ggufLayout.ts has brought them into our shapes. */

import type { AttentionConfig } from '../../reference/config.ts';
import type { NameScheme, Part } from './names.ts';

/** The same in Mamba and Mamba-2. */
const GGUF_MAMBA_LIKE = {
  inProj: 'ssm_in.weight',
  convWeight: 'ssm_conv1d.weight',
  convBias: 'ssm_conv1d.bias',
  dtBias: 'ssm_dt.bias',
  ALog: 'ssm_a',
  D: 'ssm_d',
  outProj: 'ssm_out.weight',
};
const GGUF_QKV =
  (kind: 'weight' | 'bias') =>
  (config: AttentionConfig): readonly Part[] => {
    const q = config.nHeads * config.headDim;
    const kv = config.nKvHeads * config.headDim;
    return [
      [`attn_q.${kind}`, q],
      [`attn_k.${kind}`, kv],
      [`attn_v.${kind}`, kv],
    ];
  };

export const GGUF_NAMES = {
  title: 'GGUF',
  config: 'the metadata',
  model: {
    embedding: 'token_embd.weight',
    'finalNorm.weight': 'output_norm.weight',
    head: 'output.weight',
  },
  layer: 'blk.{i}.',
  block: {
    'mixerNorm.weight': 'attn_norm.weight',
    'mlpNorm.weight': 'ffn_norm.weight',
    'mlp.gate': 'ffn_gate.weight',
    'mlp.gateBias': 'ffn_gate.bias',
    'mlp.up': 'ffn_up.weight',
    'mlp.upBias': 'ffn_up.bias',
    'mlp.down': 'ffn_down.weight',
    'mlp.downBias': 'ffn_down.bias',
  },
  mixers: {
    mamba: { ...GGUF_MAMBA_LIKE, xProj: 'ssm_x.weight', dtProj: 'ssm_dt.weight' },
    mamba2: { ...GGUF_MAMBA_LIKE, normWeight: 'ssm_norm.weight' },
    attention: {
      inProj: GGUF_QKV('weight'),
      inProjBias: GGUF_QKV('bias'),
      outProj: 'attn_output.weight',
      outProjBias: 'attn_output.bias',
    },
  },
} as const satisfies NameScheme;
