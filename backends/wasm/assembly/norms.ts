/** Norms of rows. A row's sums run over its columns in one order, whatever stands beside it. */

import { silu4 } from './elementary';
import { firstLanes } from './lanes';
import { shareOf, storeSome, sumOf } from './share';

/**
 * y = x / √(mean(x²) + eps) · weight.
 *
 * @param x rows (rows, xStride), of which width columns are read
 * @param weight (width)
 * @param y rows (rows, yStride)
 */
export function rmsNorm(
  x: usize,
  xStride: u32,
  weight: usize,
  width: u32,
  eps: f32,
  y: usize,
  yStride: u32,
  rows: u32,
  thread: u32,
  threads: u32,
): void {
  const end = shareOf(rows, thread + 1, threads);
  for (let row = shareOf(rows, thread, threads); row < end; row++) {
    const from = x + ((<usize>row * xStride) << 2);
    const scale = inverseRoot(sumOfSquares(from, width, 0), width, eps);
    putScaled(y + ((<usize>row * yStride) << 2), from, width, 0, scale, weight, 0);
  }
}

/**
 * y = (x − mean(x)) / √(var(x) + eps) · weight + bias.
 *
 * @param bias (width), or 0
 */
export function layerNorm(
  x: usize,
  xStride: u32,
  weight: usize,
  bias: usize,
  width: u32,
  eps: f32,
  y: usize,
  yStride: u32,
  rows: u32,
  thread: u32,
  threads: u32,
): void {
  const end = shareOf(rows, thread + 1, threads);
  for (let row = shareOf(rows, thread, threads); row < end; row++) {
    const from = x + ((<usize>row * xStride) << 2);
    const mean = sumOfRow(from, width) / <f32>width;
    const scale = inverseRoot(sumOfSquares(from, width, mean), width, eps);
    putScaled(y + ((<usize>row * yStride) << 2), from, width, mean, scale, weight, bias);
  }
}

/**
 * Gate first: y = rms(x·silu(z))·weight + bias. Norm first: y = (rms(x)·weight + bias)·silu(z). Each group of columns
 * has a mean square of its own.
 *
 * @param z rows (rows, zStride), or 0 for no gate
 * @param groupSize columns of a group, a divisor of width
 * @param bias (width), or 0
 */
export function gatedRmsNorm(
  x: usize,
  xStride: u32,
  z: usize,
  zStride: u32,
  weight: usize,
  width: u32,
  groupSize: u32,
  eps: f32,
  normBeforeGate: u32,
  y: usize,
  yStride: u32,
  bias: usize,
  rows: u32,
  thread: u32,
  threads: u32,
): void {
  const end = shareOf(rows, thread + 1, threads);
  const bytes = <usize>width << 2;
  const groupBytes = <usize>groupSize << 2;
  for (let row = shareOf(rows, thread, threads); row < end; row++) {
    const xRow = x + ((<usize>row * xStride) << 2);
    const zRow = z + ((<usize>row * zStride) << 2);
    const yRow = y + ((<usize>row * yStride) << 2);
    for (let at: usize = 0; at < bytes; at += groupBytes) {
      const to = yRow + at;
      const isGatedFirst = z != 0 && !normBeforeGate;
      if (isGatedFirst) putGated(to, xRow + at, zRow + at, groupSize);
      const from = isGatedFirst ? to : xRow + at;
      const scale = inverseRoot(sumOfSquares(from, groupSize, 0), groupSize, eps);
      putScaled(to, from, groupSize, 0, scale, weight + at, bias ? bias + at : 0);
      if (z != 0 && normBeforeGate) putGated(to, to, zRow + at, groupSize);
    }
  }
}

/** 1 / √(sum/width + eps). */
// @ts-ignore: decorator
@inline
function inverseRoot(sum: f32, width: u32, eps: f32): f32 {
  return <f32>1 / sqrt<f32>(sum / <f32>width + eps);
}

/** Σ (x − centre)². */
function sumOfSquares(x: usize, width: u32, centre: f32): f32 {
  const c = f32x4.splat(centre);
  let s0 = f32x4.splat(0);
  let s1 = f32x4.splat(0);
  let left = width;
  for (; left >= 8; left -= 8) {
    const a = f32x4.sub(v128.load(x), c);
    const b = f32x4.sub(v128.load(x, 16), c);
    s0 = f32x4.add(s0, f32x4.mul(a, a));
    s1 = f32x4.add(s1, f32x4.mul(b, b));
    x += 32;
  }
  for (; left > 0; left -= min<u32>(left, 4)) {
    const a = v128.and(f32x4.sub(v128.load(x), c), firstLanes(left));
    s0 = f32x4.add(s0, f32x4.mul(a, a));
    x += 16;
  }
  return sumOf(f32x4.add(s0, s1));
}

function sumOfRow(x: usize, width: u32): f32 {
  let s0 = f32x4.splat(0);
  let s1 = f32x4.splat(0);
  let left = width;
  for (; left >= 8; left -= 8) {
    s0 = f32x4.add(s0, v128.load(x));
    s1 = f32x4.add(s1, v128.load(x, 16));
    x += 32;
  }
  for (; left > 0; left -= min<u32>(left, 4)) {
    s0 = f32x4.add(s0, v128.and(v128.load(x), firstLanes(left)));
    x += 16;
  }
  return sumOf(f32x4.add(s0, s1));
}

/** y = (x − centre)·scale·weight + bias. */
function putScaled(
  y: usize,
  x: usize,
  width: u32,
  centre: f32,
  scale: f32,
  weight: usize,
  bias: usize,
): void {
  const c = f32x4.splat(centre);
  const s = f32x4.splat(scale);
  for (let left = width; left > 0; left -= min<u32>(left, 4)) {
    const scaled = f32x4.mul(f32x4.mul(f32x4.sub(v128.load(x), c), s), v128.load(weight));
    storeSome(y, left, bias ? f32x4.add(scaled, v128.load(bias)) : scaled);
    y += 16;
    x += 16;
    weight += 16;
    bias += bias ? 16 : 0;
  }
}

/** y = x·silu(z). */
function putGated(y: usize, x: usize, z: usize, width: u32): void {
  for (let left = width; left > 0; left -= min<u32>(left, 4)) {
    storeSome(y, left, f32x4.mul(v128.load(x), silu4(v128.load(z))));
    y += 16;
    x += 16;
    z += 16;
  }
}
