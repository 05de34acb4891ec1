/** One draw: from a model's logits to a token, by the plan's options and a replayable random number. */

import { SelscanError } from '../../reference/errors.ts';
import { uniform } from '../../reference/philox.ts';
import { chooseToken, filterLogits, greedyToken, logprobOf } from '../../reference/sampling.ts';
import type { Vector } from '../../reference/tensor.ts';
import type { Trace } from '../../reference/trace.ts';
import type { DecodePlan } from './options.ts';

/** Where a draw stands: which chain, and what it has seen. */
export interface DrawPlace {
  /** Index of the prompt, and of the chain among its samples. */
  prompt: number;
  sample: number;
  /** Tokens before the one that is drawn, which takes the position after them. */
  position: number;
  /** Those tokens, prompt and output; read by the repetition penalty alone. */
  seen: readonly number[];
  /** The model's logits for that position. Shape (vocabRows). */
  logits: Vector;
}

/** @throws SelscanError with code NonFiniteLogits when the logits are not all finite. */
export function expectFinite(logits: Vector, position: number): void {
  for (let i = 0; i < logits.length; i++) {
    if (Number.isFinite(logits[i])) continue;
    throw new SelscanError(
      'NonFiniteLogits',
      `logits: expected finite numbers, got ${logits[i]} for token ${i} at position ${position}; ` +
        'the weights or the state are broken',
    );
  }
}

export interface DrawnToken {
  token: number;
  /** ln of its probability under the model itself, over all vocabRows. */
  logprob: number;
  /** ln of the probability with which it was drawn; 0 at temperature 0. */
  filteredLogprob: number;
}

/** The number that draws the token at a place: nothing but the place and the seed decides it. */
export function uniformOf(
  { prompt, sample, position }: Pick<DrawPlace, 'prompt' | 'sample' | 'position'>,
  { seed }: DecodePlan,
): number {
  return uniform({ seed, problem: prompt, sample, position, purpose: 'token' });
}

/**
 * Draws a token below vocabSize: rows of padding are no tokens. Written to be read, and the oracle of Drawer, which
 * draws where nobody watches.
 * @throws SelscanError with code NonFiniteLogits when the model's logits are not all finite.
 */
export function drawToken(
  place: DrawPlace,
  plan: DecodePlan,
  vocabSize: number,
  trace?: Trace,
): DrawnToken {
  const { position, seen, logits } = place;
  expectFinite(logits, position);
  const { steps } = plan;
  const row = { data: logits.subarray(0, vocabSize), shape: [1, vocabSize] };
  // without steps there is nothing to change, and no copy to be made
  const { logits: filtered } =
    steps.length === 0 ? { logits: row } : filterLogits({ logits: row, steps, previous: [seen] });
  const u = plan.isGreedy ? undefined : uniformOf(place, plan);
  const choice =
    u === undefined ? greedyToken({ logits: filtered }) : chooseToken({ logits: filtered, u: [u] });
  const [token] = choice.tokens;
  const [filteredLogprob] = choice.logprobs;
  const logprob = logprobOf(logits, token);
  trace?.({
    kind: 'sampler',
    position,
    logits: logits.slice(),
    filtered: filtered.data.slice(),
    ...(u !== undefined && { u }),
    token,
    logprob,
    filteredLogprob,
  });
  return { token, logprob, filteredLogprob };
}
