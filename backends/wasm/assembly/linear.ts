/**
 * y = W·x + b, and what is added to it. Float32 weights in panels of eight outputs: [panel][dIn][8].
 *
 * Each output is one sum over dIn in order, whatever the rows beside it, so results do not depend on the batch.
 */

import { PANEL } from '../abi';
import { fma4 } from './elementary';
import { shareOf } from './share';

const PANEL_BYTES: usize = PANEL << 2;

/**
 * @param x rows (rows, xStride), of which dIn columns are read
 * @param weight packed panels
 * @param bias (dOut, padded to panels), or 0
 * @param residual rows that are added, or 0
 * @param y rows (rows, yStride), yStride ≥ dOut padded to panels
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
  rows: u32,
  thread: u32,
  threads: u32,
): void {
  const panels = (dOut + PANEL - 1) / PANEL;
  const end = shareOf(panels, thread + 1, threads);
  const xBytes = <usize>xStride << 2;
  const yBytes = <usize>yStride << 2;
  const rBytes = <usize>residualStride << 2;
  const wBytes = <usize>dIn * PANEL_BYTES;
  let p = shareOf(panels, thread, threads);
  while (p < end) {
    const w = weight + <usize>p * wBytes;
    const column = <usize>p * PANEL_BYTES;
    const b = bias ? bias + column : 0;
    const r = residual ? residual + column : 0;
    let row: u32 = 0;
    if (rows >= 4) {
      for (; row + 4 <= rows; row += 4) {
        fourRows(x + row * xBytes, xBytes, dIn, w, b, r ? r + row * rBytes : 0, rBytes, y + column + row * yBytes, yBytes);
      }
    } 
    for (; row < rows; row++) {
      oneRow(x + row * xBytes, dIn, w, b, r ? r + row * rBytes : 0, y + column + row * yBytes);
    }
    p++;
  }
}

function fourRows(
  x0: usize,
  xBytes: usize,
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
  let x1 = x0 + xBytes;
  let x2 = x1 + xBytes;
  let x3 = x2 + xBytes;
  const end = w + <usize>dIn * PANEL_BYTES;
  // not unrolled: with the loads of two steps ahead of it the compiler has one register too few, and spills a sum
  while (w < end) {
    const a = v128.load(w);
    const b = v128.load(w, 16);
    let v = v128.load32_splat(x0);
    s00 = fma4(v, a, s00);
    s01 = fma4(v, b, s01);
    v = v128.load32_splat(x1);
    s10 = fma4(v, a, s10);
    s11 = fma4(v, b, s11);
    v = v128.load32_splat(x2);
    s20 = fma4(v, a, s20);
    s21 = fma4(v, b, s21);
    v = v128.load32_splat(x3);
    s30 = fma4(v, a, s30);
    s31 = fma4(v, b, s31);
    w += PANEL_BYTES;
    x0 += 4;
    x1 += 4;
    x2 += 4;
    x3 += 4;
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

function oneRow(x: usize, dIn: u32, w: usize, bias: usize, residual: usize, y: usize): void {
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
