/** The gradient of Mamba-1's selective scan. */

import { exp } from '../elementary.ts';
import { checkSelectiveScan, type SelectiveScanInput, startState } from '../selectiveScan.ts';
import { channelStep, stepSize } from '../selectiveScanStep.ts';
import { checkShape, exact, expectChunkLen, rowsOf, type Tensor, type Vector } from '../tensor.ts';
import {
  backwardsThroughTime,
  CHUNK_LEN,
  FLOAT64,
  type RecurrenceGradientOptions,
} from './backwardsThroughTime.ts';
import { skipAndGateGradient } from './skipAndGate.ts';
import { float64ZerosLike, stepSizeSlope } from './slopes.ts';

/** Each of the shape of the input of its name, in Float64; of an optional input only where it is there. */
export interface SelectiveScanGradient {
  x: Tensor;
  dtRaw: Tensor;
  dtBias?: Tensor;
  A: Tensor;
  B: Tensor;
  C: Tensor;
  D?: Tensor;
  z?: Tensor;
  /** Of the state before the first token, also where that was not given. Shape (batch, dInner, dState). */
  h: Tensor;
}

/**
 * From dy = ∂L/∂y, every other ∂L/∂input. The gradient g of the state starts as dh and walks back; at each
 * token, with h' the state before it, h the one after it, and dRead what comes back through D and z,
 *
 *   g   ← g + dRead·C                       dC = dRead·h
 *   dΔA = g·exp(Δ·A)·h'                     dA = Δ·dΔA
 *   dΔ  = Σₙ dΔA·A + g·B·x                  dB = g·Δ·x
 *   dx  = Σₙ g·Δ·B + D·dRead
 *   g   ← exp(Δ·A)·g
 *
 * and dtRaw gets dΔ·softplus'(dtRaw + dtBias). What tokens, channels or rows share gets the sum of theirs.
 * The chain rule on Gu & Dao 2023 (arXiv 2312.00752), algorithm 2.
 * @throws ShapeError when shapes do not fit; ConfigError when chunkLen is not a whole number ≥ 1.
 */
export function selectiveScanGradient(
  input: SelectiveScanInput,
  dy: Tensor,
  options: RecurrenceGradientOptions = {},
): SelectiveScanGradient {
  const { x, dtRaw, dtBias, dtSoftplus = true, A, B, C, D, z } = input;
  const { dh, chunkLen = CHUNK_LEN } = options;
  const op = 'selectiveScanGradient';
  const { batch, seqlen, dInner, dState, nGroups } = checkSelectiveScan(op, input);
  checkShape(op, 'dy', dy, { batch, seqlen, dInner });
  if (dh) checkShape(op, 'dh', dh, { batch, dInner, dState });
  expectChunkLen(op, chunkLen);

  const gradient = {
    x: float64ZerosLike(x),
    dtRaw: float64ZerosLike(dtRaw),
    ...(dtBias && { dtBias: float64ZerosLike(dtBias) }),
    A: float64ZerosLike(A),
    B: float64ZerosLike(B),
    C: float64ZerosLike(C),
    ...(D && { D: float64ZerosLike(D) }),
    ...(z && { z: float64ZerosLike(z) }),
    h: startState(dh, [batch, dInner, dState], FLOAT64),
  };
  const rowsOfG = rowsOf(gradient.h); // from the last token's to the initial state's, in place
  const rowsOfH = rowsOf(startState(input.h, [batch, dInner, dState], FLOAT64));
  const [rowsOfA, rowsOfB, rowsOfC] = [rowsOf(A), rowsOf(B), rowsOf(C)];
  const [rowsOfDA, rowsOfDB, rowsOfDC] = [gradient.A, gradient.B, gradient.C].map(rowsOf);
  for (let b = 0; b < batch; b++) {
    for (let d = 0; d < dInner; d++) {
      const [a, dA, g] = [rowsOfA[d], rowsOfDA[d], rowsOfG[b * dInner + d]];
      const at = (t: number) => (b * seqlen + t) * dInner + d;
      const groupAt = (t: number) =>
        (b * seqlen + t) * nGroups + Math.floor(d / (dInner / nGroups));
      const dtAt = (t: number) => stepSize(dtRaw.data[at(t)], dtBias?.data[d], dtSoftplus, exact);

      const forward = (t: number, h: Vector) => {
        const group = groupAt(t);
        channelStep(exact, h, dtAt(t), x.data[at(t)], a, rowsOfB[group], rowsOfC[group]);
      };
      const back = (t: number, before: Vector, after: Vector) => {
        const i = at(t);
        const group = groupAt(t);
        const [rowOfB, rowOfC] = [rowsOfB[group], rowsOfC[group]];
        const [dB, dC] = [rowsOfDB[group], rowsOfDC[group]];
        const [dt, xNow] = [dtAt(t), x.data[i]];

        let read = 0;
        for (let n = 0; n < dState; n++) read += rowOfC[n] * after[n];
        const dOut = skipAndGateGradient(dy.data[i], read, xNow, D?.data[d], z?.data[i]);
        if (gradient.D) gradient.D.data[d] += dOut.D;
        if (gradient.z) gradient.z.data[i] = dOut.z;

        let dX = dOut.x;
        let dDt = 0;
        for (let n = 0; n < dState; n++) {
          dC[n] += dOut.read * after[n];
          g[n] += dOut.read * rowOfC[n];
          const decay = exp(dt * a[n]);
          const dLogDecay = g[n] * decay * before[n];
          dA[n] += dLogDecay * dt;
          dDt += dLogDecay * a[n] + g[n] * rowOfB[n] * xNow;
          dB[n] += g[n] * dt * xNow;
          dX += g[n] * dt * rowOfB[n];
          g[n] *= decay;
        }
        gradient.x.data[i] = dX;
        const dRaw = dDt * stepSizeSlope(dtRaw.data[i], dtBias?.data[d], dtSoftplus);
        gradient.dtRaw.data[i] = dRaw;
        if (gradient.dtBias) gradient.dtBias.data[d] += dRaw;
      };
      backwardsThroughTime(seqlen, chunkLen, rowsOfH[b * dInner + d], forward, back);
    }
  }
  return gradient;
}
