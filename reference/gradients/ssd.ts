/** The gradient of Mamba-2's recurrence. */

import { exp } from '../elementary.ts';
import { stepSize } from '../selectiveScanStep.ts';
import { checkSsd, type SsdInput } from '../ssd.ts';
import { checkShape, exact, expectChunkLen, type Tensor } from '../tensor.ts';
import type { RecurrenceGradientOptions } from './backwardsThroughTime.ts';
import { headRecurrenceGradient } from './headRecurrence.ts';
import { float64ZerosLike, stepSizeSlope } from './slopes.ts';

/** Each of the shape of the input of its name, in Float64; of an optional input only where it is there. */
export interface SsdGradient {
  x: Tensor;
  dtRaw: Tensor;
  dtBias?: Tensor;
  A: Tensor;
  B: Tensor;
  C: Tensor;
  D?: Tensor;
  z?: Tensor;
  /** Of the state before the first token, also where that was not given. Shape (batch, nHeads, headDim, dState). */
  h: Tensor;
}

/**
 * The shared recurrence with decay = exp(Δ·A) and dt = Δ, and from what comes back for those two
 *
 *   dΔA = ddecay·exp(Δ·A)      dA = Δ·dΔA      dΔ = A·dΔA + ddt
 *
 * dtRaw and dtBias get dΔ·softplus'(dtRaw + dtBias), and nothing where dtLimit holds Δ at one of its ends.
 * The chain rule on Dao & Gu 2024 (arXiv 2405.21060), the recurrence of ssd.
 * @throws ShapeError when shapes do not fit; ConfigError when chunkLen is not a whole number ≥ 1.
 */
export function ssdGradient(
  input: SsdInput,
  dy: Tensor,
  options: RecurrenceGradientOptions = {},
): SsdGradient {
  const { x, dtRaw, dtBias, dtSoftplus = true, dtLimit, A, B, C, D, z, h } = input;
  const op = 'ssdGradient';
  const { batch, seqlen, nHeads, headDim, dState } = checkSsd(op, input);
  checkShape(op, 'dy', dy, { batch, seqlen, nHeads, headDim });
  if (options.dh) checkShape(op, 'dh', options.dh, { batch, nHeads, headDim, dState });
  expectChunkLen(op, options.chunkLen ?? 1);

  const [dt, decay] = [float64ZerosLike(dtRaw), float64ZerosLike(dtRaw)];
  for (let head = 0; head < dt.data.length; head++) {
    const i = head % nHeads;
    dt.data[head] = stepSize(dtRaw.data[head], dtBias?.data[i], dtSoftplus, exact, dtLimit);
    decay.data[head] = exp(dt.data[head] * A.data[i]);
  }
  const back = headRecurrenceGradient({ x, decay, dt, B, C, D, z, h }, dy, options);

  const [dRaw, dA] = [float64ZerosLike(dtRaw), float64ZerosLike(A)];
  const dBias = dtBias && float64ZerosLike(dtBias);
  for (let head = 0; head < dt.data.length; head++) {
    const i = head % nHeads;
    const dLogDecay = back.decay.data[head] * decay.data[head];
    const slope = stepSizeSlope(dtRaw.data[head], dtBias?.data[i], dtSoftplus, dtLimit);
    dA.data[i] += dLogDecay * dt.data[head];
    dRaw.data[head] = (dLogDecay * A.data[i] + back.dt.data[head]) * slope;
    if (dBias) dBias.data[i] += dRaw.data[head];
  }
  return {
    x: back.x,
    dtRaw: dRaw,
    ...(dBias && { dtBias: dBias }),
    A: dA,
    B: back.B,
    C: back.C,
    ...(back.D && { D: back.D }),
    ...(back.z && { z: back.z }),
    h: back.h,
  };
}
