/** Long chains end to end: as many at once as fit memory, the others after them. */

import type { Executor } from '../backends/types.ts';
import { likeliest, nextTokens } from './greedy.ts';

export interface ChainTiming {
  readonly seconds: number;
  /** Chains that fit at once. */
  readonly rows: number;
  readonly waves: number;
}

/** How often progress is told, in tokens. */
const TOLD = 256;

/**
 * Decodes `tokens` tokens of `chains` chains greedily, each from a first token of its own, and waits for the
 * last. Nothing is extrapolated.
 */
export async function decodeChains(
  executor: Executor,
  chains: number,
  tokens: number,
  tell: (line: string) => void,
): Promise<ChainTiming> {
  const fitting = Math.min(executor.room?.(tokens + 1) ?? chains, chains);
  if (fitting < 1) throw new Error(`${tokens} tokens: expected room for a chain, got none`);
  const waves = Math.ceil(chains / fitting);
  const start = performance.now();
  for (let done = 0; done < chains; done += fitting) {
    const count = Math.min(fitting, chains - done);
    const taken = await executor.prefill(Array.from({ length: count }, (_, i) => [done + i]));
    const rows = taken.map(({ row }) => row);
    let next = taken.map(({ logits }) => likeliest(logits));
    for (let t = 1; t < tokens; t++) {
      next = await nextTokens(executor, rows, next);
      if (t % TOLD === 0) {
        const seconds = ((performance.now() - start) / 1000).toFixed(0);
        tell(`${seconds} s: chains ${done + 1} to ${done + count} of ${chains} at token ${t}`);
      }
    }
    for (const row of rows) executor.release(row);
  }
  return { seconds: (performance.now() - start) / 1000, rows: fitting, waves };
}
