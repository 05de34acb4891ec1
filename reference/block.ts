/** One layer of a model: x += mixer(norm(x)), then x += mlp(norm(x)). */

import { type AttentionWeights, attentionMixer, attentionShapes } from './attentionMixer.ts';
import type { LayerConfig, MixerConfig, MlpConfig, NormConfig } from './config.ts';
import {
  type DiscreteMamba2Weights,
  discreteMamba2Mixer,
  discreteMamba2Shapes,
} from './discreteMamba2Mixer.ts';
import { gatedMlp } from './gatedMlp.ts';
import { layerNorm } from './layerNorm.ts';
import { type Mamba2Weights, mamba2Mixer, mamba2Shapes } from './mamba2Mixer.ts';
import {
  type MambaInLlama2Weights,
  type MambaInLlamaWeights,
  mambaInLlama2Mixer,
  mambaInLlama2Shapes,
  mambaInLlamaMixer,
  mambaInLlamaShapes,
} from './mambaInLlamaMixer.ts';
import { type MambaWeights, mambaMixer, mambaShapes } from './mambaMixer.ts';
import type { MixerInput, ShapesOf } from './mixer.ts';
import { rmsNorm } from './rmsNorm.ts';
import type { LayerState } from './state.ts';
import { swigluMlp } from './swigluMlp.ts';
import { rounding, type Tensor, zeros } from './tensor.ts';
import type { TraceDetail } from './trace.ts';

export interface NormWeights {
  /** Shape (dModel). */
  weight: Tensor;
  /** Shape (dModel); LayerNorm only. */
  bias?: Tensor;
}

export interface MlpWeights {
  /** `swiglu`. Shapes (dHidden, dModel), (dHidden, dModel), (dModel, dHidden). */
  gate?: Tensor;
  gateBias?: Tensor;
  up?: Tensor;
  upBias?: Tensor;
  down?: Tensor;
  downBias?: Tensor;
  /** `gated`. Shapes (2·dHidden, dModel), (dModel, dHidden). */
  fc1?: Tensor;
  fc1Bias?: Tensor;
  fc2?: Tensor;
  fc2Bias?: Tensor;
}

export type MixerWeights =
  | MambaWeights
  | Mamba2Weights
  | DiscreteMamba2Weights
  | MambaInLlamaWeights
  | MambaInLlama2Weights
  | AttentionWeights;

export interface LayerWeights {
  mixerNorm: NormWeights;
  mixer: MixerWeights;
  mlpNorm?: NormWeights;
  mlp?: MlpWeights;
}

export function normShapes(config: NormConfig, dModel: number): ShapesOf<NormWeights> {
  return { weight: [dModel], bias: config.kind === 'layer' ? [dModel] : undefined };
}

export function mlpShapes(config: MlpConfig, dModel: number): ShapesOf<MlpWeights> {
  const { kind, dHidden, hasBias } = config;
  const swiglu = kind === 'swiglu';
  const bias = (width: number, present: boolean) => (hasBias && present ? [width] : undefined);
  return {
    gate: swiglu ? [dHidden, dModel] : undefined,
    gateBias: bias(dHidden, swiglu),
    up: swiglu ? [dHidden, dModel] : undefined,
    upBias: bias(dHidden, swiglu),
    down: swiglu ? [dModel, dHidden] : undefined,
    downBias: bias(dModel, swiglu),
    fc1: swiglu ? undefined : [2 * dHidden, dModel],
    fc1Bias: bias(2 * dHidden, !swiglu),
    fc2: swiglu ? undefined : [dModel, dHidden],
    fc2Bias: bias(dModel, !swiglu),
  };
}

export function mixerShapes(config: MixerConfig, dModel: number): ShapesOf<MixerWeights> {
  switch (config.kind) {
    case 'mamba':
      return mambaShapes(config, dModel);
    case 'mamba2':
      return mamba2Shapes(config, dModel);
    case 'discreteMamba2':
      return discreteMamba2Shapes(config, dModel);
    case 'mambaInLlama':
      return mambaInLlamaShapes(config, dModel);
    case 'mambaInLlama2':
      return mambaInLlama2Shapes(config, dModel);
    case 'attention':
      return attentionShapes(config, dModel);
  }
}

export interface BlockInput {
  /** The residual stream, one row per token. Shape (seqlen, dModel). Not modified. */
  x: Tensor;
  weights: LayerWeights;
  config: LayerConfig;
  /** Updated in place. */
  state: LayerState;
  /** Position of the first token of x. */
  position: number;
  /** Rotary frequencies of an attention layer. */
  frequencies?: Float64Array;
  trace?: (detail: TraceDetail) => void;
}

/** Returns the residual stream after the block. Shape (seqlen, dModel). */
export function block(input: BlockInput): Tensor {
  const { x, weights, config, trace } = input;
  const mixed = add(x, mix(input, normalise(x, weights.mixerNorm, config.norm)));
  let y = mixed;
  if (config.mlp && weights.mlp && weights.mlpNorm) {
    y = add(mixed, mlp(normalise(mixed, weights.mlpNorm, config.norm), weights.mlp));
  }
  if (x.shape[0] === 1) {
    trace?.({ kind: 'block', before: x.data, afterMixer: mixed.data, after: y.data });
  }
  return y;
}

function mix(
  { weights, config, state, position, frequencies, trace }: BlockInput,
  u: Tensor,
): Tensor {
  const { mixer } = config;
  // a layer's weights are those of its config's kind: createModel has checked their names and shapes
  const input = <W, C>(c: C) =>
    ({ u, weights: weights.mixer as W, config: c, state, trace }) as MixerInput<W, C>;
  switch (mixer.kind) {
    case 'mamba':
      return mambaMixer(input<MambaWeights, typeof mixer>(mixer));
    case 'mamba2':
      return mamba2Mixer(input<Mamba2Weights, typeof mixer>(mixer));
    case 'discreteMamba2':
      return discreteMamba2Mixer(input<DiscreteMamba2Weights, typeof mixer>(mixer));
    case 'mambaInLlama':
      return mambaInLlamaMixer(input<MambaInLlamaWeights, typeof mixer>(mixer));
    case 'mambaInLlama2':
      return mambaInLlama2Mixer(input<MambaInLlama2Weights, typeof mixer>(mixer));
    case 'attention':
      return attentionMixer({
        ...input<AttentionWeights, typeof mixer>(mixer),
        position,
        frequencies,
      });
  }
}

function mlp(x: Tensor, weights: MlpWeights): Tensor {
  const { gate, up, down, fc1, fc2 } = weights;
  if (gate && up && down) {
    const { gateBias, upBias, downBias } = weights;
    return swigluMlp({
      x,
      gateWeight: gate,
      gateBias,
      upWeight: up,
      upBias,
      downWeight: down,
      downBias,
    }).y;
  }
  return gatedMlp({
    x,
    fc1Weight: fc1 as Tensor,
    fc1Bias: weights.fc1Bias,
    fc2Weight: fc2 as Tensor,
    fc2Bias: weights.fc2Bias,
  }).y;
}

/** RMSNorm or LayerNorm, as the config says. */
export function normalise(x: Tensor, weights: NormWeights, config: NormConfig): Tensor {
  const norm = config.kind === 'rms' ? rmsNorm : layerNorm;
  return norm({ x, weight: weights.weight, bias: weights.bias, eps: config.eps }).y;
}

function add(a: Tensor, b: Tensor): Tensor {
  const fl = rounding(a.data);
  const data = zeros(a.data.length, a.data);
  for (let i = 0; i < data.length; i++) data[i] = fl(a.data[i] + b.data[i]);
  return { data, shape: a.shape };
}
