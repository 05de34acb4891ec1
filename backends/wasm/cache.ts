/**
 * How keys and values lie in a page of PAGE_TOKENS tokens.
 *
 *   keys    [kvHead][panel of 8 tokens][headDim][8]    tokens side by side: scores need no sums across a vector
 *   values  [kvHead][panel of 8 channels][token][8]
 *
 * Both are read from one end to the other, which is what memory is fast at.
 */

import { PAGE_TOKENS, PANEL } from './abi.ts';
import { strideOf } from './packing.ts';

/** Keys or values of one layer in a page. */
export interface KeyOrValue {
  /** Numbers of a token outside: nKvHeads · headDim. */
  readonly width: number;
  /** Numbers in a page. */
  readonly size: number;
  tokenOf(page: Float32Array, token: number): Float32Array;
  putToken(page: Float32Array, token: number, data: ArrayLike<number>): void;
}

export function cachePart(
  part: 'keys' | 'values' | 'convState' | 'h',
  nKvHeads: number,
  headDim: number,
): KeyOrValue {
  const padded = strideOf(headDim);
  const place =
    part === 'keys'
      ? (head: number, channel: number, token: number) =>
          panelled(head * PAGE_TOKENS + token, headDim, channel)
      : (head: number, channel: number, token: number) =>
          panelled(head * padded + channel, PAGE_TOKENS, token);
  const width = nKvHeads * headDim;
  const each = (see: (outside: number, head: number, channel: number) => void) => {
    for (let i = 0; i < width; i++) see(i, Math.floor(i / headDim), i % headDim);
  };
  return {
    width,
    size: nKvHeads * PAGE_TOKENS * (part === 'keys' ? headDim : padded),
    tokenOf: (page, token) => {
      const data = new Float32Array(width);
      each((i, head, channel) => {
        data[i] = page[place(head, channel, token)];
      });
      return data;
    },
    putToken: (page, token, data) => {
      each((i, head, channel) => {
        page[place(head, channel, token)] = data[i];
      });
    },
  };
}

/** Place of a number in panels of PANEL rows, [panel][depth][PANEL]. */
const panelled = (row: number, depth: number, at: number) =>
  (Math.floor(row / PANEL) * depth + at) * PANEL + (row % PANEL);
