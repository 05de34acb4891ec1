/** How much memory of its own each thread needs for what kernels keep aside. */

import { PAGE_TOKENS, VOCAB_BLOCK } from './abi.ts';
import { strideOf } from './packing.ts';

const LINE = 64;
/** Whole lines of the cache, so that threads do not write into each other's. */
const lines = (bytes: number) => Math.ceil(bytes / LINE) * LINE;

/** Bytes of a thread for ATTENTION to so many tokens: weights and sums of the query heads of one key/value head. */
export function attentionScratch(
  { nHeads, nKvHeads, headDim }: { nHeads: number; nKvHeads: number; headDim: number },
  tokens: number,
): number {
  const padded = Math.ceil(tokens / PAGE_TOKENS) * PAGE_TOKENS;
  return lines(4 * (nHeads / nKvHeads) * (padded + strideOf(headDim)));
}

/** Bytes of a thread for CHOOSE: the weight of each block of tokens, and the weights of one block. */
export function choiceScratch(vocabSize: number): number {
  return lines(8 * Math.ceil(vocabSize / VOCAB_BLOCK) + 4 * VOCAB_BLOCK);
}

/** Bytes of a thread for LINEAR: its rows, as far as they come in fours. */
export const linearScratch = (rows: number, dIn: number) => lines(16 * Math.floor(rows / 4) * dIn);
