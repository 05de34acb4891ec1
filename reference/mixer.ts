/** What all mixers have in common: their arguments, and the table of their weights' shapes. */

import { exp } from './elementary.ts';
import type { LayerState } from './state.ts';
import { rounding, type Tensor, type Vector, zeros } from './tensor.ts';
import type { TraceDetail } from './trace.ts';

/** Arguments of a mixer: some tokens of one sequence, and the state that the tokens before them left. */
export interface MixerInput<Weights, Config> {
  /** Normalised input, one row per token. Shape (seqlen, dModel). */
  u: Tensor;
  weights: Weights;
  config: Config;
  /** Updated in place. */
  state: LayerState;
  /** Called once if there is exactly one token. */
  trace?: (detail: TraceDetail) => void;
}

/** The shape of each weight; undefined for one that the config does without. */
export type ShapesOf<Weights> = {
  readonly [Name in keyof Required<Weights>]: readonly number[] | undefined;
};

/** A = −exp(ALog), in the precision of `like`: stored as a logarithm so that training cannot make it positive. */
export function decayRates(ALog: Tensor, like: Vector): Tensor {
  const fl = rounding(like);
  const data = zeros(ALog.data.length, like);
  for (let i = 0; i < data.length; i++) data[i] = -fl(exp(ALog.data[i]));
  return { data, shape: ALog.shape };
}

/** The window of a convolution at one token: kept inputs, then the current one. Shape (channels, dConv). */
export function convWindow(kept: Tensor | undefined, x: Tensor): Tensor {
  const channels = x.data.length;
  const nKept = kept?.shape[2] ?? 0;
  const data = new Float64Array(channels * (nKept + 1));
  for (let c = 0; c < channels; c++) {
    for (let k = 0; k < nKept; k++) data[c * (nKept + 1) + k] = kept?.data[c * nKept + k] ?? 0;
    data[c * (nKept + 1) + nKept] = x.data[c];
  }
  return { data, shape: [channels, nKept + 1] };
}
