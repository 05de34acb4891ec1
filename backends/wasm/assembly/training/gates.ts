/** Gradients of silu, and of gates. */

import { GRADIENT_ROWS } from '../../training/abiLayers';
import { exp4, fma4 } from '../elementary';
import { next, runOf, storeSome, take } from '../share';

/** e^−|u|, from which both sigmoids come. */
// @ts-ignore: decorator
@inline
export function fadeOf(u: v128): v128 {
  return exp4(f32x4.neg(f32x4.abs(u)));
}

/** σ(u), ≤ 3 ulp. */
// @ts-ignore: decorator
@inline
export function openOf(u: v128, fade: v128): v128 {
  const one = f32x4.splat(1);
  return f32x4.div(v128.bitselect(fade, one, f32x4.lt(u, f32x4.splat(0))), f32x4.add(one, fade));
}

/** silu′(u) = σ(u)·(1 + u·σ(−u)); 1 − σ(u) would lose what is small. */
// @ts-ignore: decorator
@inline
export function slopeOf(u: v128, fade: v128, open: v128): v128 {
  const one = f32x4.splat(1);
  const isPositive = f32x4.gt(u, f32x4.splat(0));
  const shut = f32x4.div(v128.bitselect(fade, one, isPositive), f32x4.add(one, fade));
  return f32x4.mul(open, fma4(u, shut, one));
}

/**
 * Of y = x·silu(u), u = z + zBias: dx += dy·silu(u), dz += dy·x·silu′(u).
 *
 * @param x rows (rows, xStride); z, dy, dx, dz likewise
 * @param zBias (width), or 0
 * @param dx or 0
 * @param dz or 0
 * @param sums or 0; (⌈rows/GRADIENT_ROWS⌉, sumsStride): becomes the sum of each block of rows of what dz gets
 */
export function gateGradient(
  x: usize,
  xStride: u32,
  z: usize,
  zStride: u32,
  zBias: usize,
  width: u32,
  dy: usize,
  dyStride: u32,
  dx: usize,
  dxStride: u32,
  dz: usize,
  dzStride: u32,
  sums: usize,
  sumsStride: u32,
  rows: u32,
  thread: u32,
  threads: u32,
): void {
  const blocks = (rows + GRADIENT_ROWS - 1) / GRADIENT_ROWS;
  const run = runOf(blocks, threads);
  for (let block = take(run); block < blocks; block = next(block, run)) {
    const sum = sums ? sums + ((<usize>block * sumsStride) << 2) : 0;
    if (sum) memory.fill(sum, 0, <usize>sumsStride << 2);
    const last = min<u32>((block + 1) * GRADIENT_ROWS, rows);
    for (let row = block * GRADIENT_ROWS; row < last; row++) {
      const xRow = x + ((<usize>row * xStride) << 2);
      const zRow = z + ((<usize>row * zStride) << 2);
      const dyRow = dy + ((<usize>row * dyStride) << 2);
      const dxRow = dx ? dx + ((<usize>row * dxStride) << 2) : 0;
      const dzRow = dz ? dz + ((<usize>row * dzStride) << 2) : 0;
      for (let i: u32 = 0; i < width; i += 4) {
        const at = <usize>i << 2;
        let u = v128.load(zRow + at);
        if (zBias) u = f32x4.add(u, v128.load(zBias + at));
        const fade = fadeOf(u);
        const open = openOf(u, fade);
        const g = v128.load(dyRow + at);
        if (dxRow) addSome(dxRow + at, width - i, f32x4.mul(g, f32x4.mul(u, open)));
        const t = f32x4.mul(f32x4.mul(g, v128.load(xRow + at)), slopeOf(u, fade, open));
        if (dzRow) addSome(dzRow + at, width - i, t);
        if (sum) addSome(sum + at, width - i, t);
      }
    }
  }
}

/** Adds the first `count` of four numbers to what is there. */
// @ts-ignore: decorator
@inline
export function addSome(at: usize, count: u32, values: v128): void {
  storeSome(at, count, f32x4.add(v128.load(at), values));
}
