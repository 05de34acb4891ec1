/** Discrete Mamba-2 as a matrix of each head: M[t, s] = (C_t·B_s)·Π_{s<k≤t} σ(−a_k) for s ≤ t, plus D where s = t. */

import { next, runOf, take } from '../share';
import { decays, sumLogDecays } from './decays';
import { copyHead, interleave, paddedBytes, seenLanes, tile } from './tiles';

/**
 * @param a rows (batch·seqlen, aStride)
 * @param B rows (batch·seqlen, bStride); C too
 * @param D (nHeads), or 0
 * @param y rows (batch·nHeads·seqlen, seqlen padded to 8), written whole
 * @param scratch for each thread: 3 heads of dState columns, products [4], logits, sums [2] of [seqlen padded to 8]
 */
export function mixerMatrix(
  a: usize,
  B: usize,
  C: usize,
  D: usize,
  y: usize,
  aStride: u32,
  bStride: u32,
  nHeads: u32,
  nGroups: u32,
  dState: u32,
  seqlen: u32,
  batch: u32,
  scratch: usize,
  bytesPerThread: u32,
  thread: u32,
  threads: u32,
): void {
  const aBytes = <usize>aStride << 2;
  const bBytes = <usize>bStride << 2;
  const wide = paddedBytes(dState);
  const tokens = (seqlen + 7) & ~7;
  const lineBytes = <usize>tokens << 2;
  const size = <usize>tokens * wide;
  const rows = scratch + <usize>thread * bytesPerThread;
  const readers = rows + size;
  const writers = readers + size;
  const products = writers + size;
  const logits = products + 4 * lineBytes;
  const sums = logits + lineBytes;

  const items = batch * nHeads;
  const run = runOf(items, threads);
  for (let item = take(run); item < items; item = next(item, run)) {
    const first = <usize>(item / nHeads) * seqlen;
    const head = item % nHeads;
    const group = head / (nHeads / nGroups);
    const at = first * bBytes + (<usize>(group * dState) << 2);
    copyHead(C + at, bBytes, seqlen, dState, 1, rows, tokens);
    interleave(rows, wide, tokens, 4, readers);
    copyHead(B + at, bBytes, seqlen, dState, 1, rows, tokens);
    interleave(rows, wide, tokens, 8, writers);
    sumLogDecays(a + first * aBytes + (<usize>head << 2), aBytes, seqlen, tokens, logits, sums);
    const skip: f32 = D ? load<f32>(D + (<usize>head << 2)) : 0;
    let to = y + <usize>item * seqlen * lineBytes;
    for (let t: u32 = 0; t < seqlen; t += 4) {
      for (let s: u32 = 0; s < t + 4; s += 8) {
        const into = products + (<usize>s << 2);
        tile(readers + <usize>t * wide, 16, dState, writers + <usize>s * wide, 32, into, lineBytes, false);
      }
      const end = min<u32>(t + 4, seqlen);
      for (let row = t; row < end; row++) {
        const from = products + <usize>(row - t) * lineBytes;
        let s: u32 = 0;
        for (; s <= row; s += 4) {
          const product = f32x4.mul(v128.load(from + (<usize>s << 2)), decays(sums, lineBytes, row, s));
          v128.store(to + (<usize>s << 2), v128.and(product, seenLanes(row, s)));
        }
        memory.fill(to + (<usize>s << 2), 0, <usize>(tokens - s) << 2);
        const diagonal = to + (<usize>row << 2);
        store<f32>(diagonal, load<f32>(diagonal) + skip);
        to += lineBytes;
      }
    }
  }
}
