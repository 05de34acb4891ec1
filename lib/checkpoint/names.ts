/**
 * What others call our tensors: one table of data for every published naming scheme.
 *
 * Left stand our names (reference/model.ts, weightShapes), right the names in files, or a list of parts
 * that follow one another row by row: [name, rows] for a tensor, [null, rows] for rows of zeros.
 */

import type { AttentionConfig, MambaInLlamaConfig, MixerConfig } from '../../reference/config.ts';
import { GGUF_NAMES } from './ggufNames.ts';

/** A tensor that fills some rows of one of ours. */
export type Part = readonly [name: string | null, rows: number];
export type Source<Mixer> = string | ((mixer: Mixer) => readonly Part[]);
/** Our names and the names in files. */
type Names = Readonly<Record<string, string>>;
type Table<Mixer> = Readonly<Record<string, Source<Mixer>>>;

export interface NameScheme {
  /** Where the name is used, for messages. */
  readonly title: string;
  /** What says the sizes, for messages. Default: config.json. */
  readonly config?: string;
  /** Tensors outside the layers. */
  readonly model: Names;
  /** What names of layer i begin with; {i} stands for i. */
  readonly layer: string;
  /** Norms and MLP of a layer. */
  readonly block: Names;
  readonly mixers: { readonly [M in MixerConfig as M['kind']]?: Table<M> };
}

const GATED_MLP: Names = {
  'mlp.fc1': 'mlp.fc1.weight',
  'mlp.fc2': 'mlp.fc2.weight',
};
const SWIGLU_MLP: Names = {
  'mlp.gate': 'mlp.gate_proj.weight',
  'mlp.gateBias': 'mlp.gate_proj.bias',
  'mlp.up': 'mlp.up_proj.weight',
  'mlp.upBias': 'mlp.up_proj.bias',
  'mlp.down': 'mlp.down_proj.weight',
  'mlp.downBias': 'mlp.down_proj.bias',
};

/** in_proj, conv1d, D and out_proj are called the same in every Mamba-like mixer. */
const MAMBA_LIKE = (prefix: string): Names => ({
  inProj: `${prefix}in_proj.weight`,
  inProjBias: `${prefix}in_proj.bias`,
  convWeight: `${prefix}conv1d.weight`,
  convBias: `${prefix}conv1d.bias`,
  D: `${prefix}D`,
  outProj: `${prefix}out_proj.weight`,
  outProjBias: `${prefix}out_proj.bias`,
});
const MAMBA = (prefix: string): Names => ({
  ...MAMBA_LIKE(prefix),
  xProj: `${prefix}x_proj.weight`,
  dtProj: `${prefix}dt_proj.weight`,
  dtBias: `${prefix}dt_proj.bias`,
  ALog: `${prefix}A_log`,
});
const MAMBA2 = (prefix: string): Names => ({
  ...MAMBA_LIKE(prefix),
  dtBias: `${prefix}dt_bias`,
  ALog: `${prefix}A_log`,
  normWeight: `${prefix}norm.weight`,
});

const qkvRows = (config: AttentionConfig) => {
  const kv = config.nKvHeads * config.headDim;
  return [config.nHeads * config.headDim, kv, kv] as const;
};
const SELF_ATTENTION: Table<AttentionConfig> = {
  inProj: (config) => {
    const [q, k, v] = qkvRows(config);
    return [
      ['self_attn.q_proj.weight', q],
      ['self_attn.k_proj.weight', k],
      ['self_attn.v_proj.weight', v],
    ];
  },
  inProjBias: (config) => {
    const [q, k, v] = qkvRows(config);
    return [
      ['self_attn.q_proj.bias', q],
      ['self_attn.k_proj.bias', k],
      ['self_attn.v_proj.bias', v],
    ];
  },
  outProj: 'self_attn.o_proj.weight',
  outProjBias: 'self_attn.o_proj.bias',
};
/** mamba_ssm's MHA: q, k and v in one matrix. */
const FUSED_ATTENTION = (prefix: string): Table<AttentionConfig> => ({
  inProj: `${prefix}in_proj.weight`,
  inProjBias: `${prefix}in_proj.bias`,
  convWeight: `${prefix}conv1d.weight`,
  convBias: `${prefix}conv1d.bias`,
  outProj: `${prefix}out_proj.weight`,
  outProjBias: `${prefix}out_proj.bias`,
});

const LLAMA_MODEL: Names = {
  embedding: 'model.embed_tokens.weight',
  'finalNorm.weight': 'model.norm.weight',
  head: 'lm_head.weight',
  score: 'score.weight',
};
const LLAMA_BLOCK: Names = {
  'mixerNorm.weight': 'input_layernorm.weight',
  'mlpNorm.weight': 'post_attention_layernorm.weight',
  ...SWIGLU_MLP,
};
/** MambaInLlama's Mamba-1 mixer with one matrix for everything that is made from the input. */
const FUSED_MAMBA: Table<MambaInLlamaConfig> = {
  ...MAMBA_LIKE('mamba.'),
  dtProj: 'mamba.dt_proj.weight',
  dtBias: 'mamba.dt_proj.bias',
  ALog: 'mamba.A_log',
};

/** All schemes. A MambaInLlama checkpoint may mix split and fused tensors: see {@link schemeFor}. */
export const SCHEMES = {
  stateSpaces: {
    title: 'state-spaces',
    model: {
      embedding: 'backbone.embedding.weight',
      'finalNorm.weight': 'backbone.norm_f.weight',
      'finalNorm.bias': 'backbone.norm_f.bias',
      head: 'lm_head.weight',
    },
    layer: 'backbone.layers.{i}.',
    block: {
      'mixerNorm.weight': 'norm.weight',
      'mixerNorm.bias': 'norm.bias',
      'mlpNorm.weight': 'norm2.weight',
      'mlpNorm.bias': 'norm2.bias',
      ...GATED_MLP,
    },
    mixers: {
      mamba: MAMBA('mixer.'),
      mamba2: MAMBA2('mixer.'),
      attention: FUSED_ATTENTION('mixer.'),
    },
  },
  huggingFaceMamba: {
    title: 'Hugging Face Mamba',
    model: {
      embedding: 'backbone.embeddings.weight',
      'finalNorm.weight': 'backbone.norm_f.weight',
      head: 'lm_head.weight',
    },
    layer: 'backbone.layers.{i}.',
    block: { 'mixerNorm.weight': 'norm.weight' },
    mixers: { mamba: MAMBA('mixer.'), mamba2: MAMBA2('mixer.') },
  },
  llama: {
    title: 'Hugging Face Llama',
    model: LLAMA_MODEL,
    layer: 'model.layers.{i}.',
    block: LLAMA_BLOCK,
    mixers: { attention: SELF_ATTENTION },
  },
  llamba: {
    title: 'Llamba',
    model: {
      embedding: 'backbone.embedding.weight',
      'finalNorm.weight': 'backbone.final_layernorm.weight',
      head: 'lm_head.weight',
      headBias: 'lm_head.bias',
    },
    layer: 'backbone.layers.{i}.',
    block: LLAMA_BLOCK,
    mixers: { discreteMamba2: { ...MAMBA_LIKE('mixer.'), zBias: 'mixer.z_bias' } },
  },
  mambaInLlamaSplit: {
    title: 'MambaInLlama',
    model: LLAMA_MODEL,
    layer: 'model.layers.{i}.',
    block: LLAMA_BLOCK,
    mixers: {
      attention: SELF_ATTENTION,
      mambaInLlama: {
        ...FUSED_MAMBA,
        inProj: ({ dInner, dXb, dtRank }) => [
          ['mamba.in_proj_z.weight', dInner],
          ['mamba.in_proj_x.weight', dXb],
          ['mamba.B_proj.weight', dXb],
          ['mamba.C_proj.weight', dInner],
          ['mamba.dt_proj_down.weight', dtRank],
        ],
        inProjBias: ({ dInner, dXb, dtRank, hasXBias, hasZBias }) => [
          [hasZBias ? 'mamba.in_proj_z.bias' : null, dInner],
          [hasXBias ? 'mamba.in_proj_x.bias' : null, dXb],
          [null, dXb + dInner + dtRank],
        ],
      },
      mambaInLlama2: MAMBA2('mamba.'),
    },
  },
  mambaInLlamaFused: {
    title: 'MambaInLlama (fused in_proj)',
    model: LLAMA_MODEL,
    layer: 'model.layers.{i}.',
    block: LLAMA_BLOCK,
    mixers: {
      attention: SELF_ATTENTION,
      mambaInLlama: FUSED_MAMBA,
      mambaInLlama2: MAMBA2('mamba.'),
    },
  },
  m1: {
    title: 'M1',
    model: LLAMA_MODEL,
    layer: 'model.layers.{i}.',
    block: LLAMA_BLOCK,
    mixers: {
      attention: FUSED_ATTENTION('mha.'),
      mambaInLlama: FUSED_MAMBA,
      mambaInLlama2: MAMBA2('mamba.'),
    },
  },
  gguf: GGUF_NAMES,
} as const satisfies Record<string, NameScheme>;

export type SchemeName = keyof typeof SCHEMES;

/** Which of MambaInLlama's three schemes a checkpoint uses, from the names in it. */
export function mambaInLlamaScheme(names: Iterable<string>): SchemeName {
  let isFused = false;
  for (const name of names) {
    if (name.includes('.mha.')) return 'm1';
    if (name.endsWith('.mamba.in_proj.weight')) isFused = true;
  }
  return isFused ? 'mambaInLlamaFused' : 'mambaInLlamaSplit';
}

/** Buffers that old checkpoints carry along and that are computed here. */
export const IGNORED_TENSORS = [/\.rotary_emb\.inv_freq$/, /\.masked_bias$/] as const;

/** The table of one mixer kind, typed for looking up by name. */
export function sourceOf(
  scheme: NameScheme,
  part: 'model' | 'block' | MixerConfig,
  name: string,
): readonly Part[] | string | undefined {
  if (part === 'model' || part === 'block') {
    const source = scheme[part][name];
    return typeof source === 'string' ? source : undefined;
  }
  const table = scheme.mixers[part.kind] as Table<MixerConfig> | undefined;
  const source = table?.[name];
  return typeof source === 'function' ? source(part) : source;
}
