/**
 * The gradient of causal softmax attention, which computes the weights again from what the forward pass kept
 * (Dao 2023, arXiv 2307.08691, algorithm 2): with P the weights and D_t = dy_t·y_t,
 *
 *   dP = dy·vᵀ,   dS = P∘(dP − D),   dv = Pᵀ·dy,   dq = scale·dS·k,   dk = scale·dSᵀ·q
 *
 * An item is a key/value head of a sequence: its dk and dv are summed over its query heads in order, for each over
 * blocks of queries in order, so that neither threads nor their turns change a bit.
 */

import { ATTENTION_BLOCK } from '../../training/abiAttention';
import { expNegative4 } from '../elementary';
import { firstLanes } from '../lanes';
import { next, runOf, sumOf, take } from '../share';
import { addHead, copyHead, interleave, paddedBytes, seenLanes, tile, transpose } from './tiles';

const BLOCK: u32 = ATTENTION_BLOCK;
const BLOCK_BYTES: usize = BLOCK << 2;

// of the item that this thread is at: bytes of a copied row, and where the copies lie
let wide: usize = 0;
let tokens: u32 = 0;
let keyRows: usize = 0; // [token][column]
let keyPanels: usize = 0; // [eight tokens][column][8]
let valuePanels: usize = 0;
let dKeys: usize = 0;
let dValues: usize = 0;
let queryRows: usize = 0; // times scale
let queryFours: usize = 0; // [four tokens][column][4]
let dyRows: usize = 0;
let dyFours: usize = 0;
let dQueries: usize = 0;
let means: usize = 0; // D of each query
let weights: usize = 0; // P of a block, [query][key]
let slopes: usize = 0; // dP, then dS of a block, [query][key]
let slopeFours: usize = 0; // dS of a block, [four queries][key][4]

/** Where the copies of a thread lie, from its scratch on: as many bytes as attention.ts gives it. */
function place(scratch: usize, headDim: u32): void {
  wide = paddedBytes(headDim);
  const size = <usize>tokens * wide;
  keyRows = scratch;
  keyPanels = keyRows + size;
  valuePanels = keyPanels + size;
  dKeys = valuePanels + size;
  dValues = dKeys + size;
  queryRows = dValues + size;
  queryFours = queryRows + size;
  dyRows = queryFours + size;
  dyFours = dyRows + size;
  dQueries = dyFours + size;
  means = dQueries + size;
  weights = means + (<usize>tokens << 2);
  slopes = weights + BLOCK * BLOCK_BYTES;
  slopeFours = slopes + BLOCK * BLOCK_BYTES;
}

/**
 * @param q rows (batch·seqlen, qStride); y, dy and dq too
 * @param k rows (batch·seqlen, kStride); v, dk and dv too
 * @param kept what attentionForward kept
 * @param dq added to, as dk and dv; 0 where it is not wanted
 */
export function attentionGradient(
  q: usize,
  k: usize,
  v: usize,
  y: usize,
  dy: usize,
  qStride: u32,
  kStride: u32,
  nHeads: u32,
  nKvHeads: u32,
  headDim: u32,
  scale: f32,
  seqlen: u32,
  batch: u32,
  kept: usize,
  dq: usize,
  dk: usize,
  dv: usize,
  scratch: usize,
  bytesPerThread: u32,
  thread: u32,
  threads: u32,
): void {
  const group = nHeads / nKvHeads;
  const qBytes = <usize>qStride << 2;
  const kBytes = <usize>kStride << 2;
  const headBytes = <usize>headDim << 2;
  tokens = (seqlen + 7) & ~7;
  place(scratch + <usize>thread * bytesPerThread, headDim);
  const size = <usize>tokens * wide;

  const items = batch * nKvHeads;
  const run = runOf(items, threads);
  for (let item = take(run); item < items; item = next(item, run)) {
    const sequence = item / nKvHeads;
    const kvHead = item % nKvHeads;
    const first = <usize>sequence * seqlen;
    const kvAt = first * kBytes + <usize>kvHead * headBytes;
    copyHead(v + kvAt, kBytes, seqlen, headDim, 1, queryRows, tokens);
    interleave(queryRows, wide, tokens, 8, valuePanels);
    copyHead(k + kvAt, kBytes, seqlen, headDim, 1, keyRows, tokens);
    interleave(keyRows, wide, tokens, 8, keyPanels);
    memory.fill(dKeys, 0, size);
    memory.fill(dValues, 0, size);
    for (let i: u32 = 0; i < group; i++) {
      const head = kvHead * group + i;
      const at = first * qBytes + <usize>head * headBytes;
      copyHead(q + at, qBytes, seqlen, headDim, scale, queryRows, tokens);
      interleave(queryRows, wide, tokens, 4, queryFours);
      copyHead(dy + at, qBytes, seqlen, headDim, 1, dyRows, tokens);
      interleave(dyRows, wide, tokens, 4, dyFours);
      sumMeans(y + at, qBytes, seqlen, headDim);
      memory.fill(dQueries, 0, size);
      const largest = kept + ((<usize>(sequence * nHeads + head) * tokens) << 3);
      for (let key: u32 = 0; key < seqlen; key += BLOCK) {
        for (let query = key; query < seqlen; query += BLOCK) {
          const end = min<u32>(query + BLOCK, (seqlen + 3) & ~3);
          block(query, end, key, headDim, largest);
        }
      }
      if (dq) addHead(dQueries, seqlen, headDim, scale, dq + at, qBytes);
    }
    if (dk) addHead(dKeys, seqlen, headDim, 1, dk + kvAt, kBytes);
    if (dv) addHead(dValues, seqlen, headDim, 1, dv + kvAt, kBytes);
  }
}

/** D_t = dy_t·y_t; 0 for tokens that do not exist. */
function sumMeans(y: usize, rowBytes: usize, seqlen: u32, headDim: u32): void {
  for (let t: u32 = 0; t < tokens; t++) {
    let sum = f32x4.splat(0);
    if (t < seqlen) {
      const dy = dyRows + <usize>t * wide;
      for (let i: u32 = 0; i < headDim; i += 4) {
        const at = <usize>i << 2;
        const product = f32x4.mul(v128.load(dy + at), v128.load(y + at));
        sum = f32x4.add(sum, v128.and(product, firstLanes(headDim - i)));
      }
    }
    store<f32>(means + (<usize>t << 2), sumOf(sum));
    y += rowBytes;
  }
}

/** What the queries from `query` to `end` and the BLOCK keys from `key` on add to the gradients of each other. */
function block(query: u32, end: u32, key: u32, headDim: u32, largest: usize): void {
  const keyPlace = <usize>key * wide;
  for (let t = query; t < end; t += 4) {
    const row = <usize>(t - query) * BLOCK_BYTES;
    const keys = min<u32>(BLOCK, t + 4 - key);
    for (let s: u32 = 0; s < keys; s += 8) {
      const at = row + (<usize>s << 2);
      const queryPlace = <usize>t * wide;
      const panel = keyPlace + <usize>s * wide;
      // prettier-ignore
      tile(queryFours + queryPlace, 16, headDim, keyPanels + panel, 32, weights + at, BLOCK_BYTES, false);
      tile(dyFours + queryPlace, 16, headDim, valuePanels + panel, 32, slopes + at, BLOCK_BYTES, false);
      const statistics = largest + (<usize>t << 2);
      for (let i: u32 = 0; i < 4; i++) {
        const lane = <usize>i << 2;
        const place = at + <usize>i * BLOCK_BYTES;
        weigh(weights + place, slopes + place, statistics + lane, means + (<usize>t << 2) + lane, t + i, key + s);
      }
      const fours = slopeFours + row + (<usize>s << 4);
      transpose(slopes + at, BLOCK_BYTES, fours, 16);
      transpose(slopes + at + 16, BLOCK_BYTES, fours + 64, 16);
    }
    for (let column: usize = 0; column < wide; column += 32) {
      const to = dQueries + <usize>t * wide + column;
      tile(slopeFours + row, 16, keys, keyRows + keyPlace + column, wide, to, wide, true);
    }
  }
  const keyEnd = min<u32>(key + BLOCK, end);
  for (let s = key; s < keyEnd; s += 4) {
    const from = max<u32>(query, s);
    const at = <usize>(from - query) * BLOCK_BYTES + (<usize>(s - key) << 2);
    const queryPlace = <usize>from * wide;
    for (let column: usize = 0; column < wide; column += 32) {
      const to = <usize>s * wide + column;
      const rows = queryPlace + column;
      tile(weights + at, BLOCK_BYTES, end - from, dyRows + rows, wide, dValues + to, wide, true);
      tile(slopes + at, BLOCK_BYTES, end - from, queryRows + rows, wide, dKeys + to, wide, true);
    }
  }
}

/** P of a query and eight keys in place of their scores, and dS in place of their dP. */
// @ts-ignore: decorator
@inline
function weigh(p: usize, ds: usize, statistics: usize, mean: usize, query: u32, key: u32): void {
  const largest = v128.load32_splat(statistics);
  const share = v128.load32_splat(statistics + (<usize>tokens << 2));
  const d = v128.load32_splat(mean);
  let p0 = f32x4.mul(expNegative4(f32x4.sub(v128.load(p), largest)), share);
  let p1 = f32x4.mul(expNegative4(f32x4.sub(v128.load(p, 16), largest)), share);
  let s0 = f32x4.mul(p0, f32x4.sub(v128.load(ds), d));
  let s1 = f32x4.mul(p1, f32x4.sub(v128.load(ds, 16), d));
  if (key + 7 > query) {
    const m0 = seenLanes(query, key);
    const m1 = seenLanes(query, key + 4);
    p0 = v128.and(p0, m0);
    p1 = v128.and(p1, m1);
    s0 = v128.and(s0, m0);
    s1 = v128.and(s1, m1);
  }
  v128.store(p, p0);
  v128.store(p, p1, 16);
  v128.store(ds, s0);
  v128.store(ds, s1, 16);
}
