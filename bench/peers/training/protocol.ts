/** What is said between the process that measures and those that train: JSON lines, for one of them is Python. */

import type { ModelConfig } from '../../../reference/config.ts';

export type Who = 'ours' | 'pytorch' | 'jax-js';

/** AdamW's numbers, the same for all. */
export interface Hyperparameters {
  readonly learningRate: number;
  readonly betas: readonly [number, number];
  readonly eps: number;
  readonly weightDecay: number;
  /** Longest gradient, over all parameters. */
  readonly clip: number;
}

/**
 * `problem.json` of a folder: what is trained, on what. Beside it lie `weights.f32`, and `tokens.i32` and `targets.i32`
 * of (batch, seqlen), all in the machine's own byte order.
 */
export interface Problem {
  readonly config: ModelConfig;
  readonly batch: number;
  readonly seqlen: number;
  readonly weights: readonly WeightEntry[];
  readonly hyperparameters: Hyperparameters;
}

/** Where a weight lies in `weights.f32`. */
export interface WeightEntry {
  readonly name: string;
  readonly shape: readonly number[];
  /** In numbers, not bytes. */
  readonly offset: number;
  /** Whether weight decay is for it. */
  readonly decays: boolean;
}

/** What a contestant can be asked; a line is {@link Request}, its reply {@link Reply}. */
export type Request =
  | { readonly ask: 'open'; readonly folder: string; readonly threads: number }
  | { readonly ask: 'train'; readonly steps: number };

export interface Answers {
  /** What really runs, in words. */
  open: { readonly info: string };
  /** The loss before each step; wall time, and CPU time of all threads, of all steps together. */
  train: { readonly losses: readonly number[]; readonly ms: number; readonly cpuMs: number };
}

export type Reply = { readonly answer: Answers[Request['ask']] } | { readonly error: string };

/** One that trains. */
export interface Trainer {
  readonly info: string;
  /** A step: forward, backward, clip, AdamW. Returns the loss before it. */
  step(): Promise<number>;
}
