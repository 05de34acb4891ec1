/** What every backend offers the decode loop. */

import type { Vector } from '../reference/tensor.ts';
import type { Trace } from '../reference/trace.ts';

/** What really runs: asked for and got are compared, never assumed. */
export interface BackendInfo {
  /** The name that was asked for. */
  readonly backend: string;
  /** Arithmetic: float64, or float32. */
  readonly precision: string;
}

/** A sequence on a backend: its state stays there. */
export interface Row {
  /** Tokens taken in so far. */
  readonly position: number;
}

/** Runs one model: takes in tokens, returns logits, keeps the states. */
export interface Executor {
  readonly info: BackendInfo;
  /** Takes in a prompt and returns its row with the logits after its last token. Shape (vocabRows). */
  prefill(tokens: readonly number[]): Promise<{ row: Row; logits: Vector }>;
  /** Gives each row one token; returns the logits of each row's next. Rows are updated in place. */
  step(rows: readonly Row[], tokens: readonly number[], trace?: Trace): Promise<Vector[]>;
  /** An independent copy of a row. */
  fork(row: Row): Row;
  /** Frees a row's memory; it must not be used again. */
  release(row: Row): void;
}
