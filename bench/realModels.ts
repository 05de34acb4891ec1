/** Models of real sizes with random weights, each made when it is asked for: never a whole model in memory. */

import type { PlannedModel } from '../backends/types.ts';
import { buildPlan } from '../lib/plan/index.ts';
import type {
  AttentionConfig,
  LayerConfig,
  Mamba2Config,
  MambaConfig,
  ModelConfig,
} from '../reference/config.ts';
import { weightShapes } from '../reference/model.ts';
import { sizeOf, type Tensor } from '../reference/tensor.ts';

const norm = { kind: 'rms', eps: 1e-5 } as const;
const VOCABULARY = 50_280;

interface Size {
  dModel: number;
  vocab: number;
  layers: number;
}

function model({ dModel, vocab }: Size, layers: readonly LayerConfig[]): ModelConfig {
  const rows = { vocabSize: vocab, vocabRows: vocab };
  return { ...rows, dModel, layers, finalNorm: norm, isTied: true, hasHeadBias: false };
}

const repeated = (size: Size, layer: (i: number) => LayerConfig) =>
  model(
    size,
    Array.from({ length: size.layers }, (_, i) => layer(i)),
  );

function mambaOf(dModel: number, dtRank: number): MambaConfig {
  const sizes = { dInner: 2 * dModel, dState: 16, dConv: 4, dtRank };
  return { kind: 'mamba', ...sizes, hasBias: false, hasConvBias: true };
}

function mamba2Of(dModel: number, headDim: number, dState: number): Mamba2Config {
  const dInner = 2 * dModel;
  const nHeads = dInner / headDim;
  return {
    ...{ kind: 'mamba2', dInner, nHeads, headDim, nGroups: 1, dState, dConv: 4 },
    gatedNorm: { eps: norm.eps, groupSize: dInner, normBeforeGate: false },
    ...{ hasDPerChannel: false, hasBias: false, hasConvBias: true },
  };
}

function attentionOf(nHeads: number, nKvHeads: number, headDim: number): AttentionConfig {
  return { kind: 'attention', nHeads, nKvHeads, headDim, hasQkvBias: false, hasOutBias: false };
}

const rope = (headDim: number) => ({ rotaryDim: headDim, theta: 10_000, pairing: 'half' }) as const;
const mlp = (dHidden: number) => ({ kind: 'swiglu', dHidden, hasBias: false }) as const;

/** Llama's layers; a hybrid's are Mamba-2 with an attention every `every` layers, without positions, as Granite. */
function llamaOf(size: Size, attention: AttentionConfig, dHidden: number): ModelConfig {
  const mixer = { ...attention, rope: rope(attention.headDim) };
  return repeated(size, () => ({ norm, mixer, mlp: mlp(dHidden) }));
}

function hybridOf(
  size: Size,
  ssm: Mamba2Config,
  attention: AttentionConfig,
  { dHidden, every }: { dHidden: number; every: number },
): ModelConfig {
  return repeated(size, (i) => ({
    norm,
    mixer: i % every === every - 1 ? attention : ssm,
    mlp: mlp(dHidden),
  }));
}

const real = (layers: number): Size => ({ dModel: 768, vocab: VOCABULARY, layers });
const small = (layers: number): Size => ({ dModel: 192, vocab: 320, layers });
const tiny = (layers: number): Size => ({ dModel: 64, vocab: 320, layers });

/**
 * About 129 million parameters each; the small ones about 3 million, as models that are trained here, for runs that take
 * hours with the others; the tiny ones are wired alike, to try things on.
 */
export const REAL_MODELS: Record<string, ModelConfig> = {
  mamba: repeated(real(24), () => ({ norm, mixer: mambaOf(768, 48) })),
  mamba2: repeated(real(24), () => ({ norm, mixer: mamba2Of(768, 64, 128) })),
  transformer: llamaOf(real(14), attentionOf(12, 4, 64), 2048),
  hybrid: hybridOf(real(16), mamba2Of(768, 64, 128), attentionOf(12, 4, 64), {
    dHidden: 896,
    every: 8,
  }),
  'small-mamba': repeated(small(12), () => ({ norm, mixer: mambaOf(192, 12) })),
  'small-transformer': llamaOf(small(8), attentionOf(6, 2, 32), 448),
  'tiny-mamba': repeated(tiny(2), () => ({ norm, mixer: mambaOf(64, 4) })),
  'tiny-mamba2': repeated(tiny(2), () => ({ norm, mixer: mamba2Of(64, 16, 32) })),
  'tiny-transformer': llamaOf(tiny(2), attentionOf(4, 2, 16), 128),
  'tiny-hybrid': hybridOf(tiny(4), mamba2Of(64, 16, 32), attentionOf(4, 2, 16), {
    dHidden: 96,
    every: 2,
  }),
};

/** A config with fewer layers: to compare logits on the reference, which is slow. */
export function shortened(config: ModelConfig, layers: number): ModelConfig {
  return { ...config, layers: config.layers.slice(-layers) };
}

/** Numbers that a model has. */
export function parametersOf(config: ModelConfig): number {
  return [...weightShapes(config).values()].reduce((sum, shape) => sum + sizeOf(shape), 0);
}

/**
 * A model as a backend takes it. A weight is made anew whenever it is asked for, the same for the same seed.
 * Scales are those of a fresh Mamba: every matrix keeps the size of what it takes in, Δ lies in 0.001 … 0.1,
 * decays differ, and logits come out with a deviation near 1.
 */
export function randomModel(config: ModelConfig, seed: number): PlannedModel {
  const shapes = weightShapes(config);
  return {
    config,
    prefill: buildPlan(config, 'prefill'),
    step: buildPlan(config, 'step'),
    weight: (name) => {
      const shape = shapes.get(name);
      if (!shape) throw new Error(`weight: expected one of the model's, got ${name}`);
      return randomWeight(name, shape, seed, config);
    },
  };
}

function randomWeight(
  name: string,
  shape: readonly number[],
  seed: number,
  config: ModelConfig,
): Tensor {
  const uniform = generator(seed, name);
  const numberAt = weightNumbers(name, shape, config);
  const data = new Float32Array(sizeOf(shape));
  for (let i = 0; i < data.length; i++) data[i] = numberAt(uniform(), i);
  return { data, shape };
}

/** What a weight's i-th number is, given one that is uniform in [0, 1). */
export function weightNumbers(
  name: string,
  shape: readonly number[],
  { layers }: Pick<ModelConfig, 'layers'>,
): (u: number, i: number) => number {
  const columns = shape.at(-1) ?? 1;
  const part = name.split('.').at(-1);
  switch (part) {
    case 'ALog': {
      // Mamba's rates are 1 … dState in every channel; Mamba-2's heads lie between 1 and 16
      const perState = shape.length === 2;
      return (u, i) => Math.log(perState ? (i % columns) + 0.5 + u : 1 + 15 * u);
    }
    case 'dtBias': // the inverse of softplus at a Δ that is uniform in its logarithm
      return (u) => Math.log(Math.expm1(0.001 * 100 ** u));
    case 'D':
    case 'weight': // of norms
    case 'normWeight':
      return (u) => 0.8 + 0.4 * u;
    case 'convBias':
      return (u) => 0.2 * (u - 0.5);
    case 'outProj':
    case 'down': {
      // what all layers add to the residual stream stays near 1
      const bound = deviationBound(columns) / Math.sqrt(layers.length / 4);
      return (u) => bound * (2 * u - 1);
    }
    default:
      return (u) => deviationBound(columns) * (2 * u - 1);
  }
}

/** Uniform numbers within it have a deviation of 1/√columns. */
const deviationBound = (columns: number) => Math.sqrt(3 / columns);

/** Uniform in [0, 1) with 24 bits: splitmix32, started from the seed and the weight's name. */
export function generator(seed: number, name: string): () => number {
  let state = Math.imul(seed, 0x9e3779b9);
  for (let i = 0; i < name.length; i++) state = Math.imul(state ^ name.charCodeAt(i), 0x01000193);
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let z = state ^ (state >>> 16);
    z = Math.imul(z, 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return ((z ^ (z >>> 15)) >>> 8) / 2 ** 24;
  };
}
