/** Rotary position embedding of whole sequences, and its gradient: the rotation back. */

import { halves, interleaved, put } from '../rope';
import { shareOf } from '../share';

/**
 * y = x with each pair of channels of every head rotated by its token's angle, or y + x rotated back.
 *
 * @param x rows (rows, stride); y too
 * @param table [position][2·nPairs] in rows of tableStride: the cosine of each pair, then the sines
 * @param isInterleaved whether pairs are (2i, 2i + 1), not (i, i + nPairs)
 */
export function ropeRows(
  x: usize,
  y: usize,
  stride: u32,
  table: usize,
  tableStride: u32,
  nHeads: u32,
  headDim: u32,
  nPairs: u32,
  isInterleaved: u32,
  isGradient: u32,
  seqlen: u32,
  rows: u32,
  thread: u32,
  threads: u32,
): void {
  const headBytes = <usize>headDim << 2;
  const end = shareOf(rows, thread + 1, threads);
  for (let row = shareOf(rows, thread, threads); row < end; row++) {
    const cosines = table + ((<usize>(row % seqlen) * tableStride) << 2);
    let from = x + ((<usize>row * stride) << 2);
    let to = y + ((<usize>row * stride) << 2);
    for (let head: u32 = 0; head < nHeads; head++) {
      if (isInterleaved) interleaved(from, to, cosines, nPairs, isGradient);
      else halves(from, to, cosines, nPairs, isGradient);
      for (let i: u32 = 2 * nPairs; i < headDim; i += 4) {
        const at = <usize>i << 2;
        put(to + at, headDim - i, v128.load(from + at), isGradient);
      }
      from += headBytes;
      to += headBytes;
    }
  }
}
