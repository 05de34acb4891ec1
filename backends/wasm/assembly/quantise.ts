/**
 * Numbers as whole numbers, every BLOCK of 32 of a row with a scale of its own; what is lost is at most s/2.
 *
 *   pairs   x ≈ s·u, |u| ≤ 32767, s = max|x|/32767. A block is s, 4 bytes that nobody reads, and 32 times 16 bits. Rows
 *           that come in fours are interleaved: a block of all four is their s, then [16 pairs][4 rows][2].
 *   quads   x ≈ s·u + m, u from 0 to 127, m the smallest and s = (largest − m)/127. A block is s, m and 32 bytes.
 */

import { BLOCK } from '../abi';
import { shareOf } from './share';

/** Bytes of a block of numbers of 16 bits. */
const PAIRS_BYTES: usize = 2 * BLOCK + 8;


/**
 * @param x rows (rows, xStride), of which dIn columns are read
 * @param to rows of dIn/32 blocks
 * @param isQuads which way
 */
export function quantise(
  x: usize,
  xStride: u32,
  dIn: u32,
  to: usize,
  isQuads: u32,
  rows: u32,
  thread: u32,
  threads: u32,
): void {
  const blocks = dIn / BLOCK;
  const items = rows * blocks;
  const end = shareOf(items, thread + 1, threads);
  for (let item = shareOf(items, thread, threads); item < end; item++) {
    const row = item / blocks;
    const block = item % blocks;
    const from = x + (<usize>(row * xStride) << 2) + <usize>block * (BLOCK << 2);
    if (isQuads) {
      toQuads(from, to + <usize>item * (BLOCK + 8));
    } else if (row < (rows & ~3)) {
      const four = <usize>((row & ~3) * blocks + 4 * block);
      const own = to + four * PAIRS_BYTES + ((row & 3) << 2);
      toPairs(from, own, own + 16, 16);
    } else {
      const own = to + <usize>item * PAIRS_BYTES;
      toPairs(from, own, own + 8, 4);
    }
  }
}

function toQuads(x: usize, to: usize): void {
  // min and max of WebAssembly pass NaN on: a row with NaN stays one
  let low = v128.load(x);
  let high = low;
  for (let i: usize = 16; i < <usize>(BLOCK << 2); i += 16) {
    const v = v128.load(x + i);
    low = f32x4.min(low, v);
    high = f32x4.max(high, v);
  }
  const least = min<f32>(
    min<f32>(f32x4.extract_lane(low, 0), f32x4.extract_lane(low, 1)),
    min<f32>(f32x4.extract_lane(low, 2), f32x4.extract_lane(low, 3)),
  );
  const most = max<f32>(
    max<f32>(f32x4.extract_lane(high, 0), f32x4.extract_lane(high, 1)),
    max<f32>(f32x4.extract_lane(high, 2), f32x4.extract_lane(high, 3)),
  );
  const range = most - least;
  store<f32>(to, range / 127);
  store<f32>(to, least, 4);
  const inverse = f32x4.splat(range > 0 ? 127 / range : 0);
  const offset = f32x4.splat(least);
  for (let i: usize = 0; i < <usize>BLOCK; i += 16) {
    const at = x + (i << 2);
    const a = i16x8.narrow_i32x4_s(
      above(v128.load(at), offset, inverse),
      above(v128.load(at, 16), offset, inverse),
    );
    const b = i16x8.narrow_i32x4_s(
      above(v128.load(at, 32), offset, inverse),
      above(v128.load(at, 48), offset, inverse),
    );
    v128.store(to + i, i8x16.narrow_i16x8_s(a, b), 8);
  }
}

// @ts-ignore: decorator
@inline
function above(v: v128, offset: v128, inverse: v128): v128 {
  return i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.mul(f32x4.sub(v, offset), inverse)));
}

/** @param step bytes from one pair to the next */
function toPairs(x: usize, scale: usize, to: usize, step: usize): void {
  let largest = f32x4.abs(v128.load(x));
  for (let i: usize = 16; i < <usize>(BLOCK << 2); i += 16) {
    largest = f32x4.max(largest, f32x4.abs(v128.load(x + i)));
  }
  const most = max<f32>(
    max<f32>(f32x4.extract_lane(largest, 0), f32x4.extract_lane(largest, 1)),
    max<f32>(f32x4.extract_lane(largest, 2), f32x4.extract_lane(largest, 3)),
  );
  store<f32>(scale, most / 32767);
  const inverse = f32x4.splat(most > 0 ? 32767 / most : 0);
  for (let i: usize = 0; i < <usize>(BLOCK << 2); i += 32) {
    const a = i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.mul(v128.load(x + i), inverse)));
    const b = i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.mul(v128.load(x + i, 16), inverse)));
    const pairs = i16x8.narrow_i32x4_s(a, b);
    v128.store32_lane(to, pairs, 0);
    v128.store32_lane(to + step, pairs, 1);
    v128.store32_lane(to + 2 * step, pairs, 2);
    v128.store32_lane(to + 3 * step, pairs, 3);
    to += 4 * step;
  }
}
