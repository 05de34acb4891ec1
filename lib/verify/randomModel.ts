/** Random models for fast-check: any stack of any layers, with weights from a seed. */

import fc from 'fast-check';
import type { LayerConfig, MixerConfig, MlpConfig, ModelConfig } from '../../reference/config.ts';
import { createModel, type Model, weightShapes } from '../../reference/model.ts';
import { type Precision, sizeOf, type Tensor, toPrecision } from '../../reference/tensor.ts';
import { type Drawn, flag, printable, size } from './inputs/drawn.ts';
import { Draws } from './values.ts';

/** A model, and a seed for its weights and for everything else that is random. */
export interface RandomModel {
  readonly config: ModelConfig;
  readonly seed: number;
}

const conv = size(5);

/** Every kind of mixer with awkward sizes; widths of the kinds that must be multiples are made so. */
export const MIXERS: {
  readonly [Kind in MixerConfig['kind']]: fc.Arbitrary<MixerConfig & { kind: Kind }>;
} = {
  mamba: fc.record({
    kind: fc.constant('mamba' as const),
    dInner: size(7),
    dState: size(4),
    dConv: conv,
    dtRank: size(3),
    hasBias: flag,
    hasConvBias: flag,
  }),
  mamba2: fc
    .record({
      nGroups: size(2),
      perGroup: size(2),
      headDim: size(3),
      dState: size(3),
      dConv: conv,
      bypass: size(2, 0),
      norm: fc.constantFrom('whole' as const, 'grouped' as const, 'none' as const),
      normBeforeGate: flag,
      isLimited: flag,
      hasDPerChannel: flag,
      hasBias: flag,
      hasConvBias: flag,
    })
    .map(({ perGroup, bypass, norm, normBeforeGate, isLimited, ...d }) => {
      const nHeads = d.nGroups * perGroup;
      const dSsm = nHeads * d.headDim;
      const groupSize = norm === 'grouped' ? dSsm / d.nGroups : dSsm;
      return {
        ...d,
        kind: 'mamba2' as const,
        nHeads,
        dInner: dSsm + bypass,
        ...(norm !== 'none' && { gatedNorm: { eps: 1e-5, groupSize, normBeforeGate } }),
        ...(isLimited && { dtLimit: [0.01, 0.5] as const }),
      };
    }),
  discreteMamba2: fc
    .record({
      nGroups: size(2),
      perGroup: size(2),
      headDim: size(3),
      dState: size(3),
      dConv: conv,
      activation: fc.constantFrom('identity' as const, 'silu' as const),
      hasBias: flag,
      hasConvBias: flag,
    })
    .map(({ perGroup, ...d }) => ({
      ...d,
      kind: 'discreteMamba2' as const,
      nHeads: d.nGroups * perGroup,
    })),
  mambaInLlama: fc
    .record({
      dState: size(3),
      nKv: size(2),
      repeats: size(2),
      dConv: conv,
      dtRank: size(3),
      repeatsBeforeConv: flag,
      hasXBias: flag,
      hasZBias: flag,
      hasOutBias: flag,
      hasConvBias: flag,
    })
    .map(({ nKv, repeats, ...d }) => ({
      ...d,
      kind: 'mambaInLlama' as const,
      dXb: d.dState * nKv,
      dInner: d.dState * nKv * repeats,
    })),
  mambaInLlama2: fc
    .record({
      dState: size(3),
      nKv: size(2),
      repeats: size(2),
      dConv: conv,
      repeatsBeforeConv: flag,
      hasNorm: flag,
      hasDPerChannel: flag,
      hasBias: flag,
      hasConvBias: flag,
    })
    .map(({ nKv, repeats, hasNorm, ...d }) => {
      const dInner = d.dState * nKv * repeats;
      return {
        ...d,
        kind: 'mambaInLlama2' as const,
        headDim: d.dState,
        nHeads: nKv * repeats,
        dXb: d.dState * nKv,
        ...(hasNorm && { gatedNorm: { eps: 1e-5, groupSize: dInner, normBeforeGate: false } }),
      };
    }),
  attention: fc
    .record({
      nKvHeads: size(2),
      perKvHead: size(2),
      nPairs: size(2),
      pass: size(1, 0),
      hasRope: flag,
      pairing: fc.constantFrom('half' as const, 'interleaved' as const),
      scale: fc.option(fc.constant(0.25), { nil: undefined }),
      dConv: fc.option(conv, { nil: undefined }),
      dParallelMlp: fc.option(size(3), { nil: undefined }),
      hasQkvBias: flag,
      hasOutBias: flag,
    })
    .map(({ perKvHead, nPairs, pass, hasRope, pairing, scale, dConv, dParallelMlp, ...d }) => ({
      ...d,
      kind: 'attention' as const,
      nHeads: d.nKvHeads * perKvHead,
      headDim: 2 * nPairs + pass,
      ...(hasRope && { rope: { rotaryDim: 2 * nPairs, theta: 10000, pairing } }),
      ...(scale !== undefined && { scale }),
      ...(dConv !== undefined && { dConv }),
      ...(dParallelMlp !== undefined && { dParallelMlp }),
    })),
};

const mlp: fc.Arbitrary<MlpConfig> = fc.record({
  kind: fc.constantFrom('swiglu' as const, 'gated' as const),
  dHidden: size(5),
  hasBias: flag,
});

const norm = fc.record({
  kind: fc.constantFrom('rms' as const, 'rms' as const, 'layer' as const),
  eps: fc.constant(1e-5),
});

/** A layer with one of the given kinds of mixer. */
export function layerConfig(kinds: readonly MixerConfig['kind'][]): fc.Arbitrary<LayerConfig> {
  return fc
    .record({
      norm,
      mixer: fc.oneof(...kinds.map((kind): fc.Arbitrary<MixerConfig> => MIXERS[kind])),
      mlp: fc.option(mlp, { nil: undefined }),
    })
    .map(({ mlp: maybe, ...layer }) => ({ ...layer, ...(maybe && { mlp: maybe }) }));
}

export const MIXER_KINDS = Object.keys(MIXERS) as MixerConfig['kind'][];

/** A model of one to four layers of the given kinds, all of them by default. */
export function drawnModel(
  kinds: readonly MixerConfig['kind'][] = MIXER_KINDS,
): fc.Arbitrary<Drawn<RandomModel>> {
  return fc
    .record({
      vocabSize: size(9, 2),
      padding: size(3, 0),
      dModel: size(6, 2),
      layers: fc.array(layerConfig(kinds), { minLength: 1, maxLength: 4 }),
      finalNorm: norm,
      isTied: flag,
      hasHeadBias: flag,
      seed: fc.nat(0x7fffffff),
    })
    .map(({ padding, seed, ...config }) => {
      const whole = { ...config, vocabRows: config.vocabSize + padding };
      return printable({ seed, config: whole }, { config: whole, seed });
    });
}

/** The model itself. */
export function modelOf({ config, seed }: RandomModel, precision: Precision = 'float64'): Model {
  return createModel(config, randomWeights(config, seed, precision), precision);
}

/** Weights of a model, all of them float32 numbers, of a size that keeps activations around 1. */
export function randomWeights(
  config: ModelConfig,
  seed: number,
  precision: Precision = 'float64',
): Map<string, Tensor> {
  const draws = new Draws(seed);
  const weights = new Map<string, Tensor>();
  for (const [name, shape] of weightShapes(config)) {
    weights.set(name, toPrecision(drawWeight(name, shape, draws), precision));
  }
  return weights;
}

function drawWeight(name: string, shape: readonly number[], draws: Draws): Tensor {
  const part = name.slice(name.lastIndexOf('.') + 1);
  if (part === 'ALog') return draws.tensorBetween(-3, 2.8, ...shape); // rates from 0.05 to 16
  if (part === 'dtBias') return draws.tensorBetween(-5, 0.5, ...shape);
  if (/norm.*\.weight|normWeight/i.test(name)) return draws.tensorBetween(0.5, 1.5, ...shape);
  if (shape.length === 1) return draws.tensorBetween(-0.5, 0.5, ...shape);
  const reach = Math.sqrt(3 / (sizeOf(shape) / shape[0])); // unit variance out for unit variance in
  return draws.tensorBetween(-reach, reach, ...shape);
}
