/** The selective scan written out as the matrix that it multiplies its input by. */

import { exp } from './elementary.ts';
import { checkSelectiveScan, type SelectiveScanInput } from './selectiveScan.ts';
import { stepSize } from './selectiveScanStep.ts';
import { rounding, rowsOf, type Tensor, zeros } from './tensor.ts';

export interface SelectiveScanMatrixOutput {
  /** Lower triangular: row t says what token t takes from each token s ≤ t. Shape (batch, dInner, seqlen, seqlen). */
  M: Tensor;
}

/**
 *   M[t, s] = Σₙ C[t, n]·exp(Σ_{s<k≤t} Δ[k]·A[n])·Δ[s]·B[s, n]  for s ≤ t, plus D where s = t
 *
 * so that y = M·x from a zero state, before the gate. It is the attention that Mamba never stores
 * (Ali, Zimerman & Wolf 2024, arXiv 2403.01590). Exponents are summed, not differences of running sums,
 * so none is positive and nothing overflows. `z` and `h` take no part.
 * @throws ShapeError when the inputs' shapes do not fit.
 */
export function selectiveScanMatrix(input: SelectiveScanInput): SelectiveScanMatrixOutput {
  const { x, dtRaw, dtBias, dtSoftplus = true, A, B, C, D } = input;
  const sizes = checkSelectiveScan('selectiveScanMatrix', input);
  const { batch, seqlen, dInner, dState, nGroups } = sizes;

  const fl = rounding(x.data);
  const M = zeros(batch * dInner * seqlen * seqlen, x.data);
  const [rowsOfA, rowsOfB, rowsOfC] = [rowsOf(A), rowsOf(B), rowsOf(C)];
  for (let b = 0; b < batch; b++) {
    for (let d = 0; d < dInner; d++) {
      const dtAt = (t: number) =>
        stepSize(dtRaw.data[(b * seqlen + t) * dInner + d], dtBias?.data[d], dtSoftplus, fl);
      const groupAt = (t: number) =>
        (b * seqlen + t) * nGroups + Math.floor(d / (dInner / nGroups));
      for (let s = 0; s < seqlen; s++) {
        let elapsed = 0; // Σ Δ[k] over s < k ≤ t
        for (let t = s; t < seqlen; t++) {
          if (t > s) elapsed = fl(elapsed + dtAt(t));
          let sum = 0;
          for (let n = 0; n < dState; n++) {
            const decay = fl(exp(fl(elapsed * rowsOfA[d][n])));
            const written = fl(dtAt(s) * rowsOfB[groupAt(s)][n]);
            sum = fl(sum + fl(rowsOfC[groupAt(t)][n] * fl(decay * written)));
          }
          if (t === s && D) sum = fl(sum + D.data[d]);
          M[((b * dInner + d) * seqlen + t) * seqlen + s] = sum;
        }
      }
    }
  }
  return { M: { data: M, shape: [batch, dInner, seqlen, seqlen] } };
}
