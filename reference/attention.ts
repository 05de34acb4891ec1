/** Softmax attention with grouped key/value heads. */

import { softmaxInto } from './activations.ts';
import { axisOf, expectDivides, mainInput, rounding, type Tensor, zeros } from './tensor.ts';

export interface AttentionInput {
  /** Queries, rotated already. Shape (batch, seqlen, nHeads, headDim). */
  q: Tensor;
  /** Keys of all tokens so far, rotated already, the newest last. Shape (batch, length, nKvHeads, headDim). */
  keys: Tensor;
  /** Values of the same tokens. Shape (batch, length, nKvHeads, headDim). */
  values: Tensor;
  /** Whether a query sees only keys up to its own position. Default true. */
  isCausal?: boolean;
  /** Multiplies q·k. Default 1/√headDim. */
  scale?: number;
  /** Whether to return the weights as well, which take seqlen·length numbers a head. Default false. */
  withWeights?: boolean;
}

export interface AttentionOutput {
  /** Shape (batch, seqlen, nHeads, headDim). */
  y: Tensor;
  /** Row t: how much query t takes from each key; sums to 1. Shape (batch, nHeads, seqlen, length). */
  weights?: Tensor;
}

/**
 *   weights[t, :] = softmax(scale·q_t·k_j over the keys j that t may see),   y_t = Σ_j weights[t, j]·v_j
 *
 * Query head i uses key/value head ⌊i·nKvHeads/nHeads⌋ (grouped-query attention, Ainslie et al. 2023,
 * arXiv 2305.13245). With fewer queries than keys the queries are the last tokens: query t sees the keys
 * j ≤ t + length − seqlen (Vaswani et al. 2017, arXiv 1706.03762, equation 1).
 * @throws ShapeError when the inputs' shapes do not fit, or nKvHeads does not divide nHeads.
 */
export function attention(input: AttentionInput): AttentionOutput {
  const { q, keys, values, isCausal = true, withWeights = false } = input;
  const axes = ['batch', 'seqlen', 'nHeads', 'headDim'];
  const { sizes, check } = mainInput('attention', 'q', q, axes);
  const [batch, seqlen, nHeads, headDim] = sizes;
  const length = axisOf(keys, 1);
  const nKvHeads = axisOf(keys, 2);
  check('keys', keys, { batch, length, nKvHeads, headDim });
  check('values', values, { batch, length, nKvHeads, headDim });
  expectDivides('attention', { nKvHeads }, { nHeads });

  const fl = rounding(q.data);
  const scale = fl(input.scale ?? 1 / Math.sqrt(headDim));
  const allWeights = withWeights && zeros(batch * nHeads * seqlen * length, q.data);
  const weights = zeros(length, q.data);
  const y = zeros(q.data.length, q.data);
  for (let b = 0; b < batch; b++) {
    for (let t = 0; t < seqlen; t++) {
      const seen = isCausal ? Math.max(t + 1 + length - seqlen, 0) : length;
      for (let i = 0; i < nHeads; i++) {
        const kvHead = Math.floor(i / (nHeads / nKvHeads));
        const at = ((b * seqlen + t) * nHeads + i) * headDim;
        for (let j = 0; j < seen; j++) {
          const keyAt = ((b * length + j) * nKvHeads + kvHead) * headDim;
          let sum = 0;
          for (let p = 0; p < headDim; p++) {
            sum = fl(sum + fl(q.data[at + p] * keys.data[keyAt + p]));
          }
          weights[j] = fl(scale * sum);
        }
        softmaxInto(weights, weights, 0, seen);
        if (allWeights) {
          allWeights.set(weights.subarray(0, seen), ((b * nHeads + i) * seqlen + t) * length);
        }
        for (let j = 0; j < seen; j++) {
          const valueAt = ((b * length + j) * nKvHeads + kvHead) * headDim;
          for (let p = 0; p < headDim; p++) {
            y[at + p] = fl(y[at + p] + fl(weights[j] * values.data[valueAt + p]));
          }
        }
      }
    }
  }
  return {
    y: { data: y, shape: q.shape },
    ...(allWeights && { weights: { data: allWeights, shape: [batch, nHeads, seqlen, length] } }),
  };
}
