/** The weights of causal softmax attention as a matrix of each head: what a teacher shows. */

import { exp4 } from '../elementary';
import { largestOf, orElse } from '../lanes';
import { next, runOf, sumOf, take } from '../share';
import { copyHead, interleave, paddedBytes, tile } from './tiles';

/**
 * @param q rows (batch·seqlen, qStride)
 * @param k rows (batch·seqlen, kStride)
 * @param y rows (batch·nHeads·seqlen, seqlen padded to 8), written whole
 * @param scratch for each thread: 3 heads, scores [4][seqlen padded to 8]
 */
export function attentionMatrix(
  q: usize,
  k: usize,
  y: usize,
  qStride: u32,
  kStride: u32,
  nHeads: u32,
  nKvHeads: u32,
  headDim: u32,
  scale: f32,
  seqlen: u32,
  batch: u32,
  scratch: usize,
  bytesPerThread: u32,
  thread: u32,
  threads: u32,
): void {
  const qBytes = <usize>qStride << 2;
  const kBytes = <usize>kStride << 2;
  const wide = paddedBytes(headDim);
  const tokens = (seqlen + 7) & ~7;
  const lineBytes = <usize>tokens << 2;
  const size = <usize>tokens * wide;
  const rows = scratch + <usize>thread * bytesPerThread;
  const queries = rows + size;
  const keys = queries + size;
  const scores = keys + size;

  const items = batch * nHeads;
  const run = runOf(items, threads);
  for (let item = take(run); item < items; item = next(item, run)) {
    const first = <usize>(item / nHeads) * seqlen;
    const head = item % nHeads;
    const kvHead = head / (nHeads / nKvHeads);
    copyHead(q + first * qBytes + (<usize>(head * headDim) << 2), qBytes, seqlen, headDim, scale, rows, tokens);
    interleave(rows, wide, tokens, 4, queries);
    copyHead(k + first * kBytes + (<usize>(kvHead * headDim) << 2), kBytes, seqlen, headDim, 1, rows, tokens);
    interleave(rows, wide, tokens, 8, keys);
    let to = y + <usize>item * seqlen * lineBytes;
    for (let t: u32 = 0; t < seqlen; t += 4) {
      for (let s: u32 = 0; s < t + 4; s += 8) {
        const at = scores + (<usize>s << 2);
        tile(queries + <usize>t * wide, 16, headDim, keys + <usize>s * wide, 32, at, lineBytes, false);
      }
      const some = min<u32>(seqlen - t, 4);
      for (let i: u32 = 0; i < some; i++) {
        softmaxRow(scores + <usize>i * lineBytes, t + i + 1, to, tokens);
        to += lineBytes;
      }
    }
  }
}

/** The softmax of the first `seen` scores, zeros behind it. */
function softmaxRow(scores: usize, seen: u32, to: usize, tokens: u32): void {
  const least = -<f32>Infinity;
  let most = f32x4.splat(least);
  for (let s: u32 = 0; s < seen; s += 4) {
    most = f32x4.pmax(most, orElse(v128.load(scores + (<usize>s << 2)), seen - s, least));
  }
  const largest = f32x4.splat(largestOf(most));
  let sum = f32x4.splat(0);
  for (let s: u32 = 0; s < seen; s += 4) {
    const at = <usize>s << 2;
    const e = orElse(exp4(f32x4.sub(v128.load(scores + at), largest)), seen - s, 0);
    sum = f32x4.add(sum, e);
    v128.store(to + at, e);
  }
  const share = f32x4.splat(<f32>1 / sumOf(sum));
  const end = to + (<usize>seen << 2);
  let at = to;
  for (; at < end; at += 16) v128.store(at, f32x4.mul(v128.load(at), share));
  memory.fill(at, 0, to + (<usize>tokens << 2) - at);
}
