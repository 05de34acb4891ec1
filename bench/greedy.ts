/** Decoding greedily, with whatever way of choosing an executor has. */

import type { Draw, Executor, Row } from '../backends/types.ts';
import type { Vector } from '../reference/tensor.ts';

const GREEDY: Draw = { temperature: 0, u: 0 };

/** A step of all rows with the choice of their next tokens. */
export async function nextTokens(
  executor: Executor,
  rows: readonly Row[],
  tokens: readonly number[],
): Promise<number[]> {
  if (executor.stepAndDraw) {
    const draws = rows.map(() => GREEDY);
    return (await executor.stepAndDraw(rows, tokens, draws)).map(({ token }) => token);
  }
  return (await executor.step(rows, tokens)).map(likeliest);
}

/** The token with the largest logit. */
export function likeliest(logits: Vector): number {
  let best = 0;
  for (let i = 1; i < logits.length; i++) if (logits[i] > logits[best]) best = i;
  return best;
}
