/** Softmax attention of one new token over the key/value cache. */

import { attention } from './attention.ts';
import { mainInput, reshape, type Tensor } from './tensor.ts';

export interface AttentionStepInput {
  /** The token's queries, rotated already. Shape (batch, nHeads, headDim). */
  q: Tensor;
  /** The key cache, the token's own key last. Shape (batch, length, nKvHeads, headDim). */
  keys: Tensor;
  /** The value cache, the token's own value last. Shape (batch, length, nKvHeads, headDim). */
  values: Tensor;
  /** Multiplies q·k. Default 1/√headDim. */
  scale?: number;
  /** Whether to return the weights as well. Default false. */
  withWeights?: boolean;
}

export interface AttentionStepOutput {
  /** Shape (batch, nHeads, headDim). */
  y: Tensor;
  /** How much the token takes from each cached token; sums to 1. Shape (batch, nHeads, length). */
  weights?: Tensor;
}

/**
 * y = Σ_j softmax(scale·q·k_j)·v_j over the whole cache.
 * @throws ShapeError when the inputs' shapes do not fit, or nKvHeads does not divide nHeads.
 */
export function attentionStep(input: AttentionStepInput): AttentionStepOutput {
  const { sizes } = mainInput('attentionStep', 'q', input.q, ['batch', 'nHeads', 'headDim']);
  const [batch, nHeads, headDim] = sizes;
  const q = reshape(input.q, batch, 1, nHeads, headDim);
  const { y, weights } = attention({ ...input, q });
  return {
    y: reshape(y, batch, nHeads, headDim),
    ...(weights && { weights: reshape(weights, batch, nHeads, weights.shape[3]) }),
  };
}
