/** The gradient of Discrete Mamba-2's matrix. */

import { logSigmoid, sigmoid } from '../activations.ts';
import { checkDiscreteSsd, type DiscreteSsdInput } from '../discreteSsd.ts';
import { exp } from '../elementary.ts';
import { checkShape, exact, rowsOf, type Tensor } from '../tensor.ts';
import { float64ZerosLike } from './slopes.ts';

/** Each of the shape of the input of its name, in Float64; D only where it is there. x and h take no part. */
export interface DiscreteSsdMatrixGradient {
  a: Tensor;
  B: Tensor;
  C: Tensor;
  D?: Tensor;
}

/**
 * With ℓ = ln σ(−a), P[t, s] = exp(Σ_{s<k≤t} ℓ_k) and M[t, s] = (C_t·B_s)·P[t, s] + D where s = t, from dM
 *
 *   dC_t = Σ_{s≤t} dM[t, s]·P[t, s]·B_s           dD = Σ_t dM[t, t]
 *   dB_s = Σ_{t≥s} dM[t, s]·P[t, s]·C_t
 *   dℓ_k = Σ_{s<k≤t} dM[t, s]·(C_t·B_s)·P[t, s]   da = −dℓ·σ(a)
 *
 * dM above the diagonal, where M is 0, takes no part. The chain rule on Bick et al. 2024 (arXiv 2408.10189),
 * whose first stage is the gradient of a distance between M and a teacher's attention.
 * @throws ShapeError when shapes do not fit, or D is not one number per head.
 */
export function discreteSsdMatrixGradient(
  input: DiscreteSsdInput,
  dM: Tensor,
): DiscreteSsdMatrixGradient {
  const { a, B, C, D } = input;
  const op = 'discreteSsdMatrixGradient';
  const { batch, seqlen, nHeads, nGroups, dState } = checkDiscreteSsd(op, input);
  checkShape(op, 'dM', dM, { batch, nHeads, seqlen, 'seqlen (source)': seqlen });
  if (D) checkShape(op, 'D', D, { nHeads, 'one per head': 1 });

  const [dA, dB, dC] = [float64ZerosLike(a), float64ZerosLike(B), float64ZerosLike(C)];
  const dD = D && float64ZerosLike(D);
  const [rowsOfB, rowsOfC, rowsOfDM] = [rowsOf(B), rowsOf(C), rowsOf(dM)];
  const [rowsOfDB, rowsOfDC] = [rowsOf(dB), rowsOf(dC)];
  for (let b = 0; b < batch; b++) {
    for (let i = 0; i < nHeads; i++) {
      const headAt = (t: number) => (b * seqlen + t) * nHeads + i;
      const groupAt = (t: number) =>
        (b * seqlen + t) * nGroups + Math.floor(i / (nHeads / nGroups));
      const rowAt = (t: number) => rowsOfDM[(b * nHeads + i) * seqlen + t];
      const sums = new Float64Array(seqlen); // Σ_{s<k≤t} ℓ_k at t, for one s
      for (let s = 0; s < seqlen; s++) {
        sums[s] = 0;
        for (let t = s + 1; t < seqlen; t++) {
          sums[t] = sums[t - 1] + logSigmoid(-a.data[headAt(t)], exact);
        }
        if (dD) dD.data[i] += rowAt(s)[s];
        let dSums = 0; // of every sum that has ℓ_t in it: those at t and later
        for (let t = seqlen - 1; t >= s; t--) {
          const [rowOfC, rowOfB] = [rowsOfC[groupAt(t)], rowsOfB[groupAt(s)]];
          const dProduct = rowAt(t)[s] * exp(sums[t]); // of C_t·B_s
          let product = 0;
          for (let n = 0; n < dState; n++) {
            product += rowOfC[n] * rowOfB[n];
            rowsOfDC[groupAt(t)][n] += dProduct * rowOfB[n];
            rowsOfDB[groupAt(s)][n] += dProduct * rowOfC[n];
          }
          dSums += dProduct * product;
          if (t > s) dA.data[headAt(t)] -= dSums * sigmoid(a.data[headAt(t)], exact);
        }
      }
    }
  }
  return { a: dA, B: dB, C: dC, ...(dD && { D: dD }) };
}
