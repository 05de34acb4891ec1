/** The gradient of softmax attention. */

import { softmaxInto } from '../activations.ts';
import type { AttentionInput } from '../attention.ts';
import { axisOf, expectDivides, mainInput, type Tensor } from '../tensor.ts';

/** Each of the shape of the input that it belongs to. */
export interface AttentionGradient {
  q: Tensor;
  keys: Tensor;
  values: Tensor;
}

/**
 * For y_t = Σ_j P[t, j]·v_j with P[t, :] = softmax(scores), score = scale·q_t·k_j, of each query head:
 *
 *   dP[t, j] = dy_t·v_j,   dscore[t, j] = P[t, j]·(dP[t, j] − Σ_k P[t, k]·dP[t, k])
 *   dq_t = scale·Σ_j dscore[t, j]·k_j,   dk_j = scale·Σ_t dscore[t, j]·q_t,   dv_j = Σ_t P[t, j]·dy_t
 *
 * Sums over j and k go over the keys that t may see. Keys and values get the sum over the query heads that
 * share them (Dao et al. 2022, arXiv 2205.14135, appendix B.2).
 *
 * @param dy - Gradient of y. Shape (batch, seqlen, nHeads, headDim).
 * @throws ShapeError when the shapes do not fit, or nKvHeads does not divide nHeads.
 */
export function attentionGradient(input: AttentionInput, dy: Tensor): AttentionGradient {
  const { q, keys, values, isCausal = true } = input;
  const axes = ['batch', 'seqlen', 'nHeads', 'headDim'];
  const { sizes, check } = mainInput('attentionGradient', 'q', q, axes);
  const [batch, seqlen, nHeads, headDim] = sizes;
  const length = axisOf(keys, 1);
  const nKvHeads = axisOf(keys, 2);
  check('keys', keys, { batch, length, nKvHeads, headDim });
  check('values', values, { batch, length, nKvHeads, headDim });
  check('dy', dy, { batch, seqlen, nHeads, headDim });
  expectDivides('attentionGradient', { nKvHeads }, { nHeads });

  const scale = input.scale ?? 1 / Math.sqrt(headDim);
  const dq = new Float64Array(q.data.length);
  const dKeys = new Float64Array(keys.data.length);
  const dValues = new Float64Array(values.data.length);
  const P = new Float64Array(length);
  const dP = new Float64Array(length);
  for (let b = 0; b < batch; b++) {
    for (let t = 0; t < seqlen; t++) {
      const seen = isCausal ? Math.max(t + 1 + length - seqlen, 0) : length;
      for (let i = 0; i < nHeads; i++) {
        const kvHead = Math.floor(i / (nHeads / nKvHeads));
        const at = ((b * seqlen + t) * nHeads + i) * headDim;
        const keyAt = (j: number) => ((b * length + j) * nKvHeads + kvHead) * headDim;
        for (let j = 0; j < seen; j++) {
          const from = keyAt(j);
          P[j] = 0;
          dP[j] = 0;
          for (let p = 0; p < headDim; p++) {
            P[j] += scale * q.data[at + p] * keys.data[from + p];
            dP[j] += dy.data[at + p] * values.data[from + p];
          }
        }
        softmaxInto(P, P, 0, seen);
        let mean = 0;
        for (let j = 0; j < seen; j++) mean += P[j] * dP[j];
        for (let j = 0; j < seen; j++) {
          const dScore = P[j] * (dP[j] - mean);
          const from = keyAt(j);
          for (let p = 0; p < headDim; p++) {
            dq[at + p] += scale * dScore * keys.data[from + p];
            dKeys[from + p] += scale * dScore * q.data[at + p];
            dValues[from + p] += P[j] * dy.data[at + p];
          }
        }
      }
    }
  }
  return {
    q: { data: dq, shape: q.shape },
    keys: { data: dKeys, shape: keys.shape },
    values: { data: dValues, shape: values.shape },
  };
}
