/** Mamba-2's recurrence (state-space duality) over a sequence, token by token. */

import { exp } from './elementary.ts';
import { startState } from './selectiveScan.ts';
import { stepSize } from './selectiveScanStep.ts';
import { headStep, skipAndGateHead } from './ssdStep.ts';
import {
  axisOf,
  expectDivides,
  mainInput,
  reshape,
  rounding,
  rowsOf,
  type Tensor,
  zeros,
} from './tensor.ts';

export interface SsdInput {
  /** Input to the SSM. Shape (batch, seqlen, nHeads, headDim). */
  x: Tensor;
  /** Step size before bias and softplus. Shape (batch, seqlen, nHeads). */
  dtRaw: Tensor;
  /** Added to dtRaw. Shape (nHeads). */
  dtBias?: Tensor;
  /** Whether Δ = softplus(dtRaw + dtBias), or the sum itself. Default true. */
  dtSoftplus?: boolean;
  /** Δ is clamped to this range, after softplus. Default: not clamped. */
  dtLimit?: readonly [min: number, max: number];
  /** Decay rate of each head, < 0, per unit of Δ. Shape (nHeads). */
  A: Tensor;
  /** What is written. Head i uses group ⌊i·nGroups/nHeads⌋. Shape (batch, seqlen, nGroups, dState). */
  B: Tensor;
  /** What is read. Shape (batch, seqlen, nGroups, dState). */
  C: Tensor;
  /** Skip connection, one per head or one per channel. Shape (nHeads, 1) or (nHeads, headDim). */
  D?: Tensor;
  /** Gate: y is multiplied by silu(z). Shape (batch, seqlen, nHeads, headDim). */
  z?: Tensor;
  /** State before the first token, zero when absent. Shape (batch, nHeads, headDim, dState). Not modified. */
  h?: Tensor;
}

export interface SsdOutput {
  /** Shape (batch, seqlen, nHeads, headDim). */
  y: Tensor;
  /** State after the last token. Shape (batch, nHeads, headDim, dState). */
  h: Tensor;
}

/**
 * For each token in order, with Δ = clamp(softplus(dtRaw + dtBias), dtLimit):
 *
 *   h[p, n] ← exp(Δ·A)·h[p, n] + Δ·x[p]·B[n]
 *   y[p] = Σₙ C[n]·h[p, n] + D·x[p], then y·silu(z)
 *
 * Dao & Gu 2024 (arXiv 2405.21060). mamba_ssm's `Mamba2.step` forgets dtLimit; here all forms honour it.
 * @throws ShapeError when the inputs' shapes do not fit, or nGroups does not divide nHeads.
 */
export function ssd(input: SsdInput): SsdOutput {
  const { x, dtRaw, dtBias, dtSoftplus = true, dtLimit, A, B, C, D, z } = input;
  const { batch, seqlen, nHeads, headDim, nGroups, dState } = checkSsd('ssd', input);

  const fl = rounding(x.data);
  const y: Tensor = { data: zeros(x.data.length, x.data), shape: x.shape };
  const h = startState(input.h, [batch, nHeads, headDim, dState], x.data);
  const states = rowsOf(reshape(h, batch * nHeads, headDim * dState));
  const [rowsOfX, rowsOfY, rowsOfB, rowsOfC] = [rowsOf(x), rowsOf(y), rowsOf(B), rowsOf(C)];
  const rowsOfZ = z && rowsOf(z);
  for (let b = 0; b < batch; b++) {
    for (let t = 0; t < seqlen; t++) {
      const token = b * seqlen + t;
      for (let i = 0; i < nHeads; i++) {
        const head = token * nHeads + i;
        const group = token * nGroups + Math.floor(i / (nHeads / nGroups));
        const dt = stepSize(dtRaw.data[head], dtBias?.data[i], dtSoftplus, fl, dtLimit);
        const decay = fl(exp(fl(dt * A.data[i])));
        const state = states[b * nHeads + i];
        headStep(
          fl,
          state,
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
  }
  return { y, h };
}

/** Checks the inputs that all forms of the recurrence share and returns the sizes they imply. */
export function checkSsd(op: string, input: SsdInput) {
  const axes = ['batch', 'seqlen', 'nHeads', 'headDim'];
  const { sizes, check, optional } = mainInput(op, 'x', input.x, axes);
  const [batch, seqlen, nHeads, headDim] = sizes;
  const nGroups = axisOf(input.B, 2);
  const dState = axisOf(input.B, 3);
  check('dtRaw', input.dtRaw, { batch, seqlen, nHeads });
  optional('dtBias', input.dtBias, { nHeads });
  check('A', input.A, { nHeads });
  check('B', input.B, { batch, seqlen, nGroups, dState });
  check('C', input.C, { batch, seqlen, nGroups, dState });
  optional('D', input.D, { nHeads, 'headDim or 1': axisOf(input.D, 1) === 1 ? 1 : headDim });
  optional('z', input.z, { batch, seqlen, nHeads, headDim });
  optional('h', input.h, { batch, nHeads, headDim, dState });
  expectDivides(op, { nGroups }, { nHeads });
  return { batch, seqlen, nHeads, headDim, nGroups, dState };
}
