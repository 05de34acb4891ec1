import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeSafetensors } from '../lib/checkpoint/tensorFile.ts';
import { saveState } from '../lib/decode/savedState.ts';
import { loadModel } from '../lib/loadModel.ts';
import { expectSameBits } from '../lib/verify/compare.ts';
import { drawnModel, modelOf, randomWeights } from '../lib/verify/randomModel.ts';
import { Draws } from '../lib/verify/values.ts';
import { checkConfig } from '../reference/checkConfig.ts';
import type { MixerConfig, ModelConfig } from '../reference/config.ts';
import { createModel, type Model, prefill, step } from '../reference/model.ts';
import { selectiveScanStep } from '../reference/selectiveScanStep.ts';
import { ssdStep } from '../reference/ssdStep.ts';
import { newState, type SequenceState } from '../reference/state.ts';
import { type Tensor, toPrecision, type Vector } from '../reference/tensor.ts';
import { SEED, TINY_STORIES } from './support.ts';

const options = { seed: SEED, numRuns: 100 };

const tokensFor = (model: Model, seed: number, length: number): number[] => {
  const draws = new Draws(seed ^ 0xabc);
  return Array.from({ length }, () => draws.below(model.config.vocabRows));
};
const fresh = (model: Model) => newState(model.config, model.precision);
const expectSameState = (got: SequenceState, want: SequenceState) =>
  expect(Buffer.compare(saveState(got), saveState(want))).toBe(0);
const vector = (data: Vector): Tensor => ({ data, shape: [data.length] });

const configOf = (kind: MixerConfig): ModelConfig => ({
  vocabSize: 6,
  vocabRows: 6,
  dModel: 4,
  layers: [{ norm: { kind: 'rms', eps: 1e-5 }, mixer: kind }],
  finalNorm: { kind: 'rms', eps: 1e-5 },
  isTied: false,
  hasHeadBias: false,
});
const MAMBA: MixerConfig = {
  kind: 'mamba',
  dInner: 6,
  dState: 3,
  dConv: 3,
  dtRank: 1,
  hasBias: false,
  hasConvBias: true,
};
const ATTENTION: MixerConfig = {
  kind: 'attention',
  nHeads: 4,
  nKvHeads: 2,
  headDim: 2,
  rope: { rotaryDim: 2, theta: 10000, pairing: 'half' },
  hasQkvBias: false,
  hasOutBias: false,
};

it.each(['float64', 'float32'] as const)(
  'any cut of a prompt into calls gives the same bits of logits and of all state, in %s',
  (precision) => {
    const cuts = fc.array(fc.boolean(), { minLength: 7, maxLength: 7 });
    fc.assert(
      fc.property(drawnModel(), cuts, ({ input }, ends) => {
        const model = modelOf(input, precision);
        const tokens = tokensFor(model, input.seed, 8);
        const [whole, cut] = [fresh(model), fresh(model)];
        const want = prefill({ model, state: whole, tokens }).logits;
        const got: number[] = [];
        let start = 0;
        for (let end = 1; end <= 8; end++) {
          if (end < 8 && !ends[end - 1]) continue;
          const part = prefill({ model, state: cut, tokens: tokens.slice(start, end) });
          got.push(...part.logits.data);
          start = end;
        }
        expectSameBits(
          'logits',
          { data: Float64Array.from(got), shape: want.shape },
          toPrecision(want, 'float64'),
        );
        expectSameState(cut, whole);
      }),
      options,
    );
  },
);

it('attention layers given as a list equal the same weights loaded as a Llama checkpoint', async () => {
  const layer = {
    norm: { kind: 'rms', eps: 1e-5 },
    mixer: ATTENTION,
    mlp: { kind: 'swiglu', dHidden: 5, hasBias: false },
  } as const;
  const config: ModelConfig = { ...configOf(ATTENTION), dModel: 8, layers: [layer, layer, layer] };
  const weights = randomWeights(config, SEED, 'float32');
  const get = (name: string) => weights.get(name) as Tensor;
  const named = new Map<string, Tensor>([
    ['model.embed_tokens.weight', get('embedding')],
    ['model.norm.weight', get('finalNorm.weight')],
    ['lm_head.weight', get('head')],
  ]);
  config.layers.forEach((_, i) => {
    const [from, to] = [`layers.${i}`, `model.layers.${i}`];
    const { data } = get(`${from}.mixer.inProj`);
    const rows = (start: number, end: number): Tensor => ({
      data: data.slice(8 * start, 8 * end),
      shape: [end - start, 8],
    });
    named.set(`${to}.self_attn.q_proj.weight`, rows(0, 8));
    named.set(`${to}.self_attn.k_proj.weight`, rows(8, 12));
    named.set(`${to}.self_attn.v_proj.weight`, rows(12, 16));
    named.set(`${to}.self_attn.o_proj.weight`, get(`${from}.mixer.outProj`));
    for (const part of ['gate', 'up', 'down']) {
      named.set(`${to}.mlp.${part}_proj.weight`, get(`${from}.mlp.${part}`));
    }
    named.set(`${to}.input_layernorm.weight`, get(`${from}.mixerNorm.weight`));
    named.set(`${to}.post_attention_layernorm.weight`, get(`${from}.mlpNorm.weight`));
  });
  const json = {
    model_type: 'llama',
    hidden_act: 'silu',
    hidden_size: 8,
    intermediate_size: 5,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    num_hidden_layers: 3,
    rms_norm_eps: 1e-5,
    rope_theta: 10000,
    max_position_embeddings: 64,
    vocab_size: 6,
    tie_word_embeddings: false,
  };
  const loaded = await loadModel({
    'config.json': new TextEncoder().encode(JSON.stringify(json)),
    'model.safetensors': encodeSafetensors(named),
  });
  const model = createModel(config, weights);
  const tokens = [0, 5, 3, 3, 1, 2, 4];
  const want = prefill({ model, state: fresh(model), tokens }).logits;
  const got = prefill({ model: loaded.model, state: fresh(loaded.model), tokens }).logits;
  expectSameBits('logits', got, want);
});

function relativeRms(got: ArrayLike<number>, want: ArrayLike<number>): number {
  let [off, size] = [0, 0];
  for (let i = 0; i < want.length; i++) {
    off += (got[i] - want[i]) ** 2;
    size += want[i] ** 2;
  }
  return Math.sqrt(off / size);
}

it('a float32 model stays near the float64 model, and computes in float32', async () => {
  const tokens = [1, 403, 407, 261, 378, 322, 383, 286];
  const [wide, narrow] = await Promise.all(
    (['float64', 'float32'] as const).map(async (precision) => {
      const { model } = await loadModel(TINY_STORIES, { precision });
      return prefill({ model, state: fresh(model), tokens }).logits.data;
    }),
  );
  expect(narrow).toBeInstanceOf(Float32Array);
  expect(relativeRms(narrow, wide)).toBeLessThan(1e-5);
  expect(relativeRms(narrow, wide)).toBeGreaterThan(1e-9);
});

describe('configs that cannot be models', () => {
  it.each<[Partial<MixerConfig>, MixerConfig, RegExp]>([
    [{ nKvHeads: 3 }, ATTENTION, /mixer\.nKvHeads: expected a divisor of nHeads = 4, got 3$/],
    [{ nKvHeads: 0 }, ATTENTION, /mixer\.nKvHeads: expected a whole number ≥ 1, got 0$/],
    [
      { rope: { rotaryDim: 1, theta: 1e4, pairing: 'half' } },
      ATTENTION,
      /rotaryDim: .* even .* 1$/,
    ],
    [{ rope: { rotaryDim: 4, theta: 1e4, pairing: 'half' } }, ATTENTION, /from 2 to headDim = 2/],
    [
      { dState: 0 },
      MAMBA,
      /^config: layers\[0\]\.mixer\.dState: expected a whole number ≥ 1, got 0/,
    ],
    [{ dInner: 1.5 }, MAMBA, /mixer\.dInner: expected a whole number ≥ 1, got 1\.5$/],
    [{ kind: 'rwkv' as 'mamba' }, MAMBA, /mixer\.kind: expected mamba, .* or attention, got rwkv$/],
  ])('%j is refused by name', (change, mixer, message) => {
    expect(() => checkConfig(configOf(mixer))).not.toThrow();
    expect(() => checkConfig(configOf({ ...mixer, ...change } as MixerConfig))).toThrow(message);
  });

  it('a vocabulary, a context or an eps out of range is refused by name', () => {
    const config = configOf(MAMBA);
    const refused = (change: Partial<ModelConfig>) =>
      expect(() => checkConfig({ ...config, ...change }));
    refused({ vocabSize: 7 }).toThrow(/vocabSize: expected at most vocabRows = 6, got 7$/);
    refused({ contextLength: 0 }).toThrow(/contextLength: expected a whole number ≥ 1, got 0$/);
    refused({ finalNorm: { kind: 'rms', eps: 0 } }).toThrow(/finalNorm\.eps: .* > 0, got 0$/);
  });
});

it('a refused token, an empty prompt and a full context leave the state as it was', () => {
  fc.assert(
    fc.property(drawnModel(), ({ input }) => {
      const model = modelOf({ ...input, config: { ...input.config, contextLength: 4 } });
      const { vocabRows } = model.config;
      const [state, other] = [fresh(model), fresh(model)];
      prefill({ model, state, tokens: [0, 1] });
      prefill({ model, state: other, tokens: [0, 1] });
      const refused = (tokens: number[], code: string) =>
        expect(() => prefill({ model, state, tokens })).toThrow(expect.objectContaining({ code }));
      for (const bad of [vocabRows, -1, 0.5, Number.NaN]) {
        refused([1, bad], 'TokenRange');
      }
      refused([], 'EmptyPrompt');
      refused([1, 1, 1], 'ContextLength');
      expectSameState(state, other);
      expectSameBits('logits', vector(step(model, state, 1)), vector(step(model, other, 1)));
    }),
    options,
  );
});

describe('100,000 steps in float32 stay within 1e-6 (relative RMS) of float64', () => {
  const LENGTH = 100_000;
  /** Both precisions side by side on the same drawn float32 numbers; the states are compared at every step. */
  function drift(
    first: Tensor,
    take: (h: Tensor, inputs: (t: Tensor) => Tensor) => Tensor,
  ): number {
    let [h64, h32] = [first, toPrecision(first, 'float32')];
    let [off, size] = [0, 0];
    for (let t = 0; t < LENGTH; t++) {
      const drawn: Tensor[] = [];
      h64 = take(h64, (x) => {
        drawn.push(x);
        return x;
      });
      let next = 0;
      h32 = take(h32, () => toPrecision(drawn[next++], 'float32'));
      for (let i = 0; i < h64.data.length; i++) {
        off += (h32.data[i] - h64.data[i]) ** 2;
        size += h64.data[i] ** 2;
      }
    }
    expect(h32.data).toBeInstanceOf(Float32Array);
    return Math.sqrt(off / size);
  }
  const zeros = (...shape: number[]): Tensor => ({
    data: new Float64Array(shape.reduce((a, b) => a * b, 1)),
    shape,
  });
  const draws = new Draws(SEED);
  const drawn = (...shape: number[]) => draws.tensor('usual', ...shape);

  it('ssdStep', () => {
    const A = draws.tensorBetween(-2, -0.25, 2);
    const off = drift(zeros(1, 2, 1, 2), (h, as) => {
      const [x, dtRaw, B] = [as(drawn(1, 2, 1)), as(drawn(1, 2)), as(drawn(1, 1, 2))];
      return ssdStep({ x, dtRaw, A: as(A), B, C: B, h }).h;
    });
    expect(off).toBeLessThan(1e-6);
    expect(off).toBeGreaterThan(1e-9);
  });

  it('selectiveScanStep', () => {
    const A = draws.tensorBetween(-2, -0.25, 2, 2);
    const off = drift(zeros(1, 2, 2), (h, as) => {
      const [x, dtRaw, B] = [as(drawn(1, 2)), as(drawn(1, 2)), as(drawn(1, 1, 2))];
      return selectiveScanStep({ x, dtRaw, A: as(A), B, C: B, h }).h;
    });
    expect(off).toBeLessThan(1e-6);
    expect(off).toBeGreaterThan(1e-9);
  });
});
