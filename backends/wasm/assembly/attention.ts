/**
 * Softmax attention over a paged cache. The query heads of one key/value head are taken together, up to four at a time,
 * so that each key and value is loaded once for all of them.
 *
 * Two passes: scores of all keys, then the values weighted. Every score is one sum over headDim in order, every output
 * one sum over the tokens in order, so results do not depend on what else is computed.
 */

import { CALL_POSITIONS, PAGE_TOKENS } from '../abi';
import { read1, read2, read3, read4 } from './attentionRead';
import { score1, score2, score3, score4 } from './attentionScores';
import { paddedHeadDim, pagesOf } from './cache';
import { expNegative4 } from './elementary';
import { largestOf } from './lanes';
import { ofCall, storeSome, sumOf } from './share';

const PAGE_BYTES: usize = PAGE_TOKENS << 2;

/**
 * A token attends to all tokens of its sequence up to its own position; a position of −1 to none, which gives 0.
 *
 * @param q rows (tokens, qStride), of which nHeads·headDim columns are read
 * @param scale multiplies q·k
 * @param keysOffset bytes from the beginning of a page
 * @param valuesOffset bytes from the beginning of a page
 * @param scratch for each thread: the weights of its last token and head, [nHeads/nKvHeads][keys padded to pages],
 *   and sums [nHeads/nKvHeads][headDim padded to 8]
 * @param y rows (tokens, yStride)
 */
export function attention(
  q: usize,
  qStride: u32,
  nHeads: u32,
  nKvHeads: u32,
  headDim: u32,
  scale: f32,
  keysOffset: u32,
  valuesOffset: u32,
  scratch: usize,
  scratchBytesPerThread: u32,
  y: usize,
  yStride: u32,
  call: usize,
  rows: u32,
  thread: u32,
  threads: u32,
): void {
  const group = nHeads / nKvHeads;
  const groupBytes = <usize>(group * headDim) << 2;
  const positions = <usize>ofCall(call, CALL_POSITIONS);
  const own = scratch + <usize>thread * scratchBytesPerThread;
  const keyBytes = <usize>headDim * PAGE_BYTES;
  const valueBytes = <usize>paddedHeadDim(headDim) * PAGE_BYTES;
  const items = rows * nKvHeads;
  // in turn, not in halves: later tokens of a prompt have more to read
  for (let item = thread; item < items; item += threads) {
    const row = item / nKvHeads;
    const head = <usize>(item % nKvHeads);
    const length = load<u32>(positions + (<usize>row << 2)) + 1;
    attend(
      q + ((<usize>row * qStride) << 2) + head * groupBytes,
      group,
      headDim,
      scale,
      pagesOf(call, row),
      length,
      keysOffset + head * keyBytes,
      valuesOffset + head * valueBytes,
      own,
      y + ((<usize>row * yStride) << 2) + head * groupBytes,
    );
  }
}

/** One token's query heads of one key/value head. */
function attend(
  q: usize,
  group: u32,
  headDim: u32,
  scale: f32,
  pages: usize,
  length: u32,
  keysOffset: usize,
  valuesOffset: usize,
  scratch: usize,
  y: usize,
): void {
  const nPages = (length + PAGE_TOKENS - 1) / PAGE_TOKENS;
  const rowBytes = <usize>nPages * PAGE_BYTES;
  const headBytes = <usize>headDim << 2;
  const sumBytes = <usize>paddedHeadDim(headDim) << 2;
  const sums = scratch + <usize>group * rowBytes;

  for (let page: u32 = 0; page < nPages; page++) {
    const keys = <usize>load<u32>(pages + (<usize>page << 2)) + keysOffset;
    for (let i: u32 = 0; i < group; i += taken(group - i)) {
      const to = scratch + <usize>i * rowBytes + <usize>page * PAGE_BYTES;
      scores(taken(group - i), q + <usize>i * headBytes, headBytes, keys, scale, to, rowBytes);
    }
  }
  for (let i: u32 = 0; i < group; i++) {
    exponentials(scratch + <usize>i * rowBytes, length, nPages);
  }
  memory.fill(sums, 0, <usize>group * sumBytes);
  for (let page: u32 = 0; page < nPages; page++) {
    const values = <usize>load<u32>(pages + (<usize>page << 2)) + valuesOffset;
    const count = min<u32>(length - page * PAGE_TOKENS, PAGE_TOKENS);
    for (let i: u32 = 0; i < group; i += taken(group - i)) {
      const from = scratch + <usize>i * rowBytes + <usize>page * PAGE_BYTES;
      read(taken(group - i), from, rowBytes, values, sumBytes, count, sums + <usize>i * sumBytes);
    }
  }
  for (let i: u32 = 0; i < group; i++) {
    for (let p: u32 = 0; p < headDim; p += 4) {
      const at = <usize>p << 2;
      const sum = v128.load(sums + <usize>i * sumBytes + at);
      storeSome(y + <usize>i * headBytes + at, headDim - p, sum);
    }
  }
}

/** How many of the query heads that are left are taken together. */
// @ts-ignore: decorator
@inline
function taken(left: u32): u32 {
  return left == 5 ? 3 : min<u32>(left, 4);
}

// @ts-ignore: decorator
@inline
function scores(
  heads: u32,
  q: usize,
  qBytes: usize,
  keys: usize,
  scale: f32,
  to: usize,
  toBytes: usize,
): void {
  if (heads == 3) score3(q, qBytes, keys, scale, to, toBytes);
  else if (heads == 1) score1(q, qBytes, keys, scale, to);
  else if (heads == 2) score2(q, qBytes, keys, scale, to, toBytes);
  else score4(q, qBytes, keys, scale, to, toBytes);
}

// @ts-ignore: decorator
@inline
function read(
  heads: u32,
  weights: usize,
  weightBytes: usize,
  values: usize,
  valueBytes: usize,
  count: u32,
  sums: usize,
): void {
  if (heads == 3) read3(weights, weightBytes, values, valueBytes, count, sums);
  else if (heads == 1) read1(weights, values, valueBytes, count, sums);
  else if (heads == 2) read2(weights, weightBytes, values, valueBytes, count, sums);
  else read4(weights, weightBytes, values, valueBytes, count, sums);
}

/** Makes weights of the scores of one query, in place; those of a page's unused slots, whatever they held, become 0. */
function exponentials(scores: usize, length: u32, nPages: u32): void {
  const end = scores + <usize>nPages * PAGE_BYTES;
  for (let at = scores + (<usize>length << 2); at < end; at += 4) store<f32>(at, -<f32>Infinity);
  let most = f32x4.splat(-<f32>Infinity);
  for (let at = scores; at < end; at += 16) most = f32x4.pmax(most, v128.load(at));
  const largest = f32x4.splat(largestOf(most));
  let s0 = f32x4.splat(0);
  let s1 = s0;
  let s2 = s0;
  let s3 = s0;
  for (let at = scores; at < end; at += PAGE_BYTES) {
    const e0 = expNegative4(f32x4.sub(v128.load(at), largest));
    const e1 = expNegative4(f32x4.sub(v128.load(at, 16), largest));
    const e2 = expNegative4(f32x4.sub(v128.load(at, 32), largest));
    const e3 = expNegative4(f32x4.sub(v128.load(at, 48), largest));
    s0 = f32x4.add(s0, e0);
    s1 = f32x4.add(s1, e1);
    s2 = f32x4.add(s2, e2);
    s3 = f32x4.add(s3, e3);
    v128.store(at, e0);
    v128.store(at, e1, 16);
    v128.store(at, e2, 32);
    v128.store(at, e3, 48);
  }
  const total = sumOf(f32x4.add(f32x4.add(s0, s1), f32x4.add(s2, s3)));
  // weights are made before they meet the values: their sums then cannot overflow
  const share = f32x4.splat(<f32>1 / total);
  for (let at = scores; at < end; at += 16) v128.store(at, f32x4.mul(v128.load(at), share));
}
