/**
 * The published models that are built here with random weights. Every config is the published file's text; its length
 * in bytes, and those of the weights' files, are those that the hub's pages show (spec/standins.spec.ts compares them).
 */

import type { SchemeName } from '../../lib/checkpoint/names.ts';

export interface Standin {
  /** Where it is published on huggingface.co. */
  readonly repository: string;
  /** Config files by name. */
  readonly texts: Readonly<Record<string, string>>;
  readonly scheme: SchemeName;
  /** How the numbers are stored. */
  readonly dtype: 'F32' | 'BF16' | 'F16';
  /** Names in files of what is stored as F32 all the same. */
  readonly isF32?: RegExp;
  /** Most bytes of tensors in one file; one file where there is none. */
  readonly shardBytes?: number;
  /** What is not as published, or not known to be. */
  readonly caveat?: string;
}

/** transformers' default, in which the sharded ones were saved. */
const SHARD_BYTES = 5e9;

const PICKLE = 'published as pytorch_model.bin; this is it converted, the tied head left out';

/**
 * config.json of state-spaces/mamba-130m (199 bytes) and mamba-2.8b (200 bytes), by their pages; widths and layers of
 * all five by the table in the README of github.com/state-spaces/mamba. Float storages by the pages of 130m and 2.8b.
 */
function mamba(name: string, dModel: number, nLayer: number, isPickle: boolean): Standin {
  return {
    repository: `state-spaces/${name}`,
    texts: {
      'config.json': `{
    "d_model": ${dModel},
    "n_layer": ${nLayer},
    "vocab_size": 50277,
    "ssm_cfg": {},
    "rms_norm": true,
    "residual_in_fp32": true,
    "fused_add_norm": true,
    "pad_vocab_size_multiple": 8
}`,
    },
    scheme: 'stateSpaces',
    dtype: 'F32',
    ...(isPickle && { caveat: PICKLE }),
  };
}

/**
 * config.json of state-spaces/mamba2-130m (330 bytes), mamba2-1.3b and mamba2-2.7b (331), by their pages, which show
 * half and float storages. Which are floats they do not: the official code keeps A_log and D in fp32.
 */
function mamba2(name: string, dModel: number, nLayer: number): Standin {
  return {
    repository: `state-spaces/${name}`,
    texts: {
      'config.json': `{
    "d_model": ${dModel},
    "d_intermediate": 0,
    "n_layer": ${nLayer},
    "vocab_size": 50277,
    "ssm_cfg": {
        "layer": "Mamba2"
    },
    "attn_layer_idx": [],
    "attn_cfg": {},
    "rms_norm": true,
    "residual_in_fp32": true,
    "fused_add_norm": true,
    "pad_vocab_size_multiple": 16,
    "tie_embeddings": true
}`,
    },
    scheme: 'stateSpaces',
    dtype: 'F16',
    isF32: /\.(A_log|D)$/,
    caveat: `${PICKLE}; that A_log and D are its floats is inferred`,
  };
}

/**
 * config.json of cartesia-ai/Llamba-3B (480 bytes), by its page; its file is of 14.6 GB. The 1B's differs in d_model and
 * n_layer by goombalab/mohawk's llama_mamba2.yaml.
 */
function llamba(name: string, dModel: number, nLayer: number): Standin {
  return {
    repository: `cartesia-ai/${name}`,
    texts: {
      'config.json': `{
  "model_type": "llamba",
  "vocab_size": 128256,
  "tie_embeddings": true,
  "pad_vocab_size_multiple": 8,
  "lm_head_bias": false,
  "d_model": ${dModel},
  "n_layer": ${nLayer},
  "resid_dropout": 0.0,
  "norm_epsilon": 1e-5,
  "mlp_cfg": {
    "intermediate_size": 8192,
    "bias": false,
    "act_fn": "silu"
  },
  "ssm_cfg": {
    "d_state": 64,
    "n_v_heads": 32,
    "n_qk_heads": 32,
    "expand": 1,
    "chunk_size": 128,
    "activation": "identity",
    "bias": false
  }
}`,
    },
    scheme: 'llamba',
    dtype: 'F32',
    ...(nLayer === 16 && { caveat: 'the page of its files could not be read: F32 as the 3B' }),
  };
}

/** config.json (878 bytes) and generation_config.json (189) of meta-llama/Llama-3.2-3B-Instruct, by copies' pages. */
const LLAMA_3B = { dModel: 3072, nLayer: 28, nHeads: 24, headDim: 128 };
const LLAMA_1B = { dModel: 2048, nLayer: 16, nHeads: 32, headDim: 64 };

function llamaTexts({ dModel, nLayer, nHeads, headDim }: typeof LLAMA_3B): Record<string, string> {
  return {
    'config.json': `{
  "architectures": [
    "LlamaForCausalLM"
  ],
  "attention_bias": false,
  "attention_dropout": 0.0,
  "bos_token_id": 128000,
  "eos_token_id": [
    128001,
    128008,
    128009
  ],
  "head_dim": ${headDim},
  "hidden_act": "silu",
  "hidden_size": ${dModel},
  "initializer_range": 0.02,
  "intermediate_size": 8192,
  "max_position_embeddings": 131072,
  "mlp_bias": false,
  "model_type": "llama",
  "num_attention_heads": ${nHeads},
  "num_hidden_layers": ${nLayer},
  "num_key_value_heads": 8,
  "pretraining_tp": 1,
  "rms_norm_eps": 1e-05,
  "rope_scaling": {
    "factor": 32.0,
    "high_freq_factor": 4.0,
    "low_freq_factor": 1.0,
    "original_max_position_embeddings": 8192,
    "rope_type": "llama3"
  },
  "rope_theta": 500000.0,
  "tie_word_embeddings": true,
  "torch_dtype": "bfloat16",
  "transformers_version": "4.45.0.dev0",
  "use_cache": true,
  "vocab_size": 128256
}
`,
    'generation_config.json': `{
  "bos_token_id": 128000,
  "do_sample": true,
  "eos_token_id": [
    128001,
    128008,
    128009
  ],
  "temperature": 0.6,
  "top_p": 0.9,
  "transformers_version": "4.45.0.dev0"
}
`,
  };
}

function llama(name: string, size: typeof LLAMA_3B): Standin {
  return {
    repository: `meta-llama/${name}`,
    texts: llamaTexts(size),
    scheme: 'llama',
    dtype: 'BF16',
    shardBytes: SHARD_BYTES,
  };
}

const TEACHERS_CONFIG =
  "config.json and generation_config.json are the teacher's: those published could not be read";

/**
 * mamba_config.json of the hybrids: fields by the page of JunxiongWang/Llama3.2-Mamba-3B-distill, attention layers of
 * the 3B by jxiw/M1 (sft/math_config/distill.yaml); 330 bytes as the pages of MambaInLlama3B_Distill_MATH and M1-3B
 * say, and 305 as that of the 1B.
 */
function hybrid(
  repository: string,
  size: typeof LLAMA_3B,
  attention: readonly number[],
  { scheme, caveat }: { scheme: SchemeName; caveat: string },
): Standin {
  return {
    repository,
    texts: {
      ...llamaTexts(size),
      'mamba_config.json': `{
    "d_model": ${size.dModel},
    "ssm_cfg": {
        "expand": 1
    },
    "rms_norm_eps": 1e-05,
    "vocab_size": null,
    "d_inner": null,
    "d_xb": ${8 * size.headDim},
    "intermediate_size": 8192,
    "hidden_act": "silu",
    "n_layer": ${size.nLayer},
    "attn_layers": [
${attention.map((i) => `        ${i}`).join(',\n')}
    ]
}`,
    },
    scheme,
    dtype: 'BF16',
    shardBytes: SHARD_BYTES,
    caveat,
  };
}

const ATTENTION_3B = [3, 8, 13, 18, 23, 27];
const WHICH_1B = 'that attention stands in layers 3, 7, 11 and 15 fits its sizes but is not proven';

/** By the name on the command line. */
export const STANDINS: Readonly<Record<string, Standin>> = {
  'mamba-130m': mamba('mamba-130m', 768, 24, false),
  'mamba-370m': mamba('mamba-370m', 1024, 48, true),
  'mamba-790m': mamba('mamba-790m', 1536, 48, true),
  'mamba-1.4b': mamba('mamba-1.4b', 2048, 48, true),
  'mamba-2.8b': mamba('mamba-2.8b', 2560, 64, false),
  'mamba2-130m': mamba2('mamba2-130m', 768, 24),
  'mamba2-370m': mamba2('mamba2-370m', 1024, 48),
  'mamba2-780m': mamba2('mamba2-780m', 1536, 48),
  'mamba2-1.3b': mamba2('mamba2-1.3b', 2048, 48),
  'mamba2-2.7b': mamba2('mamba2-2.7b', 2560, 64),
  'llamba-1b': llamba('Llamba-1B', 2048, 16),
  'llamba-3b': llamba('Llamba-3B', 3072, 28),
  'mambainllama-1b': hybrid('JunxiongWang/MambaInLlama1B_Distill_MATH', LLAMA_1B, [3, 7, 11, 15], {
    scheme: 'mambaInLlamaSplit',
    caveat: `${TEACHERS_CONFIG}; ${WHICH_1B}`,
  }),
  'mambainllama-3b': hybrid('JunxiongWang/MambaInLlama3B_Distill_MATH', LLAMA_3B, ATTENTION_3B, {
    scheme: 'mambaInLlamaSplit',
    caveat: TEACHERS_CONFIG,
  }),
  'm1-3b': hybrid('JunxiongWang/M1-3B', LLAMA_3B, ATTENTION_3B, {
    scheme: 'm1',
    caveat: TEACHERS_CONFIG,
  }),
  'llama-3.2-1b': llama('Llama-3.2-1B-Instruct', LLAMA_1B),
  'llama-3.2-3b': llama('Llama-3.2-3B-Instruct', LLAMA_3B),
};
