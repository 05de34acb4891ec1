/** What can be watched inside one decode step: the same events feed `selscan explain`, the page and specs. */

import type { Tensor, Vector } from './tensor.ts';

/** What a mixer or block shows of itself; {@link TraceEvent} adds where and when. */
export type TraceDetail =
  | SsmTrace
  | AttentionTrace
  | {
      /** The residual stream around a block. */
      readonly kind: 'block';
      readonly before: Vector;
      readonly afterMixer: Vector;
      readonly after: Vector;
    };

/** A recurrence at one token. Mamba-1 has one channel per head, so headDim is 1 and nHeads is dInner. */
export interface SsmTrace {
  readonly kind: 'ssm';
  readonly mixer: 'mamba' | 'mamba2' | 'discreteMamba2' | 'mambaInLlama' | 'mambaInLlama2';
  /** The convolution's window: its kept inputs and the current one last. Shape (channels, dConv). */
  readonly window: Tensor;
  /** Step size of each head, in time steps; 1 in Discrete Mamba-2, which has none. Shape (nHeads). */
  readonly dt: Tensor;
  /** Share of the state that is kept. Shape (nHeads, dState) in Mamba-1, (nHeads, 1) otherwise. */
  readonly decay: Tensor;
  /** Input to the recurrence. Shape (nHeads, headDim). */
  readonly x: Tensor;
  /** What is written. Shape (nGroups, dState). */
  readonly B: Tensor;
  /** What is read. Shape (nGroups, dState). */
  readonly C: Tensor;
  /** State before and after. Shape (nHeads, headDim, dState). */
  readonly hBefore: Tensor;
  readonly hAfter: Tensor;
  /** silu of the gate branch, by which the output is multiplied. Shape (nHeads·headDim). */
  readonly gate: Tensor;
  /** Output of the mixer. Shape (dModel). */
  readonly y: Tensor;
}

/** Attention at one token. */
export interface AttentionTrace {
  readonly kind: 'attention';
  /** How much each head takes from each token so far. Shape (nHeads, length). */
  readonly weights: Tensor;
  /** Output of the mixer. Shape (dModel). */
  readonly y: Tensor;
}

export type TraceEvent =
  | (TraceDetail & { readonly layer: number; readonly position: number })
  | { readonly kind: 'token'; readonly token: number; readonly position: number }
  | { readonly kind: 'logits'; readonly logits: Vector; readonly position: number }
  | SamplerTrace;

/** How a token was drawn from the logits. */
export interface SamplerTrace {
  readonly kind: 'sampler';
  /** Position that the drawn token will take. */
  readonly position: number;
  /** The model's logits, and what the filters left of them. */
  readonly logits: Vector;
  readonly filtered: Vector;
  /** The uniform number; absent at temperature 0. */
  readonly u?: number;
  readonly token: number;
  /** ln of the token's probability under the model, and under the filtered distribution. */
  readonly logprob: number;
  readonly filteredLogprob: number;
}

/** Receives events as they happen. Tensors in them are copies, free to be kept. */
export type Trace = (event: TraceEvent) => void;
