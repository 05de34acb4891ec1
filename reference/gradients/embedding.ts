/** The gradient of the embedding table. */

import { type EmbeddingInput, embedding } from '../embedding.ts';
import { checkShape, type Tensor } from '../tensor.ts';

/** Of the shape of the table. */
export interface EmbeddingGradient {
  weight: Tensor;
}

/**
 * For y[t] = weight[tokens[t]]: dweight[v] = Σ dy[t] over the places t where token v stands.
 *
 * @param dy - Gradient of y. Shape (tokens.length, dModel).
 * @throws ConfigError with code TokenRange for an id outside the table.
 * @throws ShapeError when the shapes do not fit.
 */
export function embeddingGradient(input: EmbeddingInput, dy: Tensor): EmbeddingGradient {
  embedding(input); // refuses wrong tokens and tables
  const { tokens, weight } = input;
  const dModel = weight.shape[1];
  checkShape('embeddingGradient', 'dy', dy, { tokens: tokens.length, dModel });

  const dWeight = new Float64Array(weight.data.length);
  for (let t = 0; t < tokens.length; t++) {
    for (let i = 0; i < dModel; i++) dWeight[tokens[t] * dModel + i] += dy.data[t * dModel + i];
  }
  return { weight: { data: dWeight, shape: weight.shape } };
}
