/** How probably a model that writes would have written a chain: its steps, and all of it. */

import { SelscanError } from '../../reference/errors.ts';
import { logprobOf } from '../../reference/sampling.ts';
import type { ChainTokens } from './chains.ts';
import type { ChainScores } from './scoreChains.ts';

/** Logits (places, vocabRows), of which vocabSize are of tokens; those of a place are of the next token. */
export interface ChainLogits {
  readonly logits: Float64Array | Float32Array;
  readonly vocabSize: number;
  readonly vocabRows: number;
}

/**
 * Π p(token | all before it) from the first token behind the prompt to the end of each step, and to the end token. The
 * prompt is given and counts for nothing; a chain that was cut off has given no answer.
 * @throws SelscanError with code NonFiniteScore.
 */
export function likelihoods(
  { tokens, begin, stepEnds, isEnded }: ChainTokens,
  { logits, vocabSize, vocabRows }: ChainLogits,
  index: number,
): ChainScores {
  const ends = new Set(stepEnds);
  const steps: number[] = [];
  let sum = 0;
  for (let place = begin; place < tokens.length; place++) {
    const from = (place - 1) * vocabRows;
    const before = logits.subarray(from, from + vocabSize);
    sum += logprobOf(before, tokens[place]);
    if (Number.isNaN(sum)) throw notFinite(place, index, sum);
    if (ends.has(place)) steps.push(Math.exp(sum));
  }
  const outcome = isEnded ? Math.exp(sum) : 0;
  return { outcome, steps: [...steps, outcome] };
}

/** A score that is no number. */
export function notFinite(place: number, index: number, got: number): SelscanError {
  return new SelscanError(
    'NonFiniteScore',
    `scoreChains: expected a finite score at token ${place} of chain ${index}, got ${got}; the weights are broken`,
  );
}
