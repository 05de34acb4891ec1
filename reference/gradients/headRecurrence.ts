/** The gradient that Mamba-2 and Discrete Mamba-2 share: they differ in where a head's decay comes from. */

import { startState } from '../selectiveScan.ts';
import { headStep } from '../ssdStep.ts';
import { exact, reshape, rowsOf, type Tensor, type Vector } from '../tensor.ts';
import {
  backwardsThroughTime,
  CHUNK_LEN,
  FLOAT64,
  type RecurrenceGradientOptions,
} from './backwardsThroughTime.ts';
import { skipAndGateGradient } from './skipAndGate.ts';
import { float64ZerosLike } from './slopes.ts';

/** h[p, n] ← decay·h[p, n] + dt·x[p]·B[n], y[p] = (Σₙ C[n]·h[p, n] + D·x[p])·silu(z[p]). Checked already. */
export interface HeadRecurrence {
  /** Shape (batch, seqlen, nHeads, headDim). */
  x: Tensor;
  /** What is left of the state. Shape (batch, seqlen, nHeads). */
  decay: Tensor;
  /** How much of x is written: Δ, or 1. Shape (batch, seqlen, nHeads). */
  dt: Tensor;
  /** Shape (batch, seqlen, nGroups, dState). */
  B: Tensor;
  /** Shape (batch, seqlen, nGroups, dState). */
  C: Tensor;
  /** Shape (nHeads, 1) or (nHeads, headDim). */
  D?: Tensor;
  /** Shape (batch, seqlen, nHeads, headDim). */
  z?: Tensor;
  /** Shape (batch, nHeads, headDim, dState). */
  h?: Tensor;
}

/** Each of the shape of the input of its name; D and z where they are there, h always. */
export type HeadRecurrenceGradient = HeadRecurrence & { h: Tensor };

/**
 * The gradient g of a head's state starts as dh and walks back; at each token, with h' the state before it,
 * h the one after it, and dRead[p] what comes back through D and z,
 *
 *   g[p, n] ← g[p, n] + dRead[p]·C[n]       dC[n]  = Σₚ dRead[p]·h[p, n]
 *   ddecay  = Σₚₙ g[p, n]·h'[p, n]          dB[n]  = Σₚ g[p, n]·dt·x[p]
 *   ddt     = Σₚₙ g[p, n]·x[p]·B[n]         dx[p]  = Σₙ g[p, n]·dt·B[n] + D·dRead[p]
 *   g       ← decay·g
 */
export function headRecurrenceGradient(
  { x, decay, dt, B, C, D, z, h }: HeadRecurrence,
  dy: Tensor,
  { dh, chunkLen = CHUNK_LEN }: RecurrenceGradientOptions,
): HeadRecurrenceGradient {
  const [batch, seqlen, nHeads, headDim] = x.shape;
  const [, , nGroups, dState] = B.shape;
  const stateShape = [batch, nHeads, headDim, dState];
  const gradient = {
    x: float64ZerosLike(x),
    decay: float64ZerosLike(decay),
    dt: float64ZerosLike(dt),
    B: float64ZerosLike(B),
    C: float64ZerosLike(C),
    ...(D && { D: float64ZerosLike(D) }),
    ...(z && { z: float64ZerosLike(z) }),
    h: startState(dh, stateShape, FLOAT64),
  };
  const perHead = (state: Tensor) => rowsOf(reshape(state, batch * nHeads, headDim * dState));
  const rowsOfG = perHead(gradient.h); // from the last token's to the initial state's, in place
  const rowsOfH = perHead(startState(h, stateShape, FLOAT64));
  const [rowsOfX, rowsOfB, rowsOfC, rowsOfDy] = [x, B, C, dy].map(rowsOf);
  const [rowsOfDX, rowsOfDB, rowsOfDC] = [gradient.x, gradient.B, gradient.C].map(rowsOf);
  const [rowsOfZ, rowsOfDZ] = [z && rowsOf(z), gradient.z && rowsOf(gradient.z)];
  const skips = D?.shape[1] ?? 0; // per head: 1 or headDim
  const unread = new Float64Array(headDim);
  for (let b = 0; b < batch; b++) {
    for (let i = 0; i < nHeads; i++) {
      const g = rowsOfG[b * nHeads + i];
      const headAt = (t: number) => (b * seqlen + t) * nHeads + i;
      const groupAt = (t: number) =>
        (b * seqlen + t) * nGroups + Math.floor(i / (nHeads / nGroups));

      const forward = (t: number, state: Vector) => {
        const [head, group] = [headAt(t), groupAt(t)];
        const [kept, share] = [decay.data[head], dt.data[head]];
        headStep(exact, state, kept, share, rowsOfX[head], rowsOfB[group], rowsOfC[group], unread);
      };
      const back = (t: number, before: Vector, after: Vector) => {
        const [head, group] = [headAt(t), groupAt(t)];
        const [kept, share] = [decay.data[head], dt.data[head]];
        const [rowOfX, rowOfB, rowOfC] = [rowsOfX[head], rowsOfB[group], rowsOfC[group]];
        const [dX, dB, dC] = [rowsOfDX[head], rowsOfDB[group], rowsOfDC[group]];
        let dDecay = 0;
        let dDt = 0;
        for (let p = 0; p < headDim; p++) {
          const state = p * dState;
          let read = 0;
          for (let n = 0; n < dState; n++) read += rowOfC[n] * after[state + n];
          const skip = i * skips + (skips === 1 ? 0 : p);
          const dOut = skipAndGateGradient(
            rowsOfDy[head][p],
            read,
            rowOfX[p],
            D?.data[skip],
            rowsOfZ?.[head][p],
          );
          if (gradient.D) gradient.D.data[skip] += dOut.D;
          if (rowsOfDZ) rowsOfDZ[head][p] = dOut.z;

          let dScaled = 0; // of dt·x[p]
          for (let n = 0; n < dState; n++) {
            const j = state + n;
            dC[n] += dOut.read * after[j];
            g[j] += dOut.read * rowOfC[n];
            dDecay += g[j] * before[j];
            dB[n] += g[j] * (share * rowOfX[p]);
            dScaled += g[j] * rowOfB[n];
            g[j] *= kept;
          }
          dX[p] = dOut.x + share * dScaled;
          dDt += rowOfX[p] * dScaled;
        }
        gradient.decay.data[head] = dDecay;
        gradient.dt.data[head] = dDt;
      };
      const initial = rowsOfH[b * nHeads + i];
      backwardsThroughTime(seqlen, chunkLen, initial, forward, back);
    }
  }
  return gradient;
}
