/** The table that turns token ids into vectors. */

import { ConfigError } from './errors.ts';
import { mainInput, type Precision, type Tensor, toPrecision, zeros } from './tensor.ts';

export interface EmbeddingInput {
  /** Token ids, integers in [0, vocabSize). */
  tokens: readonly number[] | Int32Array;
  /** Row t is the vector of token t. Shape (vocabSize, dModel). */
  weight: Tensor;
  /** Precision of the output, and so of everything computed from it. Default float64. */
  precision?: Precision;
}

export interface EmbeddingOutput {
  /** Shape (tokens.length, dModel). */
  y: Tensor;
}

/**
 * y[t] = weight[tokens[t]].
 * @throws ConfigError with code TokenRange for an id outside the table.
 * @throws ShapeError when weight is not a table.
 */
export function embedding({ tokens, weight, precision }: EmbeddingInput): EmbeddingOutput {
  const [vocabSize, dModel] = mainInput('embedding', 'weight', weight, [
    'vocabSize',
    'dModel',
  ]).sizes;
  const y = zeros(tokens.length * dModel, weight.data);
  for (let t = 0; t < tokens.length; t++) {
    const token = tokens[t];
    if (!Number.isInteger(token) || token < 0 || token >= vocabSize) {
      throw new ConfigError(
        `token: expected an id in [0, ${vocabSize}), got ${token}; is the tokenizer from the same model?`,
        'TokenRange',
      );
    }
    y.set(weight.data.subarray(token * dModel, (token + 1) * dModel), t * dModel);
  }
  return { y: toPrecision({ data: y, shape: [tokens.length, dModel] }, precision ?? 'float64') };
}
