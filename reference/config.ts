/**
 * What a model is: a list of layers, each a mixer and perhaps an MLP. Every family here is such a list.
 *
 * A config is plain data. It holds the numbers that cannot be derived; widths and shapes that follow from
 * them come from functions. Nothing in it says where a checkpoint calls things by other names: that is
 * lib/checkpoint's business.
 */

import type { Activation } from './activations.ts';
import type { RopeScaling } from './rope.ts';

export interface ModelConfig {
  /** Token ids with a meaning: [0, vocabSize). */
  readonly vocabSize: number;
  /** Rows of the embedding and of the logits, ≥ vocabSize: state-spaces pads the vocabulary. */
  readonly vocabRows: number;
  /** Width of the residual stream. */
  readonly dModel: number;
  readonly layers: readonly LayerConfig[];
  readonly finalNorm: NormConfig;
  /** Whether the logits use the embedding's own matrix. */
  readonly isTied: boolean;
  readonly hasHeadBias: boolean;
  /** Longest sequence in tokens; absent where nothing limits it, as in a pure state-space model. */
  readonly contextLength?: number;
}

/** One block: x += mixer(norm(x)), and with an MLP x += mlp(norm(x)). */
export interface LayerConfig {
  readonly norm: NormConfig;
  readonly mixer: MixerConfig;
  readonly mlp?: MlpConfig;
}

export interface NormConfig {
  readonly kind: 'rms' | 'layer';
  /** Added to the mean square or the variance, > 0. */
  readonly eps: number;
}

export interface MlpConfig {
  /** `swiglu`: gate and up matrices, as in Llama. `gated`: one matrix [value | gate], as in mamba_ssm. */
  readonly kind: 'swiglu' | 'gated';
  readonly dHidden: number;
  readonly hasBias: boolean;
}

export type MixerConfig =
  | MambaConfig
  | Mamba2Config
  | DiscreteMamba2Config
  | MambaInLlamaConfig
  | MambaInLlama2Config
  | AttentionConfig;

/** Mamba (Gu & Dao 2023). */
export interface MambaConfig {
  readonly kind: 'mamba';
  readonly dInner: number;
  readonly dState: number;
  readonly dConv: number;
  readonly dtRank: number;
  /** Bias of the projections into and out of the mixer. */
  readonly hasBias: boolean;
  readonly hasConvBias: boolean;
}

/** What Mamba-2 and its MambaInLlama variant share. */
export interface SsdConfig {
  readonly nHeads: number;
  readonly headDim: number;
  readonly dState: number;
  readonly dConv: number;
  /** Gated RMSNorm after the recurrence; without it the recurrence's own gate is used. */
  readonly gatedNorm?: {
    readonly eps: number;
    /** Channels that share one mean square. */
    readonly groupSize: number;
    readonly normBeforeGate: boolean;
  };
  /** Range of Δ; absent when it is not clamped. */
  readonly dtLimit?: readonly [min: number, max: number];
  /** Whether D has one number per channel instead of one per head. */
  readonly hasDPerChannel: boolean;
  readonly hasBias: boolean;
  readonly hasConvBias: boolean;
}

/** Mamba-2 (Dao & Gu 2024). */
export interface Mamba2Config extends SsdConfig {
  readonly kind: 'mamba2';
  /** nHeads·headDim, plus channels that bypass the SSM through a gated MLP where there are any. */
  readonly dInner: number;
  readonly nGroups: number;
}

/** Discrete Mamba-2, Llamba's mixer. */
export interface DiscreteMamba2Config {
  readonly kind: 'discreteMamba2';
  readonly nHeads: number;
  readonly headDim: number;
  /** Groups that share B and C: Llamba's n_qk_heads. */
  readonly nGroups: number;
  readonly dState: number;
  readonly dConv: number;
  readonly activation: Activation;
  /** Bias of the projections; without it there is a separate bias of the gate. */
  readonly hasBias: boolean;
  readonly hasConvBias: boolean;
}

/** MambaInLlama's Mamba-1 mixer: Mamba with attention's projections for x, B and C. */
export interface MambaInLlamaConfig {
  readonly kind: 'mambaInLlama';
  readonly dInner: number;
  /** Width of x and B before they are repeated to dInner: the teacher's key/value width. */
  readonly dXb: number;
  readonly dState: number;
  readonly dConv: number;
  readonly dtRank: number;
  /** Whether x is repeated before the convolution or after it. */
  readonly repeatsBeforeConv: boolean;
  readonly hasXBias: boolean;
  readonly hasZBias: boolean;
  readonly hasOutBias: boolean;
  readonly hasConvBias: boolean;
}

/** MambaInLlama's Mamba-2 mixer; its heads are dState wide. */
export interface MambaInLlama2Config extends SsdConfig {
  readonly kind: 'mambaInLlama2';
  /** Width of x and B before they are repeated to nHeads·headDim. */
  readonly dXb: number;
  /** Whether x and B are repeated before the convolution or after it. */
  readonly repeatsBeforeConv: boolean;
}

export interface RopeConfig {
  /** Channels of a head that are rotated, even. */
  readonly rotaryDim: number;
  readonly theta: number;
  readonly scaling?: RopeScaling;
  readonly pairing: 'half' | 'interleaved';
}

/** Causal softmax attention: Llama's, and mamba_ssm's MHA with its extras. */
export interface AttentionConfig {
  readonly kind: 'attention';
  readonly nHeads: number;
  readonly nKvHeads: number;
  readonly headDim: number;
  /** Absent where positions are not encoded. */
  readonly rope?: RopeConfig;
  /** Multiplies q·k; absent for 1/√headDim. */
  readonly scale?: number;
  /** Width of a causal convolution over q, k and v; absent for none. */
  readonly dConv?: number;
  /** Hidden width of an MLP that runs beside the attention (mamba_ssm's mlp_dim / 2); absent for none. */
  readonly dParallelMlp?: number;
  readonly hasQkvBias: boolean;
  readonly hasOutBias: boolean;
}

/** What one sequence keeps between tokens, in numbers (not bytes). */
export interface StateSize {
  /** Convolution and SSM states: the same after every token. */
  readonly fixed: number;
  /** Keys and values added by each token. */
  readonly perToken: number;
}

/** State of one sequence in one layer's mixer. */
export function mixerStateSize(mixer: MixerConfig): StateSize {
  const kept = (mixer.dConv ?? 1) - 1;
  const conv = convChannels(mixer) * kept;
  switch (mixer.kind) {
    case 'attention':
      return { fixed: conv, perToken: 2 * mixer.nKvHeads * mixer.headDim };
    case 'mamba':
    case 'mambaInLlama':
      return { fixed: conv + mixer.dInner * mixer.dState, perToken: 0 };
    default:
      return { fixed: conv + mixer.nHeads * mixer.headDim * mixer.dState, perToken: 0 };
  }
}

/** Channels of a mixer's convolution. */
export function convChannels(mixer: MixerConfig): number {
  switch (mixer.kind) {
    case 'mamba':
      return mixer.dInner;
    case 'mamba2':
    case 'discreteMamba2':
      return mixer.nHeads * mixer.headDim + 2 * mixer.nGroups * mixer.dState;
    case 'mambaInLlama':
      return mixer.repeatsBeforeConv ? mixer.dInner : mixer.dXb;
    case 'mambaInLlama2': {
      const dInner = mixer.nHeads * mixer.headDim;
      return mixer.repeatsBeforeConv ? 3 * dInner : dInner + 2 * mixer.dXb;
    }
    case 'attention':
      return (mixer.nHeads + 2 * mixer.nKvHeads) * mixer.headDim;
  }
}

/** State of one sequence in the whole model. */
export function stateSize(config: ModelConfig): StateSize {
  const sizes = config.layers.map((layer) => mixerStateSize(layer.mixer));
  return {
    fixed: sizes.reduce((sum, size) => sum + size.fixed, 0),
    perToken: sizes.reduce((sum, size) => sum + size.perToken, 0),
  };
}
