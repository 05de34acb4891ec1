import { describe, expect, it } from 'vitest';
import { readDescription } from '../lib/checkpoint/config.ts';
import { filesFromBlobs } from '../lib/checkpoint/files.ts';
import { encodeSafetensors } from '../lib/checkpoint/tensorFile.ts';
import { foreignShape, weightPlans } from '../lib/checkpoint/weights.ts';
import { loadModel } from '../lib/loadModel.ts';
import { expectSameBits } from '../lib/verify/compare.ts';
import { randomWeights } from '../lib/verify/randomModel.ts';
import type { ModelConfig } from '../reference/config.ts';
import { createModel, prefill, step } from '../reference/model.ts';
import { newState } from '../reference/state.ts';
import { type Tensor, zeros } from '../reference/tensor.ts';
import { SEED } from './support.ts';

type Json = Record<string, unknown>;

const mamba = (more: Json = {}) => ({
  model_type: 'mamba',
  vocab_size: 11,
  hidden_size: 4,
  num_hidden_layers: 2,
  state_size: 3,
  ...more,
});
const mamba2 = (more: Json = {}) => ({
  model_type: 'mamba2',
  vocab_size: 11,
  hidden_size: 4,
  num_hidden_layers: 2,
  state_size: 3,
  num_heads: 4,
  head_dim: 2,
  n_groups: 2,
  ...more,
});
const stateSpaces = (ssm: Json = {}, more: Json = {}) => ({
  d_model: 4,
  n_layer: 2,
  vocab_size: 11,
  ssm_cfg: { layer: 'Mamba2', headdim: 2, d_state: 3, ...ssm },
  ...more,
});
const llama = (more: Json = {}) => ({
  model_type: 'llama',
  vocab_size: 11,
  hidden_size: 8,
  intermediate_size: 5,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  rms_norm_eps: 1e-6,
  ...more,
});
const attention = (more: Json = {}) => ({
  attn_layer_idx: [1],
  attn_cfg: {
    causal: true,
    num_heads: 4,
    num_heads_kv: 2,
    head_dim: 4,
    rotary_emb_dim: 4,
    ...more,
  },
});

/** Config files of every published variant of these families, and one thing that they must say. */
const VARIANTS: [string, Json, (config: ModelConfig) => unknown, unknown][] = [
  ['Mamba with a filter of 3', mamba({ conv_kernel: 3 }), (c) => c.layers[0].mixer.dConv, 3],
  ['Mamba expanded 3 times', mamba({ expand: 3 }), inner, 12],
  [
    'Mamba without biases',
    mamba({ use_bias: false, use_conv_bias: false }),
    (c) => mixer(c).hasBias,
    false,
  ],
  ['Mamba-2 with groups', mamba2(), (c) => mixer(c).nGroups, 2],
  [
    'Mamba-2 with an infinite step limit',
    mamba2({ time_step_limit: [0, 'Infinity!'] }),
    (c) => mixer(c).dtLimit,
    undefined,
  ],
  [
    'Mamba-2 with a step limit',
    mamba2({ time_step_limit: [0.01, 0.5] }),
    (c) => mixer(c).dtLimit,
    [0.01, 0.5],
  ],
  [
    'state-spaces Mamba with LayerNorm',
    stateSpaces({ layer: 'Mamba1', headdim: undefined }, { rms_norm: false }),
    (c) => c.finalNorm.kind,
    'layer',
  ],
  [
    'state-spaces Mamba-2 with an MLP',
    stateSpaces({}, { d_intermediate: 100 }),
    (c) => c.layers[0].mlp?.dHidden,
    128,
  ],
  [
    'state-spaces Mamba-2 with channels that bypass it',
    stateSpaces({ expand: 3, d_ssm: 8 }),
    (c) => [inner(c), mixer(c).nHeads],
    [12, 4],
  ],
  [
    'state-spaces Mamba-2 with D per channel',
    stateSpaces({ D_has_hdim: true }),
    (c) => mixer(c).hasDPerChannel,
    true,
  ],
  [
    'state-spaces Mamba-2 without norm',
    stateSpaces({ rmsnorm: false }),
    (c) => mixer(c).gatedNorm,
    undefined,
  ],
  [
    'state-spaces Mamba-2 with attention',
    stateSpaces({}, attention()),
    (c) => c.layers.map((l) => l.mixer.kind),
    ['mamba2', 'attention'],
  ],
  [
    'attention with a convolution',
    stateSpaces({}, attention({ d_conv: 3 })),
    (c) => c.layers[1].mixer.dConv,
    3,
  ],
  [
    'attention beside an MLP',
    stateSpaces({}, attention({ mlp_dim: 100 })),
    (c) => c.layers[1].mixer,
    expect.objectContaining({ dParallelMlp: 128 }),
  ],
  [
    'attention without positions',
    stateSpaces({}, attention({ rotary_emb_dim: 0 })),
    (c) => c.layers[1].mixer,
    expect.not.objectContaining({ rope: expect.anything() }),
  ],
  [
    'a padded vocabulary',
    stateSpaces({}, { pad_vocab_size_multiple: 16 }),
    (c) => [c.vocabSize, c.vocabRows],
    [11, 16],
  ],
  [
    'Llama with biases',
    llama({ attention_bias: true, mlp_bias: true }),
    (c) => mixer(c).hasQkvBias,
    true,
  ],
  ['Llama with heads of another width', llama({ head_dim: 6 }), (c) => mixer(c).headDim, 6],
  ['Llama with a tied head', llama({ tie_word_embeddings: true }), (c) => c.isTied, true],
  [
    'Llama 3 with stretched frequencies',
    llama({
      rope_theta: 500000,
      rope_scaling: {
        rope_type: 'llama3',
        factor: 8,
        low_freq_factor: 1,
        high_freq_factor: 4,
        original_max_position_embeddings: 64,
      },
    }),
    (c) => mixer(c).rope?.scaling?.kind,
    'llama3',
  ],
  [
    'Llamba',
    {
      model_type: 'llamba',
      vocab_size: 11,
      d_model: 8,
      n_layer: 2,
      mlp_cfg: { intermediate_size: 5 },
      ssm_cfg: { d_state: 3, n_v_heads: 4, n_qk_heads: 2 },
    },
    (c) => c.layers.map((l) => l.mixer.kind),
    ['discreteMamba2', 'discreteMamba2'],
  ],
];

// biome-ignore lint/suspicious/noExplicitAny: the specs read fields of whatever mixer the variant has
function mixer(config: ModelConfig): any {
  return config.layers[0].mixer;
}

function inner(config: ModelConfig): unknown {
  return mixer(config).dInner;
}

/** A checkpoint of random weights under the names and shapes of its family. */
function checkpoint(
  description: Awaited<ReturnType<typeof readDescription>>,
  weights: ReadonlyMap<string, Tensor>,
): Uint8Array {
  const tensors = new Map<string, Tensor>();
  for (const { name, shape, parts } of weightPlans(description)) {
    const t = weights.get(name) as Tensor;
    const width = t.data.length / shape[0];
    let row = 0;
    for (const [file, rows] of parts) {
      if (file !== null) {
        const data = zeros(rows * width, t.data);
        data.set(t.data.subarray(row * width, (row + rows) * width));
        tensors.set(file, { data, shape: [...foreignShape(name, [rows, ...shape.slice(1)])] });
      }
      row += rows;
    }
  }
  return encodeSafetensors(tensors);
}

describe('a published variant', () => {
  it.each(VARIANTS)(
    '%s is read, loaded under its own names, and decodes',
    async (_, json, look, want) => {
      // Python writes the bare literal Infinity
      const text = JSON.stringify(json).replace('"Infinity!"', 'Infinity');
      const bytes = new TextEncoder().encode(text);
      const description = await readDescription(filesFromBlobs({ 'config.json': bytes }));
      const { config } = description;
      expect(look(config)).toEqual(want);

      const weights = randomWeights(config, SEED);
      const file = checkpoint(description, weights);
      const loaded = await loadModel({ 'config.json': bytes, 'model.safetensors': file });
      const [one, other] = [loaded.model, createModel(config, weights)].map((model) => {
        const state = newState(config);
        prefill({ model, state, tokens: [1, 2, 3] });
        return step(model, state, 4);
      });
      const shape = [config.vocabRows];
      expectSameBits('logits', { data: one, shape }, { data: other, shape });
      expect(one.every(Number.isFinite)).toBe(true);
    },
  );
});
