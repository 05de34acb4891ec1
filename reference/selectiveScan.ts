/** Mamba-1's selective scan over a sequence, token by token. */

import { channelStep, skipAndGate, stepSize } from './selectiveScanStep.ts';
import {
  axisOf,
  copyAs,
  expectDivides,
  mainInput,
  rounding,
  rowsOf,
  sizeOf,
  type Tensor,
  type Vector,
  zeros,
} from './tensor.ts';

export interface SelectiveScanInput {
  /** Input to the SSM, after convolution and silu. Shape (batch, seqlen, dInner). */
  x: Tensor;
  /** Step size before bias and softplus. Shape (batch, seqlen, dInner). */
  dtRaw: Tensor;
  /** Added to dtRaw. Shape (dInner). */
  dtBias?: Tensor;
  /** Whether Δ = softplus(dtRaw + dtBias), or the sum itself. Default true. */
  dtSoftplus?: boolean;
  /** Decay rate of each state, < 0, per unit of Δ. Shape (dInner, dState). */
  A: Tensor;
  /** What is written. Channel d uses group ⌊d·nGroups/dInner⌋. Shape (batch, seqlen, nGroups, dState). */
  B: Tensor;
  /** What is read. Shape (batch, seqlen, nGroups, dState). */
  C: Tensor;
  /** Skip connection. Shape (dInner). */
  D?: Tensor;
  /** Gate: y is multiplied by silu(z). Shape (batch, seqlen, dInner). */
  z?: Tensor;
  /** State before the first token, zero when absent. Shape (batch, dInner, dState). Not modified. */
  h?: Tensor;
}

export interface SelectiveScanOutput {
  /** Shape (batch, seqlen, dInner). */
  y: Tensor;
  /** State after the last token. Shape (batch, dInner, dState). */
  h: Tensor;
}

/**
 * For each token in order, with Δ = softplus(dtRaw + dtBias):
 *
 *   h ← exp(Δ·A)·h + Δ·B·x
 *   y = C·h + D·x, then y·silu(z)
 *
 * Gu & Dao 2023 (arXiv 2312.00752), algorithm 2. mamba_ssm's selective_scan calls the input u and the
 * state x; we keep the paper's letters.
 * @throws ShapeError when the inputs' shapes do not fit, or nGroups does not divide dInner.
 */
export function selectiveScan(input: SelectiveScanInput): SelectiveScanOutput {
  const { x, dtRaw, dtBias, dtSoftplus = true, A, B, C, D, z } = input;
  const { batch, seqlen, dInner, dState, nGroups } = checkSelectiveScan('selectiveScan', input);

  const fl = rounding(x.data);
  const y = zeros(x.data.length, x.data);
  const h = startState(input.h, [batch, dInner, dState], x.data);
  const [rowsOfH, rowsOfA, rowsOfB, rowsOfC] = [rowsOf(h), rowsOf(A), rowsOf(B), rowsOf(C)];
  for (let b = 0; b < batch; b++) {
    for (let t = 0; t < seqlen; t++) {
      const token = b * seqlen + t;
      for (let d = 0; d < dInner; d++) {
        const i = token * dInner + d;
        const group = token * nGroups + Math.floor(d / (dInner / nGroups));
        const dt = stepSize(dtRaw.data[i], dtBias?.data[d], dtSoftplus, fl);
        const read = channelStep(
          fl,
          rowsOfH[b * dInner + d],
          dt,
          x.data[i],
          rowsOfA[d],
          rowsOfB[group],
          rowsOfC[group],
        );
        y[i] = skipAndGate(read, x.data[i], D?.data[d], z?.data[i], fl);
      }
    }
  }
  return { y: { data: y, shape: x.shape }, h };
}

/** A copy of the state that a caller brought, or zeros, in the precision of `like`. */
export function startState(h: Tensor | undefined, shape: readonly number[], like: Vector): Tensor {
  return { data: h ? copyAs(h.data, like) : zeros(sizeOf(shape), like), shape };
}

/** Checks the inputs that all forms of the scan share and returns the sizes they imply. */
export function checkSelectiveScan(op: string, input: SelectiveScanInput) {
  const { sizes, check, optional } = mainInput(op, 'x', input.x, ['batch', 'seqlen', 'dInner']);
  const [batch, seqlen, dInner] = sizes;
  const dState = axisOf(input.A, 1);
  const nGroups = axisOf(input.B, 2);
  check('dtRaw', input.dtRaw, { batch, seqlen, dInner });
  optional('dtBias', input.dtBias, { dInner });
  check('A', input.A, { dInner, dState });
  check('B', input.B, { batch, seqlen, nGroups, dState });
  check('C', input.C, { batch, seqlen, nGroups, dState });
  optional('D', input.D, { dInner });
  optional('z', input.z, { batch, seqlen, dInner });
  optional('h', input.h, { batch, dInner, dState });
  expectDivides(op, { nGroups }, { dInner });
  return { batch, seqlen, dInner, dState, nGroups };
}
