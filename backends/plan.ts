/**
 * A plan: a model's wiring as data. An ordered list of steps, each an op that reads columns of named buffers
 * and writes one new buffer; every buffer has a row per token and is written once.
 *
 * There are two of every model: `prefill` takes in packed tokens of any number of sequences, `step` one
 * token of each. What a sequence carries along stands in named state slots, one set per sequence.
 */

import type { Activation } from '../reference/activations.ts';
import type { ModelConfig, RopeConfig } from '../reference/config.ts';

export interface Plan {
  readonly kind: 'prefill' | 'step';
  readonly config: ModelConfig;
  readonly steps: readonly PlanStep[];
  /** Everything that a sequence carries from one call to the next. */
  readonly state: readonly StateSlot[];
}

/** Some columns of a buffer: how a projection is split without being copied. */
export interface Columns {
  readonly buffer: string;
  readonly from: number;
  readonly width: number;
}

/** A part of one sequence's state. */
export interface StateSlot {
  /** `layers.0.h`: the layer, and the part of its LayerState. */
  readonly name: string;
  readonly layer: number;
  readonly part: 'convState' | 'h' | 'keys' | 'values';
  /** Shape for one sequence, as in the reference's state; of keys and values, for one token. */
  readonly shape: readonly number[];
  /** Whether it grows by one such entry per token. */
  readonly grows: boolean;
}

/** What all steps have. Weights are named as by weightShapes of reference/model.ts. */
interface StepOf<Op extends string, Inputs, Weights = object, Attributes = object> {
  readonly op: Op;
  /** Absent for what stands before and after the layers. */
  readonly layer?: number;
  readonly inputs: Readonly<Inputs>;
  readonly weights: Readonly<Weights>;
  readonly attributes: Readonly<Attributes>;
  /** The buffer that it writes, and its width. */
  readonly y: Columns;
}

export type EmbeddingStep = StepOf<'embedding', object, { weight: string }>;
export type NormStep = StepOf<
  'rmsNorm' | 'layerNorm',
  { x: Columns },
  { weight: string; bias?: string },
  { eps: number }
>;
/** y = W·x + b, added to the residual stream where there is one. */
export type LinearStep = StepOf<
  'linear',
  { x: Columns; residual?: Columns },
  { weight: string; bias?: string }
>;
export type ConvStep = StepOf<
  'causalConv1d' | 'causalConv1dStep',
  { x: Columns },
  { weight: string; bias?: string },
  { activation: Activation; dConv: number; convState: string }
>;
/** Mamba-1's recurrence, gated by z. */
export type SelectiveScanStep = StepOf<
  'selectiveScan' | 'selectiveScanStep',
  { x: Columns; dtRaw: Columns; B: Columns; C: Columns; z: Columns },
  { dtBias: string; ALog: string; D: string },
  { nGroups: number; dState: number; h: string }
>;
/** Sizes of a recurrence over heads, and its slot of the state. */
export interface HeadAttributes {
  nHeads: number;
  headDim: number;
  nGroups: number;
  dState: number;
  h: string;
}
/** Mamba-2's recurrence; z only where the gate does not belong to a norm. */
export type SsdStep = StepOf<
  'ssd' | 'ssdStep',
  { x: Columns; dtRaw: Columns; B: Columns; C: Columns; z?: Columns },
  { dtBias: string; ALog: string; D: string },
  HeadAttributes & { dtLimit?: readonly [min: number, max: number] }
>;
/** Discrete Mamba-2's recurrence. */
export type DiscreteSsdStep = StepOf<
  'discreteSsd' | 'discreteSsdStep',
  { x: Columns; a: Columns; B: Columns; C: Columns },
  { D: string },
  HeadAttributes
>;
export type GatedNormStep = StepOf<
  'gatedRmsNorm',
  { x: Columns; z: Columns },
  { weight: string },
  { eps: number; groupSize: number; normBeforeGate: boolean }
>;
/** value ⊙ silu(gate + gateBias). */
export type GateStep = StepOf<'gate', { value: Columns; gate: Columns }, { gateBias?: string }>;
/** Each group of `width` columns `times` times, copies next to each other. */
export type RepeatStep = StepOf<
  'repeatColumns',
  { x: Columns },
  object,
  { width: number; times: number }
>;
export type JoinStep = StepOf<'joinColumns', { a: Columns; b: Columns; c?: Columns }>;
/** Rotates heads by the positions of their tokens. */
export type RopeStep = StepOf<
  'rope',
  { x: Columns },
  object,
  {
    nHeads: number;
    headDim: number;
    pairing: RopeConfig['pairing'];
    /** Radians per token of each pair of channels. */
    frequencies: readonly number[];
  }
>;
/** Appends k and v to the cache, then attends to all of it. */
export type AttentionStep = StepOf<
  'attention' | 'attentionStep',
  { q: Columns; k: Columns; v: Columns },
  object,
  {
    nHeads: number;
    nKvHeads: number;
    headDim: number;
    scale: number;
    keys: string;
    values: string;
  }
>;
/** One row per sequence from here on: that of its last token. Only in prefill plans. */
export type LastTokensStep = StepOf<'lastTokens', { x: Columns }>;

export type PlanStep =
  | EmbeddingStep
  | NormStep
  | LinearStep
  | ConvStep
  | SelectiveScanStep
  | SsdStep
  | DiscreteSsdStep
  | GatedNormStep
  | GateStep
  | RepeatStep
  | JoinStep
  | RopeStep
  | AttentionStep
  | LastTokensStep;

export type PlanOp = PlanStep['op'];
