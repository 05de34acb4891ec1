/** The way back through a recurrence, which needs the states in the order in which they are not computed. */

import { emptyOf, type Tensor, type Vector } from '../tensor.ts';

/** What a Float64 state is copied to. */
export const FLOAT64 = emptyOf('float64');

/** Tokens whose states are held at once, where the caller does not say. */
export const CHUNK_LEN = 64;

export interface RecurrenceGradientOptions {
  /** Gradient of the state after the last token, zero when absent. Of the state's shape. Not modified. */
  dh?: Tensor;
  /** Tokens whose states are held at once, ≥ 1: it decides the memory, and not a bit of the result. Default 64. */
  chunkLen?: number;
}

/**
 * Calls `back` for each token from the last to the first, with the states before and after the token.
 *
 * A decayed state cannot be undone: exp(Δ·A) may have underflowed to zero. So the states are made twice. The
 * first sweep keeps the one that enters each chunk; on the way back each chunk is run again from there, and
 * its states are held until its tokens are done. That takes chunkLen + seqlen/chunkLen states instead of
 * seqlen, for one more forward sweep (Griewank 1992, checkpoints; Gu & Dao 2023, section 3.3.2, recompute in
 * the same way). Both runs do the same arithmetic, so the result does not depend on chunkLen.
 * @param forward brings the state from before token t to after it, in place.
 */
export function backwardsThroughTime(
  seqlen: number,
  chunkLen: number,
  initial: Vector,
  forward: (t: number, h: Vector) => void,
  back: (t: number, before: Vector, after: Vector) => void,
): void {
  const entering: Vector[] = [];
  const state = initial.slice();
  for (let t = 0; t < seqlen; t++) {
    if (t % chunkLen === 0) entering.push(state.slice());
    forward(t, state);
  }
  for (let chunk = entering.length - 1; chunk >= 0; chunk--) {
    const start = chunk * chunkLen;
    const states = [entering[chunk]];
    for (let t = start; t < Math.min(start + chunkLen, seqlen); t++) {
      const next = states[t - start].slice();
      forward(t, next);
      states.push(next);
    }
    for (let k = states.length - 2; k >= 0; k--) back(start + k, states[k], states[k + 1]);
  }
}
