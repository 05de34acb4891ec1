/** The small models with random weights, and the state and tokens that their steps are timed at. */

import { referenceExecutor } from '../lib/decode/referenceExecutor.ts';
import { modelOf } from '../lib/verify/index.ts';
import type { Model } from '../reference/model.ts';
import type { SequenceState } from '../reference/state.ts';
import type { Vector } from '../reference/tensor.ts';
import { SMALL, SMALL_MODELS } from './shapes.ts';

/** Tokens taken in before the first step. A race takes 50 steps at most: caches with room for 256 never grow in it. */
export const PROMPT_TOKENS = 200;

/** Random weights in float32, in which every contestant computes. */
export function smallModel(name: string): Model {
  return modelOf({ config: SMALL_MODELS[name], seed: 1 }, 'float32');
}

/** The state after a prompt, as the reference computes it. */
export async function stateAfterPrompt(model: Model): Promise<SequenceState> {
  const executor = referenceExecutor(model);
  const [{ row }] = await executor.prefill([promptOf(PROMPT_TOKENS, 0)]);
  return executor.save(row);
}

/** Some tokens, different for each sequence. */
export function promptOf(length: number, sequence: number): number[] {
  return Array.from({ length }, (_, t) => (31 * t + 17 * sequence + 1) % SMALL.vocabSize);
}

/** A token for every row at the n-th step. */
export function tokensAt(n: number, batch: number): number[] {
  return Array.from({ length: batch }, (_, b) => (31 * n + 17 * b + 1) % SMALL.vocabSize);
}

/**
 * @throws Error naming who is wrong where logits are further off than a thousandth of the largest.
 */
export function expectSameLogits(
  who: string,
  got: readonly Vector[],
  want: readonly Vector[],
): void {
  for (const [b, wanted] of want.entries()) {
    const allowed = 1e-3 * largestOf(wanted);
    const at = wanted.findIndex((x, i) => !(Math.abs(x - got[b][i]) <= allowed));
    if (at < 0 && got[b].length === wanted.length) continue;
    throw new Error(
      `${who}: expected the reference's logits, got ${got[b][at]} for ${wanted[at]} at row ${b}, ` +
        `token ${at}; nothing wrong is timed`,
    );
  }
}

/** The largest absolute value. */
export function largestOf(vector: Vector): number {
  let largest = 0;
  for (const x of vector) largest = Math.max(largest, Math.abs(x));
  return largest;
}
