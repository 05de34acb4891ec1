/** Sums over many rows or numbers, in an order that neither threads nor their turns change. */

import { GRADIENT_ROWS, SQUARES_BLOCK } from '../../training/abiLayers';
import { next, runOf, take } from '../share';

/** Columns that a thread takes at a time: one line of the cache. */
const COLUMNS: u32 = 16;

/**
 * y[i] += Σ_rows x[row, i]: sums of GRADIENT_ROWS rows, and the sum of these.
 *
 * @param x rows (rows, xStride), of which `width` columns are read
 * @param y (width)
 */
export function columnSums(
  x: usize,
  xStride: u32,
  width: u32,
  y: usize,
  rows: u32,
  thread: u32,
  threads: u32,
): void {
  const xBytes = <usize>xStride << 2;
  const items = (width + COLUMNS - 1) / COLUMNS;
  const run = runOf(items, threads);
  for (let item = take(run); item < items; item = next(item, run)) {
    const first = item * COLUMNS;
    const last = min<u32>(first + COLUMNS, width);
    // buffers have whole panels of eight columns
    for (let column = first; column < last; column += 8) {
      const at = <usize>column << 2;
      let t0 = f32x4.splat(0);
      let t1 = f32x4.splat(0);
      let from = x + at;
      for (let row: u32 = 0; row < rows; row += GRADIENT_ROWS) {
        const end = from + min<u32>(GRADIENT_ROWS, rows - row) * xBytes;
        let s0 = f32x4.splat(0);
        let s1 = f32x4.splat(0);
        for (; from < end; from += xBytes) {
          s0 = f32x4.add(s0, v128.load(from));
          s1 = f32x4.add(s1, v128.load(from, 16));
        }
        t0 = f32x4.add(t0, s0);
        t1 = f32x4.add(t1, s1);
      }
      v128.store(y + at, f32x4.add(v128.load(y + at), t0));
      v128.store(y + at, f32x4.add(v128.load(y + at, 16), t1), 16);
    }
  }
}

/**
 * Σ x² of every SQUARES_BLOCK numbers, in float64.
 *
 * @param sums one float64 for each block
 */
export function squares(x: usize, count: u32, sums: usize, thread: u32, threads: u32): void {
  const items = (count + SQUARES_BLOCK - 1) / SQUARES_BLOCK;
  const run = runOf(items, threads);
  for (let item = take(run); item < items; item = next(item, run)) {
    const first = item * SQUARES_BLOCK;
    // buffers have whole panels of eight numbers
    const end = x + (<usize>min<u32>(first + SQUARES_BLOCK, count) << 2);
    let low = f64x2.splat(0);
    let high = f64x2.splat(0);
    for (let at = x + (<usize>first << 2); at < end; at += 16) {
      const v = v128.load(at);
      const a = f64x2.promote_low_f32x4(v);
      const b = f64x2.promote_low_f32x4(v128.shuffle<f32>(v, v, 2, 3, 0, 1));
      low = f64x2.add(low, f64x2.mul(a, a));
      high = f64x2.add(high, f64x2.mul(b, b));
    }
    const sum = f64x2.add(low, high);
    store<f64>(sums + (<usize>item << 3), f64x2.extract_lane(sum, 0) + f64x2.extract_lane(sum, 1));
  }
}

/** y = Σ of some float64, in order; one thread's work. */
export function total(sums: usize, count: u32, y: usize, thread: u32): void {
  if (thread != 0) return;
  let sum: f64 = 0;
  for (let i: u32 = 0; i < count; i++) sum += load<f64>(sums + (<usize>i << 3));
  store<f32>(y, <f32>sum);
}
