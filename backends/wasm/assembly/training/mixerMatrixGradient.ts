/**
 * The gradient of Discrete Mamba-2's matrix. With G[t, s] = C_t·B_s, L[t, s] the decay from s to t, and dM 0 above the
 * diagonal,
 *
 *   dG = dM∘L,   dC = dG·B,   dB = dGᵀ·C,   dD = Σ_t dM[t, t],   da_k = −σ(a_k)·Σ_{s<k≤t} (dG∘G)[t, s]
 *
 * An item is a group of a sequence: its dB and dC are summed over its heads in order. The last sum is one of partial
 * sums over s, kept for every t from one block of keys to the next: no differences of larger sums.
 */

import { ATTENTION_BLOCK } from '../../training/abiAttention';
import { sigmoid4 } from '../elementary';
import { firstLanes } from '../lanes';
import { next, runOf, sumOf, take } from '../share';
import { decays, sumLogDecays } from './decays';
import { addHead, copyHead, interleave, paddedBytes, seenLanes, tile, transpose } from './tiles';

const BLOCK: u32 = ATTENTION_BLOCK;
const BLOCK_BYTES: usize = BLOCK << 2;

// of the item that this thread is at: bytes of a copied row, and where the copies lie
let wide: usize = 0;
let tokens: u32 = 0;
let writerRows: usize = 0; // B, [token][column]
let writerPanels: usize = 0; // [eight tokens][column][8]
let readerRows: usize = 0; // C, [token][column]
let readerFours: usize = 0; // [four tokens][column][4]
let dWriters: usize = 0;
let dReaders: usize = 0;
let partial: usize = 0; // Σ (dG∘G)[t, s] over the s so far, [t]
let dSums: usize = 0; // Σ_{s<k≤t} (dG∘G)[t, s], [k][t modulo 4]
let logits: usize = 0;
let sums: usize = 0;
let products: usize = 0; // G, then dG∘G of a block, [t][s]
let slopes: usize = 0; // dG of a block, [t][s]
let slopeFours: usize = 0; // the same, [four t][s][4]
let eight: usize = 0; // dG∘G of a tile, [s][4]

/** Where the copies of a thread lie, from its scratch on: as many bytes as mixerMatrix.ts gives it. */
function place(scratch: usize, dState: u32): void {
  wide = paddedBytes(dState);
  const size = <usize>tokens * wide;
  const lineBytes = <usize>tokens << 2;
  writerRows = scratch;
  writerPanels = writerRows + size;
  readerRows = writerPanels + size;
  readerFours = readerRows + size;
  dWriters = readerFours + size;
  dReaders = dWriters + size;
  partial = dReaders + size;
  dSums = partial + lineBytes;
  logits = dSums + 4 * lineBytes;
  sums = logits + lineBytes;
  products = sums + 2 * lineBytes;
  slopes = products + BLOCK * BLOCK_BYTES;
  slopeFours = slopes + BLOCK * BLOCK_BYTES;
  eight = slopeFours + BLOCK * BLOCK_BYTES;
}

/**
 * @param a rows (batch·seqlen, aStride); da too
 * @param B rows (batch·seqlen, bStride); C, dB and dC too
 * @param dM rows (batch·nHeads·seqlen, seqlen padded to 8)
 * @param da added to, as dB and dC; 0 where it is not wanted
 * @param dD rows (batch, dStride), written, or 0
 */
export function mixerMatrixGradient(
  a: usize,
  B: usize,
  C: usize,
  dM: usize,
  aStride: u32,
  bStride: u32,
  nHeads: u32,
  nGroups: u32,
  dState: u32,
  seqlen: u32,
  batch: u32,
  da: usize,
  dB: usize,
  dC: usize,
  dD: usize,
  dStride: u32,
  scratch: usize,
  bytesPerThread: u32,
  thread: u32,
  threads: u32,
): void {
  const perGroup = nHeads / nGroups;
  const aBytes = <usize>aStride << 2;
  const bBytes = <usize>bStride << 2;
  tokens = (seqlen + 7) & ~7;
  place(scratch + <usize>thread * bytesPerThread, dState);
  const size = <usize>tokens * wide;
  const lineBytes = <usize>tokens << 2;

  const items = batch * nGroups;
  const run = runOf(items, threads);
  for (let item = take(run); item < items; item = next(item, run)) {
    const sequence = item / nGroups;
    const group = item % nGroups;
    const first = <usize>sequence * seqlen;
    const at = first * bBytes + (<usize>(group * dState) << 2);
    copyHead(B + at, bBytes, seqlen, dState, 1, writerRows, tokens);
    interleave(writerRows, wide, tokens, 8, writerPanels);
    copyHead(C + at, bBytes, seqlen, dState, 1, readerRows, tokens);
    interleave(readerRows, wide, tokens, 4, readerFours);
    memory.fill(dWriters, 0, size);
    memory.fill(dReaders, 0, size);
    for (let i: u32 = 0; i < perGroup; i++) {
      const head = group * perGroup + i;
      const headAt = first * aBytes + (<usize>head << 2);
      const rows = dM + <usize>(sequence * nHeads + head) * seqlen * lineBytes;
      sumLogDecays(a + headAt, aBytes, seqlen, tokens, logits, sums);
      memory.fill(partial, 0, 5 * lineBytes); // dSums lies behind it
      for (let s: u32 = 0; s < seqlen; s += BLOCK) {
        for (let t = s; t < seqlen; t += BLOCK) {
          block(t, min<u32>(t + BLOCK, (seqlen + 3) & ~3), s, dState, rows, seqlen);
        }
      }
      if (da) addLogits(da + headAt, aBytes, seqlen);
      if (dD) {
        const to = dD + ((<usize>sequence * dStride + head) << 2);
        store<f32>(to, sumDiagonal(rows, lineBytes, seqlen));
      }
    }
    if (dB) addHead(dWriters, seqlen, dState, 1, dB + at, bBytes);
    if (dC) addHead(dReaders, seqlen, dState, 1, dC + at, bBytes);
  }
}

/** What the rows from `row` to `end` and the BLOCK columns from `column` on add to the gradients. */
function block(row: u32, end: u32, column: u32, dState: u32, dM: usize, seqlen: u32): void {
  const lineBytes = <usize>tokens << 2;
  const columnPlace = <usize>column * wide;
  for (let t = row; t < end; t += 4) {
    const line = <usize>(t - row) * BLOCK_BYTES;
    const columns = min<u32>(BLOCK, t + 4 - column);
    for (let s: u32 = 0; s < columns; s += 8) {
      const at = line + (<usize>s << 2);
      const panel = writerPanels + columnPlace + <usize>s * wide;
      tile(readerFours + <usize>t * wide, 16, dState, panel, 32, products + at, BLOCK_BYTES, false);
      for (let i: u32 = 0; i < 4; i++) {
        const from = dM + <usize>(t + i) * lineBytes + (<usize>(column + s) << 2);
        const place = at + <usize>i * BLOCK_BYTES;
        spread(products + place, slopes + place, from, t + i, column + s, t + i < seqlen);
        spread(products + place + 16, slopes + place + 16, from + 16, t + i, column + s + 4, t + i < seqlen);
      }
      const fours = slopeFours + line + (<usize>s << 4);
      transpose(slopes + at, BLOCK_BYTES, fours, 16);
      transpose(slopes + at + 16, BLOCK_BYTES, fours + 64, 16);
      transpose(products + at, BLOCK_BYTES, eight, 16);
      transpose(products + at + 16, BLOCK_BYTES, eight + 64, 16);
      addPartial(t, column + s);
    }
    for (let from: usize = 0; from < wide; from += 32) {
      const to = dReaders + <usize>t * wide + from;
      tile(slopeFours + line, 16, columns, writerRows + columnPlace + from, wide, to, wide, true);
    }
  }
  const last = min<u32>(column + BLOCK, end);
  for (let s = column; s < last; s += 4) {
    const from = max<u32>(row, s);
    const at = slopes + <usize>(from - row) * BLOCK_BYTES + (<usize>(s - column) << 2);
    for (let i: usize = 0; i < wide; i += 32) {
      const readers = readerRows + <usize>from * wide + i;
      tile(at, BLOCK_BYTES, end - from, readers, wide, dWriters + <usize>s * wide + i, wide, true);
    }
  }
}

/** dG, and dG∘G in place of G, of a row and four columns; 0 where there is no row, or above the diagonal. */
// @ts-ignore: decorator
@inline
function spread(g: usize, dg: usize, dM: usize, row: u32, column: u32, isRow: bool): void {
  let slope = f32x4.splat(0);
  let product = slope;
  if (isRow) {
    const seen = seenLanes(row, column);
    slope = f32x4.mul(v128.load(dM), decays(sums, <usize>tokens << 2, row, column));
    product = v128.and(f32x4.mul(slope, v128.load(g)), seen);
    slope = v128.and(slope, seen);
  }
  v128.store(dg, slope);
  v128.store(g, product);
}

/** Adds what a tile of four rows from t on and eight columns from s on adds to every dSums[k], s ≤ k < s + 8. */
// @ts-ignore: decorator
@inline
function addPartial(t: u32, s: u32): void {
  const at = partial + (<usize>t << 2);
  let sum = v128.load(at);
  for (let i: u32 = 0; i < 8; i++) {
    const to = dSums + (<usize>(s + i) << 4);
    // rows before k have no k between them and their columns
    const before = s + i > t ? firstLanes(s + i - t) : i32x4.splat(0);
    v128.store(to, f32x4.add(v128.load(to), v128.andnot(sum, before)));
    sum = f32x4.add(sum, v128.load(eight + (<usize>i << 4)));
  }
  v128.store(at, sum);
}

/** da_k −= σ(a_k)·dSums[k]. */
function addLogits(da: usize, rowBytes: usize, seqlen: u32): void {
  const lineBytes = <usize>tokens << 2;
  for (let at: usize = 0; at < lineBytes; at += 16) {
    v128.store(logits + at, sigmoid4(v128.load(logits + at)));
  }
  for (let t: u32 = 0; t < seqlen; t++) {
    const slope = load<f32>(logits + (<usize>t << 2)) * sumOf(v128.load(dSums + (<usize>t << 4)));
    store<f32>(da, load<f32>(da) - slope);
    da += rowBytes;
  }
}

function sumDiagonal(rows: usize, lineBytes: usize, seqlen: u32): f32 {
  let sum: f64 = 0;
  for (let t: u32 = 0; t < seqlen; t++) {
    sum += <f64>load<f32>(rows);
    rows += lineBytes + 4;
  }
  return <f32>sum;
}
