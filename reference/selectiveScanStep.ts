/** Mamba-1's recurrence for one token: here the whole idea fits in the ten lines of {@link channelStep}. */

import { silu, softplus } from './activations.ts';
import { exp } from './elementary.ts';
import {
  axisOf,
  copyAs,
  expectDivides,
  mainInput,
  type Rounding,
  rounding,
  rowsOf,
  type Tensor,
  type Vector,
  zeros,
} from './tensor.ts';

export interface SelectiveScanStepInput {
  /** The token's input to the SSM, after convolution and silu. Shape (batch, dInner). */
  x: Tensor;
  /** Step size before bias and softplus. Shape (batch, dInner). */
  dtRaw: Tensor;
  /** Added to dtRaw. Shape (dInner). */
  dtBias?: Tensor;
  /** Whether Δ = softplus(dtRaw + dtBias), or the sum itself. Default true. */
  dtSoftplus?: boolean;
  /** Decay rate of each state, < 0, per unit of Δ. Shape (dInner, dState). */
  A: Tensor;
  /** What is written into the state. Consecutive channels share a group. Shape (batch, nGroups, dState). */
  B: Tensor;
  /** What is read from the state. Shape (batch, nGroups, dState). */
  C: Tensor;
  /** Skip connection. Shape (dInner). */
  D?: Tensor;
  /** Gate: y is multiplied by silu(z). Shape (batch, dInner). */
  z?: Tensor;
  /** State before the token. Shape (batch, dInner, dState). Not modified. */
  h: Tensor;
}

export interface SelectiveScanStepOutput {
  /** Shape (batch, dInner). */
  y: Tensor;
  /** State after the token. Shape (batch, dInner, dState). */
  h: Tensor;
}

/**
 *   Δ = softplus(dtRaw + dtBias)
 *   h ← exp(Δ·A)·h + Δ·B·x           forget by exp(Δ·A), write Δ·B·x
 *   y = C·h + D·x, then y·silu(z)    read along C
 *
 * Gu & Dao 2023 (arXiv 2312.00752), section 3.2: A is discretised exactly, B by Euler's rule.
 * @throws ShapeError when the inputs' shapes do not fit, or nGroups does not divide dInner.
 */
export function selectiveScanStep(input: SelectiveScanStepInput): SelectiveScanStepOutput {
  const { x, dtRaw, dtBias, dtSoftplus = true, A, B, C, D, z } = input;
  const { sizes, check, optional } = mainInput('selectiveScanStep', 'x', x, ['batch', 'dInner']);
  const [batch, dInner] = sizes;
  const dState = axisOf(A, 1);
  const nGroups = axisOf(B, 1);
  check('dtRaw', dtRaw, { batch, dInner });
  optional('dtBias', dtBias, { dInner });
  check('A', A, { dInner, dState });
  check('B', B, { batch, nGroups, dState });
  check('C', C, { batch, nGroups, dState });
  optional('D', D, { dInner });
  optional('z', z, { batch, dInner });
  check('h', input.h, { batch, dInner, dState });
  expectDivides('selectiveScanStep', { nGroups }, { dInner });

  const fl = rounding(x.data);
  const y = zeros(batch * dInner, x.data);
  const h: Tensor = { data: copyAs(input.h.data, x.data), shape: input.h.shape };
  const [rowsOfH, rowsOfA, rowsOfB, rowsOfC] = [rowsOf(h), rowsOf(A), rowsOf(B), rowsOf(C)];
  for (let b = 0; b < batch; b++) {
    for (let d = 0; d < dInner; d++) {
      const i = b * dInner + d;
      const group = b * nGroups + Math.floor(d / (dInner / nGroups));
      const dt = stepSize(dtRaw.data[i], dtBias?.data[d], dtSoftplus, fl);
      const read = channelStep(
        fl,
        rowsOfH[i],
        dt,
        x.data[i],
        rowsOfA[d],
        rowsOfB[group],
        rowsOfC[group],
      );
      y[i] = skipAndGate(read, x.data[i], D?.data[d], z?.data[i], fl);
    }
  }
  return { y: { data: y, shape: x.shape }, h };
}

/**
 * One channel, one token: every state of the channel forgets, then takes in Δ·B·x; the sum of the states
 * along C is returned. h, A, B and C hold one number per state; h is updated in place.
 */
export function channelStep(
  fl: Rounding,
  h: Vector,
  dt: number,
  x: number,
  A: Vector,
  B: Vector,
  C: Vector,
): number {
  let y = 0;
  for (let n = 0; n < h.length; n++) {
    const decay = fl(exp(fl(dt * A[n])));
    const written = fl(fl(dt * B[n]) * x);
    h[n] = fl(fl(decay * h[n]) + written);
    y = fl(y + fl(C[n] * h[n]));
  }
  return y;
}

/** Δ = softplus(dtRaw + dtBias), clamped to dtLimit where a model has one (Mamba-2), in time steps. */
export function stepSize(
  dtRaw: number,
  dtBias: number | undefined,
  dtSoftplus: boolean,
  fl: Rounding,
  dtLimit?: readonly [min: number, max: number],
): number {
  const sum = dtBias === undefined ? dtRaw : fl(dtRaw + dtBias);
  const dt = dtSoftplus ? softplus(sum, fl) : sum;
  if (!dtLimit) return dt;
  return dt < dtLimit[0] ? fl(dtLimit[0]) : dt > dtLimit[1] ? fl(dtLimit[1]) : dt;
}

/** (y + D·x)·silu(z), with D and z optional: what follows the read of every recurrence. */
export function skipAndGate(
  y: number,
  x: number,
  D: number | undefined,
  z: number | undefined,
  fl: Rounding,
): number {
  const skipped = D === undefined ? y : fl(y + fl(D * x));
  return z === undefined ? skipped : fl(skipped * silu(z, fl));
}
