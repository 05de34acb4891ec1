/**
 * y = W·x + b, and what is added to it. Float32 weights in panels of eight outputs: [panel][dIn][8].
 *
 * Each output is one sum over dIn in order, whatever the rows beside it, so results do not depend on the batch.
 */

import { PANEL } from '../abi';
import { fma4 } from './elementary';
import { next, runOf, take } from './share';

const PANEL_BYTES: usize = PANEL << 2;

/**
 * @param x rows (rows, xStride), of which dIn columns are read
 * @param weight packed panels
 * @param bias (dOut, padded to panels), or 0
 * @param residual rows that are added, or 0
 * @param y rows (rows, yStride), yStride ≥ dOut padded to panels
 * @param scratch of each thread, room for the rows that come in fours: 4·dIn numbers each
 */
export function linear(
  x: usize,
  xStride: u32,
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
  rows: u32,
  thread: u32,
  threads: u32,
): void {
  const panels = (dOut + PANEL - 1) / PANEL;
  const xBytes = <usize>xStride << 2;
  const yBytes = <usize>yStride << 2;
  const rBytes = <usize>residualStride << 2;
  const wBytes = <usize>dIn * PANEL_BYTES;
  const fours = rows & ~3;
  const own = scratch + <usize>thread * scratchPerThread;
  const tileBytes = <usize>dIn << 4;
  // few rows are read through once, from memory: each thread had best stay in one place
  const run = rows < 4 ? (panels + threads - 1) / threads : runOf(panels, threads);
  let p = take(run);
  if (p < panels) interleave(own, 16, x, xBytes, dIn, fours);
  for (; p < panels; p = next(p, run)) {
    const w = weight + <usize>p * wBytes;
    const column = <usize>p * PANEL_BYTES;
    const b = bias ? bias + column : 0;
    const r = residual ? residual + column : 0;
    let row: u32 = 0;
    for (let tile = own; row < fours; row += 4) {
      fourRows(tile, dIn, w, b, r ? r + row * rBytes : 0, rBytes, y + column + row * yBytes, yBytes);
      tile += tileBytes;
    }
    for (; row < rows; row++) {
      oneRow(x + row * xBytes, dIn, w, b, r ? r + row * rBytes : 0, y + column + row * yBytes);
    }
  }
}

/**
 * Rows in fours, their numbers side by side: [four rows][dIn][4]. One address instead of four in the innermost loop,
 * which is as long as its instructions are many; every panel reads them again.
 *
 * @param apart bytes from four numbers to the next four
 */
export function interleave(
  to: usize,
  apart: usize,
  x: usize,
  xBytes: usize,
  dIn: u32,
  fours: u32,
): void {
  for (let row: u32 = 0; row < fours; row += 4) {
    let x0 = x + row * xBytes;
    let x1 = x0 + xBytes;
    let x2 = x1 + xBytes;
    let x3 = x2 + xBytes;
    let k: u32 = 0;
    for (; k + 4 <= dIn; k += 4) {
      const a = v128.load(x0);
      const b = v128.load(x1);
      const c = v128.load(x2);
      const d = v128.load(x3);
      const ab0 = v128.shuffle<f32>(a, b, 0, 4, 1, 5);
      const ab1 = v128.shuffle<f32>(a, b, 2, 6, 3, 7);
      const cd0 = v128.shuffle<f32>(c, d, 0, 4, 1, 5);
      const cd1 = v128.shuffle<f32>(c, d, 2, 6, 3, 7);
      v128.store(to, v128.shuffle<f64>(ab0, cd0, 0, 2));
      v128.store(to + apart, v128.shuffle<f64>(ab0, cd0, 1, 3));
      v128.store(to + 2 * apart, v128.shuffle<f64>(ab1, cd1, 0, 2));
      v128.store(to + 3 * apart, v128.shuffle<f64>(ab1, cd1, 1, 3));
      to += 4 * apart;
      x0 += 16;
      x1 += 16;
      x2 += 16;
      x3 += 16;
    }
    for (; k < dIn; k++) {
      store<f32>(to, load<f32>(x0));
      store<f32>(to, load<f32>(x1), 4);
      store<f32>(to, load<f32>(x2), 8);
      store<f32>(to, load<f32>(x3), 12);
      to += apart;
      x0 += 4;
      x1 += 4;
      x2 += 4;
      x3 += 4;
    }
  }
}

/** Four rows, interleaved, by one panel. */
export function fourRows(
  x: usize,
  dIn: u32,
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
  const end = w + <usize>dIn * PANEL_BYTES;
  // not unrolled: with the loads of two steps ahead of it the compiler has one register too few, and spills a sum
  while (w < end) {
    const a = v128.load(w);
    const b = v128.load(w, 16);
    let v = v128.load32_splat(x);
    s00 = fma4(v, a, s00);
    s01 = fma4(v, b, s01);
    v = v128.load32_splat(x, 4);
    s10 = fma4(v, a, s10);
    s11 = fma4(v, b, s11);
    v = v128.load32_splat(x, 8);
    s20 = fma4(v, a, s20);
    s21 = fma4(v, b, s21);
    v = v128.load32_splat(x, 12);
    s30 = fma4(v, a, s30);
    s31 = fma4(v, b, s31);
    w += PANEL_BYTES;
    x += 16;
  }
  put(y, residual, s00, s01);
  put(y + yBytes, residual ? residual + residualBytes : 0, s10, s11);
  put(y + 2 * yBytes, residual ? residual + 2 * residualBytes : 0, s20, s21);
  put(y + 3 * yBytes, residual ? residual + 3 * residualBytes : 0, s30, s31);
}

// @ts-ignore: decorator
@inline
export function put(y: usize, residual: usize, s0: v128, s1: v128): void {
  if (residual) {
    v128.store(y, f32x4.add(v128.load(residual), s0));
    v128.store(y, f32x4.add(v128.load(residual, 16), s1), 16);
  } else {
    v128.store(y, s0);
    v128.store(y, s1, 16);
  }
}

export function oneRow(x: usize, dIn: u32, w: usize, bias: usize, residual: usize, y: usize): void {
  let s0 = bias ? v128.load(bias) : f32x4.splat(0);
  let s1 = bias ? v128.load(bias, 16) : f32x4.splat(0);
  const end = w + <usize>dIn * PANEL_BYTES;
  while (w < end) {
    const v = v128.load32_splat(x);
    s0 = fma4(v, v128.load(w), s0);
    s1 = fma4(v, v128.load(w, 16), s1);
    w += 32;
    x += 4;
  }
  put(y, residual, s0, s1);
}
