/** What training asks of a device: ops with their gradients, losses, and an optimiser's step. */

import type { DeviceMemory } from './trainingMemory.ts';

/**
 * Numbers on a device, rows of a width: leading axes flattened, the last axis is the row. Activations are
 * (batch·seqlen, width), token t of sequence b in row b·seqlen + t.
 */
export interface Numbers {
  readonly shape: readonly number[];
}

/** Gradients that are wanted; each is added to. */
export type Wanted<Input, Wrt extends keyof Input> = { readonly [Name in Wrt]?: Numbers };

/** An op of one output y and its gradient. */
export interface Differentiable<Input, Wrt extends keyof Input, Kept = unknown> {
  /** Returns y, and what the gradient needs besides the input. Both live until the device's `reset`. */
  forward(input: Input): { readonly y: Numbers; readonly kept?: Kept };
  /** Adds to each wanted gradient what dy, the gradient of y, makes of it. */
  backward(
    input: Input,
    output: { readonly y: Numbers; readonly kept?: Kept },
    dy: Numbers,
    grads: Wanted<Input, Wrt>,
  ): void;
}

/** A loss: one number, and its gradient scaled by a weight. */
export interface DifferentiableLoss<Input, Wrt extends keyof Input, Kept = unknown> {
  /** `loss` has shape (1). */
  forward(input: Input): { readonly loss: Numbers; readonly kept?: Kept };
  backward(
    input: Input,
    output: { readonly loss: Numbers; readonly kept?: Kept },
    weight: number,
    grads: Wanted<Input, Wrt>,
  ): void;
}

export interface EmbeddingIn {
  /** (rows). */
  tokens: Int32Array;
  /** (vocabRows, dModel). */
  weight: Numbers;
}
export interface LinearIn {
  /** (rows, dIn). */
  x: Numbers;
  /** (dOut, dIn). */
  weight: Numbers;
  /** (dOut). */
  bias?: Numbers;
}
export interface AddIn {
  a: Numbers;
  b: Numbers;
}
export interface ColumnsIn {
  x: Numbers;
  from: number;
  width: number;
}
export interface RepeatGroupsIn {
  /** (rows, columns). */
  x: Numbers;
  /** Columns of a group; columns must be a multiple of it. */
  width: number;
  /** Every group becomes this many copies next to each other: a b → a a b b. */
  times: number;
}
export interface RmsNormIn {
  x: Numbers;
  weight: Numbers;
  eps: number;
}
export interface GatedRmsNormIn {
  x: Numbers;
  z: Numbers;
  weight: Numbers;
  eps: number;
  /** Columns that are normed together. */
  groupSize: number;
  normBeforeGate: boolean;
}
export interface GateIn {
  /** y = x·silu(z + zBias). */
  x: Numbers;
  z: Numbers;
  /** (columns). */
  zBias?: Numbers;
}
export interface CausalConv1dIn {
  /** (batch·seqlen, channels). */
  x: Numbers;
  /** (channels, dConv); the last tap meets the current token. */
  weight: Numbers;
  /** (channels). */
  bias?: Numbers;
  activation: 'silu' | 'identity';
  seqlen: number;
}
export interface SelectiveScanIn {
  /** (batch·seqlen, dInner). */
  x: Numbers;
  /** (batch·seqlen, dInner), before bias and softplus. */
  dtRaw: Numbers;
  /** (dInner). */
  dtBias?: Numbers;
  /** A = −exp(ALog). (dInner, dState). */
  ALog: Numbers;
  /** (batch·seqlen, nGroups·dState); C too. Channel d uses group ⌊d·nGroups/dInner⌋. */
  B: Numbers;
  C: Numbers;
  /** (dInner). */
  D?: Numbers;
  nGroups: number;
  seqlen: number;
}
export interface SsdIn {
  /** (batch·seqlen, nHeads·headDim). */
  x: Numbers;
  /** (batch·seqlen, nHeads), before bias and softplus. */
  dtRaw: Numbers;
  /** (nHeads). */
  dtBias?: Numbers;
  /** A = −exp(ALog). (nHeads). */
  ALog: Numbers;
  /** (batch·seqlen, nGroups·dState); C too. Head i uses group ⌊i·nGroups/nHeads⌋. */
  B: Numbers;
  C: Numbers;
  /** (nHeads). */
  D?: Numbers;
  nHeads: number;
  nGroups: number;
  seqlen: number;
}
export interface DiscreteSsdIn {
  /** (batch·seqlen, nHeads·headDim). */
  x: Numbers;
  /** Forget logits, (batch·seqlen, nHeads): the decay is σ(−a). */
  a: Numbers;
  B: Numbers;
  C: Numbers;
  /** (nHeads). */
  D?: Numbers;
  nHeads: number;
  nGroups: number;
  seqlen: number;
}
export interface RopeIn {
  /** (batch·seqlen, heads·headDim). */
  x: Numbers;
  headDim: number;
  /** Angle per position of each pair: rotaryDim/2 of them; pairs are (i, i + rotaryDim/2) for `half`. */
  frequencies: Float64Array;
  pairing: 'half' | 'interleaved';
  seqlen: number;
}
export interface AttentionIn {
  /** (batch·seqlen, nHeads·headDim). */
  q: Numbers;
  /** (batch·seqlen, nKvHeads·headDim); v too. */
  k: Numbers;
  v: Numbers;
  nHeads: number;
  nKvHeads: number;
  /** Multiplies q·k. */
  scale: number;
  seqlen: number;
}
export interface CrossEntropyIn {
  /** (rows, vocabRows). */
  logits: Numbers;
  /** (rows); −100 is left out. The loss is the mean over the others. */
  targets: Int32Array;
}
export interface KlDivergenceIn {
  /** (rows, vocabRows). */
  logits: Numbers;
  teacherLogits: Numbers;
  /** (rows) of 0 and 1. */
  mask: Float32Array;
  /** KL(teacher‖student), KL(student‖teacher), or cross-entropy to the teacher's probabilities. */
  direction: 'forward' | 'reverse' | 'soft';
  /** What the sum over rows is divided by. */
  divisor: number;
}
export interface HiddenDistanceIn {
  /** (rows, width). The loss is the mean over the rows of mask 1 of ‖x − target‖₂. */
  x: Numbers;
  target: Numbers;
  mask: Float32Array;
}
export interface MixerMatrixIn {
  a: Numbers;
  B: Numbers;
  C: Numbers;
  D?: Numbers;
  nHeads: number;
  nGroups: number;
  seqlen: number;
}
export interface AttentionMatrixIn {
  q: Numbers;
  k: Numbers;
  nHeads: number;
  nKvHeads: number;
  scale: number;
  seqlen: number;
}
export interface MatrixDistanceIn {
  /** (batch·nHeads·seqlen, seqlen). The loss is the mean over batch and heads of ‖x − target‖_F. */
  x: Numbers;
  target: Numbers;
  seqlen: number;
}
export interface AdamWStep {
  parameter: Numbers;
  gradient: Numbers;
  /** Running means of the gradient and of its square; updated. */
  m: Numbers;
  v: Numbers;
  /** Counts from 1. */
  step: number;
  learningRate: number;
  betas: readonly [number, number];
  eps: number;
  /** Decoupled: the parameter shrinks by learningRate·weightDecay of itself. */
  weightDecay: number;
  /** Multiplies the gradient: what clipping makes of it. */
  gradientScale: number;
}

export interface TrainingOps {
  readonly embedding: Differentiable<EmbeddingIn, 'weight'>;
  readonly linear: Differentiable<LinearIn, 'x' | 'weight' | 'bias'>;
  readonly add: Differentiable<AddIn, 'a' | 'b'>;
  readonly columns: Differentiable<ColumnsIn, 'x'>;
  readonly repeatGroups: Differentiable<RepeatGroupsIn, 'x'>;
  readonly rmsNorm: Differentiable<RmsNormIn, 'x' | 'weight'>;
  readonly gatedRmsNorm: Differentiable<GatedRmsNormIn, 'x' | 'z' | 'weight'>;
  readonly gate: Differentiable<GateIn, 'x' | 'z' | 'zBias'>;
  readonly causalConv1d: Differentiable<CausalConv1dIn, 'x' | 'weight' | 'bias'>;
  readonly selectiveScan: Differentiable<
    SelectiveScanIn,
    'x' | 'dtRaw' | 'dtBias' | 'ALog' | 'B' | 'C' | 'D'
  >;
  readonly ssd: Differentiable<SsdIn, 'x' | 'dtRaw' | 'dtBias' | 'ALog' | 'B' | 'C' | 'D'>;
  readonly discreteSsd: Differentiable<DiscreteSsdIn, 'x' | 'a' | 'B' | 'C' | 'D'>;
  readonly rope: Differentiable<RopeIn, 'x'>;
  readonly attention: Differentiable<AttentionIn, 'q' | 'k' | 'v'>;
  /** The discrete recurrence as a matrix of each head, (batch·nHeads·seqlen, seqlen), D on its diagonal. */
  readonly mixerMatrix: Differentiable<MixerMatrixIn, 'a' | 'B' | 'C' | 'D'>;
  /** Attention's weights, of the same shape. Never differentiated: a teacher's. */
  attentionMatrix(input: AttentionMatrixIn): Numbers;
  readonly crossEntropy: DifferentiableLoss<CrossEntropyIn, 'logits'>;
  readonly klDivergence: DifferentiableLoss<KlDivergenceIn, 'logits'>;
  readonly hiddenDistance: DifferentiableLoss<HiddenDistanceIn, 'x'>;
  readonly matrixDistance: DifferentiableLoss<MatrixDistanceIn, 'x'>;
  /** Σ of the squares of all of them, in an order that nothing changes: shape (1). */
  sumOfSquares(numbers: readonly Numbers[]): Numbers;
  adamW(step: AdamWStep): void;
}

export interface TrainingDevice {
  readonly name: string;
  readonly ops: TrainingOps;
  /** Numbers that stay until they are freed: parameters, and what an optimiser keeps. Zero without data. */
  keep(shape: readonly number[], data?: ArrayLike<number>): Numbers;
  /** Gives back numbers that were kept. Nothing may use them afterwards. */
  free(kept: Numbers): void;
  /** Zeros that live until `reset`: gradients. */
  zeros(shape: readonly number[]): Numbers;
  /** Frees everything that is not kept. */
  reset(): void;
  /** A copy, row-major without padding. Waits for what was asked before. */
  read(numbers: Numbers): Float64Array | Float32Array;
  write(numbers: Numbers, data: ArrayLike<number>): void;
  close(): Promise<void>;
  /** Absent where nothing but the machine ends it. */
  readonly memory?: DeviceMemory;
}
