/** Products of 8-bit weights with numbers of 7 bits, four at a time: linearInt8.ts says how panels and rows lie. */

import { BLOCK, PANEL } from '../abi';
import { fma4 } from './elementary';
import { put } from './linear';

const SCALES: usize = PANEL << 2;
const QUADS_BLOCK: usize = 2 * SCALES + PANEL * BLOCK;
const X_QUADS: usize = 8 + BLOCK;

/** Four sums of four products each, of 8 bits by 7, added to four sums. */
// @ts-ignore: decorator
@inline
function dot(weights: v128, x: v128, sums: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return i32x4.relaxed_dot_i8x16_i7x16_add_s(weights, x, sums);
  unreachable();
  return sums;
}

/** sums + scale·(s·dots + m·Σ q). */
// @ts-ignore: decorator
@inline
function scaled(dots: v128, scale: v128, scaleSum: v128, s: v128, m: v128, sums: v128): v128 {
  return fma4(f32x4.mul(f32x4.convert_i32x4_s(dots), s), scale, fma4(m, scaleSum, sums));
}

/** One row by one panel. */
export function oneRowOfQuads(
  x: usize,
  blocks: u32,
  w: usize,
  bias: usize,
  residual: usize,
  y: usize,
): void {
  let sum0 = bias ? v128.load(bias) : f32x4.splat(0);
  let sum1 = bias ? v128.load(bias, 16) : f32x4.splat(0);
  for (let block: u32 = 0; block < blocks; block++) {
    let d0 = i32x4.splat(0);
    let d1 = d0;
    const q = w + 2 * SCALES;
    for (let quad: usize = 0; quad < <usize>BLOCK; quad += 8) {
      let v = v128.load32_splat(x + quad, 8);
      d0 = dot(v128.load(q + 8 * quad), v, d0);
      d1 = dot(v128.load(q + 8 * quad, 16), v, d1);
      v = v128.load32_splat(x + quad, 12);
      d0 = dot(v128.load(q + 8 * quad, 32), v, d0);
      d1 = dot(v128.load(q + 8 * quad, 48), v, d1);
    }
    const s = v128.load32_splat(x);
    const m = v128.load32_splat(x, 4);
    sum0 = scaled(d0, v128.load(w), v128.load(w, 32), s, m, sum0);
    sum1 = scaled(d1, v128.load(w, 16), v128.load(w, 48), s, m, sum1);
    w += QUADS_BLOCK;
    x += X_QUADS;
  }
  put(y, residual, sum0, sum1);
}

/** Four rows by one panel; each row as in {@link oneRowOfQuads}, to the bit. */
export function fourRowsOfQuads(
  x0: usize,
  xBytes: usize,
  blocks: u32,
  w: usize,
  bias: usize,
  residual: usize,
  residualBytes: usize,
  y: usize,
  yBytes: usize,
): void {
  let s00 = bias ? v128.load(bias) : f32x4.splat(0);
  let s01 = bias ? v128.load(bias, 16) : f32x4.splat(0);
  let s10 = s00;
  let s11 = s01;
  let s20 = s00;
  let s21 = s01;
  let s30 = s00;
  let s31 = s01;
  let x1 = x0 + xBytes;
  let x2 = x1 + xBytes;
  let x3 = x2 + xBytes;
  for (let block: u32 = 0; block < blocks; block++) {
    let d00 = i32x4.splat(0);
    let d01 = d00;
    let d10 = d00;
    let d11 = d00;
    let d20 = d00;
    let d21 = d00;
    let d30 = d00;
    let d31 = d00;
    const q = w + 2 * SCALES;
    for (let quad: usize = 0; quad < <usize>BLOCK; quad += 4) {
      const a = v128.load(q + 8 * quad);
      const b = v128.load(q + 8 * quad, 16);
      let v = v128.load32_splat(x0 + quad, 8);
      d00 = dot(a, v, d00);
      d01 = dot(b, v, d01);
      v = v128.load32_splat(x1 + quad, 8);
      d10 = dot(a, v, d10);
      d11 = dot(b, v, d11);
      v = v128.load32_splat(x2 + quad, 8);
      d20 = dot(a, v, d20);
      d21 = dot(b, v, d21);
      v = v128.load32_splat(x3 + quad, 8);
      d30 = dot(a, v, d30);
      d31 = dot(b, v, d31);
    }
    const a = v128.load(w);
    const b = v128.load(w, 16);
    const sumA = v128.load(w, 32);
    const sumB = v128.load(w, 48);
    let s = v128.load32_splat(x0);
    let m = v128.load32_splat(x0, 4);
    s00 = scaled(d00, a, sumA, s, m, s00);
    s01 = scaled(d01, b, sumB, s, m, s01);
    s = v128.load32_splat(x1);
    m = v128.load32_splat(x1, 4);
    s10 = scaled(d10, a, sumA, s, m, s10);
    s11 = scaled(d11, b, sumB, s, m, s11);
    s = v128.load32_splat(x2);
    m = v128.load32_splat(x2, 4);
    s20 = scaled(d20, a, sumA, s, m, s20);
    s21 = scaled(d21, b, sumB, s, m, s21);
    s = v128.load32_splat(x3);
    m = v128.load32_splat(x3, 4);
    s30 = scaled(d30, a, sumA, s, m, s30);
    s31 = scaled(d31, b, sumB, s, m, s31);
    w += QUADS_BLOCK;
    x0 += X_QUADS;
    x1 += X_QUADS;
    x2 += X_QUADS;
    x3 += X_QUADS;
  }
  put(y, residual, s00, s01);
  put(y + yBytes, residual ? residual + residualBytes : 0, s10, s11);
  put(y + 2 * yBytes, residual ? residual + 2 * residualBytes : 0, s20, s21);
  put(y + 3 * yBytes, residual ? residual + 3 * residualBytes : 0, s30, s31);
}
