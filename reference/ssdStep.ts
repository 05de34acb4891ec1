/** Mamba-2's recurrence for one token: one decay for a whole head, shared by all its channels. */

import { exp } from './elementary.ts';
import { skipAndGate, stepSize } from './selectiveScanStep.ts';
import {
  axisOf,
  copyAs,
  expectDivides,
  mainInput,
  type Rounding,
  reshape,
  rounding,
  rowsOf,
  type Tensor,
  type Vector,
  zeros,
} from './tensor.ts';

export interface SsdStepInput {
  /** The token's input to the SSM. Shape (batch, nHeads, headDim). */
  x: Tensor;
  /** Step size before bias and softplus. Shape (batch, nHeads). */
  dtRaw: Tensor;
  /** Added to dtRaw. Shape (nHeads). */
  dtBias?: Tensor;
  /** Whether Δ = softplus(dtRaw + dtBias), or the sum itself. Default true. */
  dtSoftplus?: boolean;
  /** Δ is clamped to this range, after softplus. Default: not clamped. */
  dtLimit?: readonly [min: number, max: number];
  /** Decay rate of each head, < 0, per unit of Δ. Shape (nHeads). */
  A: Tensor;
  /** What is written. Consecutive heads share a group. Shape (batch, nGroups, dState). */
  B: Tensor;
  /** What is read. Shape (batch, nGroups, dState). */
  C: Tensor;
  /** Skip connection, one per head or one per channel. Shape (nHeads, 1) or (nHeads, headDim). */
  D?: Tensor;
  /** Gate: y is multiplied by silu(z). Shape (batch, nHeads, headDim). */
  z?: Tensor;
  /** State before the token. Shape (batch, nHeads, headDim, dState). Not modified. */
  h: Tensor;
}

export interface SsdStepOutput {
  /** Shape (batch, nHeads, headDim). */
  y: Tensor;
  /** State after the token. Shape (batch, nHeads, headDim, dState). */
  h: Tensor;
}

/**
 *   Δ = clamp(softplus(dtRaw + dtBias), dtLimit)
 *   h[p, n] ← exp(Δ·A)·h[p, n] + Δ·x[p]·B[n]
 *   y[p] = Σₙ C[n]·h[p, n] + D·x[p], then y·silu(z)
 *
 * Dao & Gu 2024 (arXiv 2405.21060), section 2: Mamba-1 with one A per head instead of one per state.
 * @throws ShapeError when the inputs' shapes do not fit, or nGroups does not divide nHeads.
 */
export function ssdStep(input: SsdStepInput): SsdStepOutput {
  const { x, dtRaw, dtBias, dtSoftplus = true, dtLimit, A, B, C, D, z } = input;
  const { sizes, check, optional } = mainInput('ssdStep', 'x', x, ['batch', 'nHeads', 'headDim']);
  const [batch, nHeads, headDim] = sizes;
  const nGroups = axisOf(B, 1);
  const dState = axisOf(B, 2);
  check('dtRaw', dtRaw, { batch, nHeads });
  optional('dtBias', dtBias, { nHeads });
  check('A', A, { nHeads });
  check('B', B, { batch, nGroups, dState });
  check('C', C, { batch, nGroups, dState });
  optional('D', D, { nHeads, 'headDim or 1': axisOf(D, 1) === 1 ? 1 : headDim });
  optional('z', z, { batch, nHeads, headDim });
  check('h', input.h, { batch, nHeads, headDim, dState });
  expectDivides('ssdStep', { nGroups }, { nHeads });

  const fl = rounding(x.data);
  const y: Tensor = { data: zeros(x.data.length, x.data), shape: x.shape };
  const h: Tensor = { data: copyAs(input.h.data, x.data), shape: input.h.shape };
  const states = rowsOf(reshape(h, batch * nHeads, headDim * dState));
  const [rowsOfX, rowsOfY, rowsOfB, rowsOfC] = [rowsOf(x), rowsOf(y), rowsOf(B), rowsOf(C)];
  const rowsOfZ = z && rowsOf(z);
  for (let b = 0; b < batch; b++) {
    for (let i = 0; i < nHeads; i++) {
      const head = b * nHeads + i;
      const group = b * nGroups + Math.floor(i / (nHeads / nGroups));
      const dt = stepSize(dtRaw.data[head], dtBias?.data[i], dtSoftplus, fl, dtLimit);
      const decay = fl(exp(fl(dt * A.data[i])));
      headStep(
        fl,
        states[head],
        decay,
        dt,
        rowsOfX[head],
        rowsOfB[group],
        rowsOfC[group],
        rowsOfY[head],
      );
      skipAndGateHead(fl, rowsOfY[head], rowsOfX[head], D, i, rowsOfZ?.[head]);
    }
  }
  return { y, h };
}

/**
 * One head, one token: h[p, n] ← decay·h[p, n] + dt·x[p]·B[n], y[p] = Σₙ C[n]·h[p, n].
 * h holds headDim rows of dState states and is updated in place; y is written.
 */
export function headStep(
  fl: Rounding,
  h: Vector,
  decay: number,
  dt: number,
  x: Vector,
  B: Vector,
  C: Vector,
  y: Vector,
): void {
  const dState = B.length;
  for (let p = 0; p < x.length; p++) {
    const scaled = fl(dt * x[p]);
    let read = 0;
    for (let n = 0; n < dState; n++) {
      const i = p * dState + n;
      h[i] = fl(fl(decay * h[i]) + fl(scaled * B[n]));
      read = fl(read + fl(C[n] * h[i]));
    }
    y[p] = read;
  }
}

/** y ← (y + D·x)·silu(z) for the channels of head i, with D and z optional. */
export function skipAndGateHead(
  fl: Rounding,
  y: Vector,
  x: Vector,
  D: Tensor | undefined,
  i: number,
  z: Vector | undefined,
): void {
  const perHead = D?.shape[1] ?? 0;
  for (let p = 0; p < y.length; p++) {
    y[p] = skipAndGate(y[p], x[p], D?.data[i * perHead + (perHead === 1 ? 0 : p)], z?.[p], fl);
  }
}
