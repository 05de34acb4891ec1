/** What every backend offers: ops for whoever checks kernels, executors for the decode loop. */

import type { ModelConfig } from '../reference/config.ts';
import type { OpName, Ops } from '../reference/ops.ts';
import type { SequenceState } from '../reference/state.ts';
import type { Tensor, Vector } from '../reference/tensor.ts';
import type { Trace } from '../reference/trace.ts';
import type { Plan } from './plan.ts';

/** What really runs: asked for and got are compared, never assumed. */
export interface BackendInfo {
  /** The name that was asked for: `reference`, `gpujs:webgpu`. */
  readonly backend: string;
  /** Precision of the numbers that it is given and gives back. */
  readonly precision: 'float64' | 'float32';
  /** Whose rules its arithmetic follows; WGSL and GLSL allow more error than IEEE 754, and swallow NaN. */
  readonly arithmetic: 'ieee' | 'wgsl' | 'glsl';
  /** The mode that its kernels were found to run in, where the backend has several. */
  readonly mode?: string;
  /** The device, where there is one: `google swiftshader, SwiftShader driver 5.0.0`. */
  readonly adapter?: string;
  /** Why another mode runs than was asked for; only with the caller's leave. */
  readonly fallback?: string;
  /** Threads that compute, where the backend has several. */
  readonly threads?: number;
  /** How the matrices are stored, where the backend can choose. */
  readonly weights?: WeightFormat;
}

/** How a backend stores the matrices: as they are, or as 8-bit numbers with a scale for every 32 of a row. */
export type WeightFormat = 'float32' | 'int8';

/** Runs one op, wherever it is implemented. */
export type RunOp = <Name extends OpName>(
  name: Name,
  input: Parameters<Ops[Name]>[0],
) => Promise<ReturnType<Ops[Name]>>;

/** Some ops on host arrays, named as in reference/ops.ts; what is absent is not declared. */
export type BackendOps = {
  readonly [Name in OpName]?: (input: Parameters<Ops[Name]>[0]) => Promise<ReturnType<Ops[Name]>>;
};

/** A sequence on a backend: its state stays there. */
export interface Row {
  /** Tokens taken in so far. */
  readonly position: number;
}

/** How tokens are chosen on the device. */
export interface DecodeOptions {
  /** Tokens to decode for each row, ≥ 1. */
  readonly steps: number;
  /** Divides the logits; 0, the default, takes the likeliest token. */
  readonly temperature?: number;
  /** The uniform number in [0, 1) with which a row's token is drawn; needed above temperature 0. */
  uniform?(row: number, step: number): number;
}

/** How the next token of a row is drawn from its logits. */
export interface Draw {
  /** Divides the logits; 0 takes the likeliest token. */
  readonly temperature: number;
  /** Uniform in [0, 1): the first token whose cumulated probability exceeds it is drawn. Not read at temperature 0. */
  readonly u: number;
}

/** A token drawn where the logits are. */
export interface Drawn {
  /** Below vocabSize; −1 where a logit is not finite, and then the other two are NaN. */
  readonly token: number;
  /** ln of its probability under the model itself, over all vocabRows. */
  readonly logprob: number;
  /** ln of the probability with which it was drawn, over vocabSize; 0 at temperature 0. */
  readonly filteredLogprob: number;
}

/** Runs one model: takes in tokens, returns logits, keeps the states. */
export interface Executor {
  readonly info: BackendInfo;
  /**
   * Takes in prompts of any lengths, packed without padding. Returns for each its row and the logits after
   * its last token, shape (vocabRows).
   */
  prefill(
    prompts: readonly (readonly number[])[],
  ): Promise<{ readonly row: Row; readonly logits: Vector }[]>;
  /** Gives each row one token; returns the logits of each row's next. Rows are updated in place. */
  step(rows: readonly Row[], tokens: readonly number[], trace?: Trace): Promise<Vector[]>;
  /**
   * Decodes several tokens of each row without reading logits back, where the device can choose tokens itself.
   * Returns for each row its tokens; the rows have taken in all of them but the last.
   */
  decode?(
    rows: readonly Row[],
    tokens: readonly number[],
    options: DecodeOptions,
  ): Promise<number[][]>;
  /**
   * A step whose logits stay on the device, where each row's next token is drawn. The same as `step` and drawing on
   * the host, up to the rounding of the probabilities.
   */
  stepAndDraw?(
    rows: readonly Row[],
    tokens: readonly number[],
    draws: readonly Draw[],
  ): Promise<Drawn[]>;
  /**
   * How many more rows there is memory for, if each is to take in `tokens` tokens in all, the first `shared` of which
   * they have in common with the row that they are forked from. Absent where only the process's memory limits.
   */
  room?(tokens: number, shared?: number): number;
  /** An independent copy of a row. What grows with the prompt is shared, not copied, where the device allows it. */
  fork(row: Row): Promise<Row>;
  /** A row's state as a value; it goes on as it was. Another backend can go on from it. */
  save(row: Row): Promise<SequenceState>;
  /** A new row that goes on from a saved state. */
  load(state: SequenceState): Promise<Row>;
  /** Frees a row's memory; it must not be used again. */
  release(row: Row): void;
  /** Frees everything on the device. */
  close(): Promise<void>;
}

/** A model as a backend takes it: wired as plans, its weights by name. */
export interface PlannedModel {
  readonly config: ModelConfig;
  readonly prefill: Plan;
  readonly step: Plan;
  /** A weight as weightShapes of reference/model.ts names it. */
  weight(name: string): Tensor;
}

/** Kernels for the ops, and executors that run plans on them. */
export interface Backend {
  readonly info: BackendInfo;
  readonly ops: BackendOps;
  /** Takes a model's weights to the device. */
  load(model: PlannedModel): Promise<Executor>;
  /** Frees the device. */
  close(): Promise<void>;
}
