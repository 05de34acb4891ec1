/**
 * y = W·x + b with 8-bit weights: every BLOCK of 32 inputs of an output has a scale. x is quantised as well
 * (quantise.ts), and products are summed as integers, in one of two ways:
 *
 *   pairs   x ≈ s·u, u of 16 bits: Σ w·x = scale·s·Σ q·u, two products at a time (SIMD128's dot_i16x8).
 *           Panel: per block scales [8], then q [16 pairs][8][2].
 *   quads   x ≈ s·u + m, u of 7 bits: Σ w·x = scale·(s·Σ q·u + m·Σ q), four at a time (relaxed SIMD's dot_i8x16_i7x16).
 *           Panel: per block scales [8], scale·Σ q [8], then q [8 quads][8][4].
 *
 * A processor that multiplies bytes (VNNI) is faster with quads; others, and precision, are better off with pairs. Each
 * output is one sum in order whatever the rows beside it.
 */

import { BLOCK, PANEL } from '../abi';
import { fma4 } from './elementary';
import { put } from './linear';
import { fourRowsOfQuads, oneRowOfQuads } from './linearQuads';
import { next, runOf, take } from './share';

const SCALES: usize = PANEL << 2;
const NUMBERS: usize = PANEL * BLOCK;
const PAIRS_BLOCK: usize = SCALES + NUMBERS;
const QUADS_BLOCK: usize = 2 * SCALES + NUMBERS;
/** Bytes of a block of numbers of 16 bits. */
const X_PAIRS: usize = 8 + 2 * BLOCK;

/**
 * @param x rows of what quantise made
 * @param xBytes bytes from one row to the next
 * @param weight packed panels
 * @param bias (dOut, padded to panels), or 0
 * @param residual rows that are added, or 0
 * @param y rows (rows, yStride), yStride ≥ dOut padded to panels
 * @param isQuads which way
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
  isQuads: u32,
  rows: u32,
  thread: u32,
  threads: u32,
): void {
  const panels = (dOut + PANEL - 1) / PANEL;
  const blocks = dIn / BLOCK;
  const panelBytes = <usize>blocks * (isQuads ? QUADS_BLOCK : PAIRS_BLOCK);
  const yBytes = <usize>yStride << 2;
  const rBytes = <usize>residualStride << 2;
  // few rows are read through once, from memory: each thread had best stay in one place
  const run = rows < 4 ? (panels + threads - 1) / threads : runOf(panels, threads);
  for (let p = take(run); p < panels; p = next(p, run)) {
    const w = weight + <usize>p * panelBytes;
    const column = <usize>p * (PANEL << 2);
    const b = bias ? bias + column : 0;
    const r = residual ? residual + column : 0;
    let row: u32 = 0;
    for (; row + 4 <= rows; row += 4) {
      const own = r ? r + row * rBytes : 0;
      const from = x + row * xBytes;
      const to = y + column + row * yBytes;
      if (isQuads) fourRowsOfQuads(from, xBytes, blocks, w, b, own, rBytes, to, yBytes);
      else fourRowsOfPairs(from, blocks, w, b, own, rBytes, to, yBytes);
    }
    for (; row < rows; row++) {
      const own = r ? r + row * rBytes : 0;
      const from = x + row * xBytes;
      const to = y + column + row * yBytes;
      if (isQuads) oneRowOfQuads(from, blocks, w, b, own, to);
      else oneRowOfPairs(from, blocks, w, b, own, to);
    }
  }
}

/** sums + dots·s·scale. */
// @ts-ignore: decorator
@inline
function times(dots: v128, scale: v128, s: v128, sums: v128): v128 {
  return fma4(f32x4.mul(f32x4.convert_i32x4_s(dots), s), scale, sums);
}

function oneRowOfPairs(
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
    let u = x + 8;
    const end = u + 2 * BLOCK;
    let q = w + SCALES;
    while (u < end) {
      const v = v128.load32_splat(u);
      d0 = i32x4.add(i32x4.dot_i16x8_s(v128.load8x8_s(q), v), d0);
      d1 = i32x4.add(i32x4.dot_i16x8_s(v128.load8x8_s(q, 8), v), d1);
      q += 16;
      u += 4;
    }
    const s = v128.load32_splat(x);
    sum0 = times(d0, v128.load(w), s, sum0);
    sum1 = times(d1, v128.load(w, 16), s, sum1);
    w += PAIRS_BLOCK;
    x += X_PAIRS;
  }
  put(y, residual, sum0, sum1);
}

/** Four rows, interleaved, by one panel; each as in {@link oneRowOfPairs}, to the bit. */
function fourRowsOfPairs(
  x: usize,
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
  for (let block: u32 = 0; block < blocks; block++) {
    let d00 = i32x4.splat(0);
    let d01 = d00;
    let d10 = d00;
    let d11 = d00;
    let d20 = d00;
    let d21 = d00;
    let d30 = d00;
    let d31 = d00;
    let q = w + SCALES;
    let u = x + 16;
    const end = q + NUMBERS;
    while (q < end) {
      const a = v128.load8x8_s(q);
      const b = v128.load8x8_s(q, 8);
      let v = v128.load32_splat(u);
      d00 = i32x4.add(i32x4.dot_i16x8_s(a, v), d00);
      d01 = i32x4.add(i32x4.dot_i16x8_s(b, v), d01);
      v = v128.load32_splat(u, 4);
      d10 = i32x4.add(i32x4.dot_i16x8_s(a, v), d10);
      d11 = i32x4.add(i32x4.dot_i16x8_s(b, v), d11);
      v = v128.load32_splat(u, 8);
      d20 = i32x4.add(i32x4.dot_i16x8_s(a, v), d20);
      d21 = i32x4.add(i32x4.dot_i16x8_s(b, v), d21);
      v = v128.load32_splat(u, 12);
      d30 = i32x4.add(i32x4.dot_i16x8_s(a, v), d30);
      d31 = i32x4.add(i32x4.dot_i16x8_s(b, v), d31);
      q += 16;
      u += 16;
    }
    const a = v128.load(w);
    const b = v128.load(w, 16);
    let s = v128.load32_splat(x);
    s00 = times(d00, a, s, s00);
    s01 = times(d01, b, s, s01);
    s = v128.load32_splat(x, 4);
    s10 = times(d10, a, s, s10);
    s11 = times(d11, b, s, s11);
    s = v128.load32_splat(x, 8);
    s20 = times(d20, a, s, s20);
    s21 = times(d21, b, s, s21);
    s = v128.load32_splat(x, 12);
    s30 = times(d30, a, s, s30);
    s31 = times(d31, b, s, s31);
    w += PAIRS_BLOCK;
    x += 4 * X_PAIRS;
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
  isQuads: u32,
  to: usize,
): void {
  const blocks = dModel / BLOCK;
  const lane = <usize>(row % PANEL);
  const blockBytes = isQuads ? QUADS_BLOCK : PAIRS_BLOCK;
  let w = table + <usize>(row / PANEL) * blocks * blockBytes;
  for (let block: u32 = 0; block < blocks; block++) {
    const scale = load<f32>(w + (lane << 2));
    const q = w + (isQuads ? 2 * SCALES : SCALES);
    for (let k: usize = 0; k < <usize>BLOCK; k++) {
      const at = isQuads
        ? (k >> 2) * (4 * PANEL) + (lane << 2) + (k & 3)
        : (k >> 1) * (2 * PANEL) + (lane << 1) + (k & 1);
      store<f32>(to, scale * <f32>load<i8>(q + at));
      to += 4;
    }
    w += blockBytes;
  }
}
