/**
 * y = W·x + b with 8-bit weights: every BLOCK of 32 inputs of an output has a scale. In two ways:
 *
 *   widened   w = scale·q in float32, then as in linear.ts. Panel: per block scales [8], then q [32][8].
 *   dots      x is quantised too (quantise.ts: x ≈ s·u + m, u from 0 to 127), and products are summed as integers:
 *             Σ w·x = scale·(s·Σ q·u + m·Σ q). Panel: per block scales [8], scale·Σ q [8], then q [8 quads][8][4].
 *
 * Each output is one sum in order whatever the rows beside it, in either way.
 */

import { BLOCK, PANEL } from '../abi';
import { fma4 } from './elementary';
import { fourRows, oneRow, put } from './linear';
import { shareOf } from './share';

const SCALES: usize = PANEL << 2;
const NUMBERS: usize = PANEL * BLOCK;
const WIDENED_BLOCK: usize = SCALES + NUMBERS;
const DOT_BLOCK: usize = 2 * SCALES + NUMBERS;

/**
 * @param x rows of numbers, or of what quantise made of them
 * @param xBytes bytes from one row to the next
 * @param weight packed panels
 * @param bias (dOut, padded to panels), or 0
 * @param residual rows that are added, or 0
 * @param y rows (rows, yStride), yStride ≥ dOut padded to panels
 * @param scratch room for a widened panel of each thread
 */
export function linearInt8(
  x: usize,
  xBytes: u32,
  dIn: u32,
  weight: usize,
  dOut: u32,
  bias: usize,
  residual: usize,
  residualStride: u32,
  y: usize,
  yStride: u32,
  scratch: usize,
  scratchPerThread: u32,
  hasDots: u32,
  rows: u32,
  thread: u32,
  threads: u32,
): void {
  const panels = (dOut + PANEL - 1) / PANEL;
  const blocks = dIn / BLOCK;
  const panelBytes = <usize>blocks * (hasDots ? DOT_BLOCK : WIDENED_BLOCK);
  const end = shareOf(panels, thread + 1, threads);
  const yBytes = <usize>yStride << 2;
  const rBytes = <usize>residualStride << 2;
  const wide = scratch + thread * scratchPerThread;
  for (let p = shareOf(panels, thread, threads); p < end; p++) {
    const w = weight + <usize>p * panelBytes;
    const column = <usize>p * (PANEL << 2);
    const b = bias ? bias + column : 0;
    const r = residual ? residual + column : 0;
    const isWidened = !hasDots && rows > 1;
    if (isWidened) widen(wide, w, blocks);
    let row: u32 = 0;
    for (; row + 4 <= rows; row += 4) {
      const own = r ? r + row * rBytes : 0;
      const from = x + row * xBytes;
      const to = y + column + row * yBytes;
      if (isWidened) fourRows(from, xBytes, dIn, wide, b, own, rBytes, to, yBytes);
      else fourRowsOfDots(from, xBytes, blocks, w, b, own, rBytes, to, yBytes);
    }
    for (; row < rows; row++) {
      const own = r ? r + row * rBytes : 0;
      const from = x + row * xBytes;
      const to = y + column + row * yBytes;
      if (isWidened) oneRow(from, dIn, wide, b, own, to);
      else if (hasDots) oneRowOfDots(from, blocks, w, b, own, to);
      else oneRowWidening(from, blocks, w, b, own, to);
    }
  }
}

/** A panel as float32 [dIn][8]. */
function widen(to: usize, w: usize, blocks: u32): void {
  for (let block: u32 = 0; block < blocks; block++) {
    const s0 = v128.load(w);
    const s1 = v128.load(w, 16);
    w += SCALES;
    const end = w + NUMBERS;
    for (; w < end; w += 8) {
      const q = v128.load8x8_s(w);
      v128.store(to, f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(q)), s0));
      v128.store(to, f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(q)), s1), 16);
      to += 32;
    }
  }
}

/** One row by one panel, widened on the way: the same operations as {@link widen} and {@link oneRow}. */
function oneRowWidening(
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
    const s0 = v128.load(w);
    const s1 = v128.load(w, 16);
    w += SCALES;
    const end = w + NUMBERS;
    for (; w < end; w += 8) {
      const q = v128.load8x8_s(w);
      const v = v128.load32_splat(x);
      sum0 = fma4(v, f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(q)), s0), sum0);
      sum1 = fma4(v, f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(q)), s1), sum1);
      x += 4;
    }
  }
  put(y, residual, sum0, sum1);
}

/** Four products of 4 bits of 8 with 4 of 7 each, added to four sums. */
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

function oneRowOfDots(
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
    w += DOT_BLOCK;
    x += BLOCK + 8;
  }
  put(y, residual, sum0, sum1);
}

function fourRowsOfDots(
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
    w += DOT_BLOCK;
    x0 += BLOCK + 8;
    x1 += BLOCK + 8;
    x2 += BLOCK + 8;
    x3 += BLOCK + 8;
  }
  put(y, residual, s00, s01);
  put(y + yBytes, residual ? residual + residualBytes : 0, s10, s11);
  put(y + 2 * yBytes, residual ? residual + 2 * residualBytes : 0, s20, s21);
  put(y + 3 * yBytes, residual ? residual + 3 * residualBytes : 0, s30, s31);
}

/** A row of a table in 8-bit panels as float32: what an embedding looks up. */
export function rowOfTable(
  table: usize,
  row: u32,
  dModel: u32,
  hasDots: u32,
  to: usize,
): void {
  const blocks = dModel / BLOCK;
  const lane = <usize>(row % PANEL);
  const blockBytes = hasDots ? DOT_BLOCK : WIDENED_BLOCK;
  let w = table + <usize>(row / PANEL) * blocks * blockBytes;
  for (let block: u32 = 0; block < blocks; block++) {
    const scale = load<f32>(w + (lane << 2));
    const q = w + (hasDots ? 2 * SCALES : SCALES);
    for (let k: usize = 0; k < <usize>BLOCK; k++) {
      const at = hasDots ? (k >> 2) * (4 * PANEL) + (lane << 2) + (k & 3) : k * PANEL + lane;
      store<f32>(to, scale * <f32>load<i8>(q + at));
      to += 4;
    }
    w += blockBytes;
  }
}
