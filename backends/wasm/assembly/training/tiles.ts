/**
 * Small products of matrices, and the layouts in which they are fast: heads are copied out of their rows, padded with
 * zeros to whole panels of eight columns, and interleaved in fours or eights of rows.
 */

import { fma4 } from '../elementary';
import { orElse } from '../lanes';
import { storeSome } from '../share';

/** Columns of a head that is copied, in bytes. */
// @ts-ignore: decorator
@inline
export function paddedBytes(width: u32): usize {
  return <usize>((width + 7) & ~7) << 2;
}

/**
 * c = aᵀ·b, or c + aᵀ·b: a (n, 4), b (n, 8), c (4, 8), each with its rows so many bytes apart. Every number is one sum
 * over n in order. Eight vectors of sums at most, so that they, the operands and a product stay in the sixteen registers
 * of x86.
 */
export function tile(
  a: usize,
  aBytes: usize,
  n: u32,
  b: usize,
  bBytes: usize,
  c: usize,
  cBytes: usize,
  adds: bool,
): void {
  const c1 = c + cBytes;
  const c2 = c1 + cBytes;
  const c3 = c2 + cBytes;
  let s0 = f32x4.splat(0);
  let t0 = s0;
  let s1 = s0;
  let t1 = s0;
  let s2 = s0;
  let t2 = s0;
  let s3 = s0;
  let t3 = s0;
  if (adds) {
    s0 = v128.load(c);
    t0 = v128.load(c, 16);
    s1 = v128.load(c1);
    t1 = v128.load(c1, 16);
    s2 = v128.load(c2);
    t2 = v128.load(c2, 16);
    s3 = v128.load(c3);
    t3 = v128.load(c3, 16);
  }
  for (const end = a + <usize>n * aBytes; a < end; a += aBytes) {
    const s = v128.load(b);
    const t = v128.load(b, 16);
    const a0 = v128.load32_splat(a);
    s0 = fma4(a0, s, s0);
    t0 = fma4(a0, t, t0);
    const a1 = v128.load32_splat(a, 4);
    s1 = fma4(a1, s, s1);
    t1 = fma4(a1, t, t1);
    const a2 = v128.load32_splat(a, 8);
    s2 = fma4(a2, s, s2);
    t2 = fma4(a2, t, t2);
    const a3 = v128.load32_splat(a, 12);
    s3 = fma4(a3, s, s3);
    t3 = fma4(a3, t, t3);
    b += bBytes;
  }
  v128.store(c, s0);
  v128.store(c, t0, 16);
  v128.store(c1, s1);
  v128.store(c1, t1, 16);
  v128.store(c2, s2);
  v128.store(c2, t2, 16);
  v128.store(c3, s3);
  v128.store(c3, t3, 16);
}

/**
 * A head's rows times a factor, padded to whole panels of columns and to `toRows` rows with zeros.
 *
 * @param from its first number; rows rowBytes apart
 */
export function copyHead(
  from: usize,
  rowBytes: usize,
  rows: u32,
  width: u32,
  factor: f32,
  to: usize,
  toRows: u32,
): void {
  const f = f32x4.splat(factor);
  const zero = f32x4.splat(0);
  const toBytes = paddedBytes(width);
  for (let row: u32 = 0; row < rows; row++) {
    let i: u32 = 0;
    for (; i + 4 <= width; i += 4) {
      v128.store(to + (<usize>i << 2), f32x4.mul(v128.load(from + (<usize>i << 2)), f));
    }
    if (i < width) {
      const last = orElse(v128.load(from + (<usize>i << 2)), width - i, 0);
      v128.store(to + (<usize>i << 2), f32x4.mul(last, f));
      i += 4;
    }
    if (<usize>i << 2 < toBytes) v128.store(to + (<usize>i << 2), zero);
    from += rowBytes;
    to += toBytes;
  }
  memory.fill(to, 0, <usize>(toRows - rows) * toBytes);
}

/** Adds copied rows times a factor to a head's rows; the other way of {@link copyHead}. */
export function addHead(
  from: usize,
  rows: u32,
  width: u32,
  factor: f32,
  to: usize,
  rowBytes: usize,
): void {
  const f = f32x4.splat(factor);
  const fromBytes = paddedBytes(width);
  for (let row: u32 = 0; row < rows; row++) {
    for (let i: u32 = 0; i < width; i += 4) {
      const at = <usize>i << 2;
      const sum = f32x4.add(v128.load(to + at), f32x4.mul(v128.load(from + at), f));
      storeSome(to + at, width - i, sum);
    }
    from += fromBytes;
    to += rowBytes;
  }
}

/** Four rows of four numbers, columns for rows. */
// @ts-ignore: decorator
@inline
export function transpose(from: usize, fromBytes: usize, to: usize, toBytes: usize): void {
  const a = v128.load(from);
  const b = v128.load(from + fromBytes);
  const c = v128.load(from + 2 * fromBytes);
  const d = v128.load(from + 3 * fromBytes);
  const ab = v128.shuffle<f32>(a, b, 0, 4, 1, 5);
  const cd = v128.shuffle<f32>(c, d, 0, 4, 1, 5);
  v128.store(to, v128.shuffle<f64>(ab, cd, 0, 2));
  v128.store(to + toBytes, v128.shuffle<f64>(ab, cd, 1, 3));
  const abLast = v128.shuffle<f32>(a, b, 2, 6, 3, 7);
  const cdLast = v128.shuffle<f32>(c, d, 2, 6, 3, 7);
  v128.store(to + 2 * toBytes, v128.shuffle<f64>(abLast, cdLast, 0, 2));
  v128.store(to + 3 * toBytes, v128.shuffle<f64>(abLast, cdLast, 1, 3));
}

/**
 * Copied rows as [block of rows][column][row of the block].
 *
 * @param rows how many, a multiple of `lanes`
 * @param lanes rows of a block, 4 or 8
 */
export function interleave(from: usize, rowBytes: usize, rows: u32, lanes: u32, to: usize): void {
  const laneBytes = <usize>lanes << 2;
  for (let row: u32 = 0; row < rows; row += 4) {
    const inBlock = row % lanes;
    let at = to + <usize>(row - inBlock) * rowBytes + (<usize>inBlock << 2);
    const end = from + rowBytes;
    for (let column = from; column < end; column += 16) {
      transpose(column, rowBytes, at, laneBytes);
      at += 4 * laneBytes;
    }
    from += 4 * rowBytes;
  }
}

/** Lanes of a vector of keys from `key` on that a query sees: those up to its own place. */
// @ts-ignore: decorator
@inline
export function seenLanes(query: u32, key: u32): v128 {
  return i32x4.lt_s(i32x4(0, 1, 2, 3), i32x4.splat(<i32>query + 1 - <i32>key));
}
