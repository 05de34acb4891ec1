/**
 * Causal softmax attention over whole sequences. An item is a key/value head of a sequence with all its query heads.
 * Eight queries are taken together, side by side in two vectors, against all keys that any of them sees: scores, weights
 * and reads are each a sum in one order. For the gradient, the largest score and 1/Σ of every query are kept.
 *
 * Keys behind a query have the weight 0: a later token changes nothing, except that NaN or ∞ in its value reaches the
 * other queries of its eight.
 */

import { expNegative4 } from '../elementary';
import { firstLanes } from '../lanes';
import { next, runOf, storeSome, take } from '../share';
import { copyHead, interleave, paddedBytes, tile } from './tiles';

/**
 * @param q rows (batch·seqlen, qStride); y too
 * @param k rows (batch·seqlen, kStride); v too
 * @param kept [sequence][query head][2][seqlen padded to 8]: largest scores, then shares; 0 for queries that do not exist
 * @param scratch for each thread: 4 heads, weights [seqlen padded to 8][8], 8 rows of a head
 */
export function attentionForward(
  q: usize,
  k: usize,
  v: usize,
  y: usize,
  qStride: u32,
  kStride: u32,
  nHeads: u32,
  nKvHeads: u32,
  headDim: u32,
  scale: f32,
  seqlen: u32,
  batch: u32,
  kept: usize,
  scratch: usize,
  bytesPerThread: u32,
  thread: u32,
  threads: u32,
): void {
  const group = nHeads / nKvHeads;
  const qBytes = <usize>qStride << 2;
  const kBytes = <usize>kStride << 2;
  const headBytes = <usize>headDim << 2;
  const wide = paddedBytes(headDim);
  const tokens = (seqlen + 7) & ~7;
  const size = <usize>tokens * wide;
  const rows = scratch + <usize>thread * bytesPerThread;
  const keys = rows + size;
  const values = keys + size;
  const queries = values + size;
  const weights = queries + size;
  const out = weights + (<usize>tokens << 5);

  const items = batch * nKvHeads;
  const run = runOf(items, threads);
  for (let item = take(run); item < items; item = next(item, run)) {
    const first = <usize>(item / nKvHeads) * seqlen;
    const kvHead = item % nKvHeads;
    const kvAt = first * kBytes + <usize>kvHead * headBytes;
    copyHead(k + kvAt, kBytes, seqlen, headDim, 1, rows, tokens);
    interleave(rows, wide, tokens, 4, keys);
    copyHead(v + kvAt, kBytes, seqlen, headDim, 1, values, tokens);
    for (let i: u32 = 0; i < group; i++) {
      const head = kvHead * group + i;
      const at = first * qBytes + <usize>head * headBytes;
      copyHead(q + at, qBytes, seqlen, headDim, scale, rows, tokens);
      interleave(rows, wide, tokens, 8, queries);
      let statistics = kept + ((<usize>(item / nKvHeads) * nHeads + head) * tokens << 3);
      for (let t: u32 = 0; t < seqlen; t += 8) {
        for (let s: u32 = 0; s < t + 8; s += 4) {
          const to = weights + (<usize>s << 5);
          tile(keys + <usize>s * wide, 16, headDim, queries + <usize>t * wide, 32, to, 32, false);
        }
        weigh(weights, t, min<u32>(seqlen - t, 8), statistics, <usize>tokens << 2);
        // the first four see four keys less
        for (let column: usize = 0; column < wide; column += 32) {
          tile(weights, 32, t + 4, values + column, wide, out + column, wide, false);
          const last = out + 4 * wide + column;
          tile(weights + 16, 32, t + 8, values + column, wide, last, wide, false);
        }
        const shares = statistics + (<usize>tokens << 2);
        const to = y + at + <usize>t * qBytes;
        put(out, wide, min<u32>(seqlen - t, 8), headDim, shares, to, qBytes);
        statistics += 32;
      }
    }
  }
}

/** Makes e^(score − largest) of the scores of eight queries, 0 of keys behind them; keeps the largest and 1/Σ. */
// @ts-ignore: decorator
@inline
function weigh(weights: usize, t: u32, queries: u32, largest: usize, shareBytes: usize): void {
  const least = f32x4.splat(-<f32>Infinity);
  const diagonal = weights + (<usize>t << 5);
  const end = diagonal + 8 * 32;
  for (let key: i32 = 0; key < 8; key++) {
    const at = diagonal + (<usize>key << 5);
    const k = i32x4.splat(key);
    v128.store(at, v128.bitselect(least, v128.load(at), i32x4.gt_s(k, i32x4(0, 1, 2, 3))));
    v128.store(at, v128.bitselect(least, v128.load(at, 16), i32x4.gt_s(k, i32x4(4, 5, 6, 7))), 16);
  }
  let m0 = least;
  let m1 = least;
  for (let at = weights; at < end; at += 32) {
    m0 = f32x4.pmax(m0, v128.load(at));
    m1 = f32x4.pmax(m1, v128.load(at, 16));
  }
  let s0 = f32x4.splat(0);
  let s1 = s0;
  for (let at = weights; at < end; at += 32) {
    const e0 = expNegative4(f32x4.sub(v128.load(at), m0));
    const e1 = expNegative4(f32x4.sub(v128.load(at, 16), m1));
    s0 = f32x4.add(s0, e0);
    s1 = f32x4.add(s1, e1);
    v128.store(at, e0);
    v128.store(at, e1, 16);
  }
  const one = f32x4.splat(1);
  const last = firstLanes(queries > 4 ? queries - 4 : 0);
  v128.store(largest, v128.and(m0, firstLanes(queries)));
  v128.store(largest, v128.and(m1, last), 16);
  v128.store(largest + shareBytes, v128.and(f32x4.div(one, s0), firstLanes(queries)));
  v128.store(largest + shareBytes, v128.and(f32x4.div(one, s1), last), 16);
}

/** Rows of a head times the share of each. */
// @ts-ignore: decorator
@inline
function put(
  from: usize,
  fromBytes: usize,
  rows: u32,
  width: u32,
  shares: usize,
  to: usize,
  toBytes: usize,
): void {
  for (let row: u32 = 0; row < rows; row++) {
    const share = v128.load32_splat(shares + (<usize>row << 2));
    for (let i: u32 = 0; i < width; i += 4) {
      const at = <usize>i << 2;
      storeSome(to + at, width - i, f32x4.mul(v128.load(from + at), share));
    }
    from += fromBytes;
    to += toBytes;
  }
}
