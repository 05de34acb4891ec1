/** Gradient of RMS norms of rows, with and without a gate. */

import { GRADIENT_ROWS } from '../../training/abiLayers';
import { fma4 } from '../elementary';
import { firstLanes } from '../lanes';
import { next, runOf, sumOf, take } from '../share';
import { addSome, fadeOf, openOf, slopeOf } from './gates';

/**
 * Of v = x·silu(z) (gate first) or x, s = 1/√(mean(v²) + eps), n = v·s·weight, y = n or n·silu(z) (norm first); with g
 * the gradient of n and k columns in a group:
 *
 *     dv = s·weight·g − v·s³/k·Σ v·weight·g,  dweight += Σ_rows g·v·s
 *
 * and from dv and dy those of x and z. All rows (rows, width) have strides of their own.
 *
 * @param z or 0 for no gate
 * @param groupSize columns of a group, a divisor of width
 * @param dx or 0
 * @param dz or 0
 * @param sums or 0; (⌈rows/GRADIENT_ROWS⌉, sumsStride): becomes the sum of each block of rows of what dweight gets
 * @param scratch of each thread, room for three rows of width numbers padded to panels; not used without a gate
 */
export function normGradient(
  x: usize,
  xStride: u32,
  z: usize,
  zStride: u32,
  weight: usize,
  width: u32,
  groupSize: u32,
  eps: f32,
  normBeforeGate: u32,
  dy: usize,
  dyStride: u32,
  dx: usize,
  dxStride: u32,
  dz: usize,
  dzStride: u32,
  sums: usize,
  sumsStride: u32,
  scratch: usize,
  scratchPerThread: u32,
  rows: u32,
  thread: u32,
  threads: u32,
): void {
  const isGateFirst = z != 0 && !normBeforeGate;
  const isNormFirst = z != 0 && normBeforeGate != 0;
  const gated = scratch + <usize>thread * scratchPerThread;
  const opened = gated + scratchPerThread / 3;
  const slopes = opened + scratchPerThread / 3;
  const bytes = <usize>width << 2;
  const groupBytes = <usize>groupSize << 2;
  const blocks = (rows + GRADIENT_ROWS - 1) / GRADIENT_ROWS;
  const run = runOf(blocks, threads);
  for (let block = take(run); block < blocks; block = next(block, run)) {
    const sum = sums ? sums + ((<usize>block * sumsStride) << 2) : 0;
    if (sum) memory.fill(sum, 0, <usize>sumsStride << 2);
    const last = min<u32>((block + 1) * GRADIENT_ROWS, rows);
    for (let row = block * GRADIENT_ROWS; row < last; row++) {
      const xRow = x + ((<usize>row * xStride) << 2);
      const dyRow = dy + ((<usize>row * dyStride) << 2);
      const dxRow = dx ? dx + ((<usize>row * dxStride) << 2) : 0;
      const dzRow = dz ? dz + ((<usize>row * dzStride) << 2) : 0;
      if (z) {
        const zRow = z + ((<usize>row * zStride) << 2);
        openGates(gated, opened, slopes, isGateFirst ? xRow : dyRow, zRow, bytes);
      }
      const v = isGateFirst ? gated : xRow;
      const g = isNormFirst ? gated : dyRow;
      for (let from: usize = 0; from < bytes; from += groupBytes) {
        const end = from + groupBytes;
        let square = f32x4.splat(0);
        let product = f32x4.splat(0);
        for (let at = from; at < end; at += 16) {
          const mask = firstLanes(<u32>((end - at) >> 2));
          const a = v128.and(v128.load(v + at), mask);
          const b = f32x4.mul(v128.load(g + at), v128.load(weight + at));
          square = fma4(a, a, square);
          product = fma4(a, v128.and(b, mask), product);
        }
        const s = <f32>1 / sqrt<f32>(sumOf(square) / <f32>groupSize + eps);
        const scale = f32x4.splat(s);
        const pull = f32x4.splat(((s * s) * (sumOf(product) / <f32>groupSize)) * s);
        for (let at = from; at < end; at += 16) {
          const left = <u32>((end - at) >> 2);
          const a = v128.load(v + at);
          const b = v128.load(g + at);
          const w = v128.load(weight + at);
          const normed = f32x4.mul(a, scale);
          if (sum) addSome(sum + at, left, f32x4.mul(b, normed));
          const dv = f32x4.sub(f32x4.mul(f32x4.mul(b, w), scale), f32x4.mul(a, pull));
          if (dxRow) {
            addSome(dxRow + at, left, isGateFirst ? f32x4.mul(dv, v128.load(opened + at)) : dv);
          }
          if (dzRow) {
            const t = isGateFirst
              ? f32x4.mul(dv, v128.load(xRow + at))
              : f32x4.mul(v128.load(dyRow + at), f32x4.mul(normed, w));
            addSome(dzRow + at, left, f32x4.mul(t, v128.load(slopes + at)));
          }
        }
      }
    }
  }
}

/** Of a row: silu(z), silu′(z), and another row times silu(z). Writes up to three numbers more. */
function openGates(
  gated: usize,
  opened: usize,
  slopes: usize,
  row: usize,
  z: usize,
  bytes: usize,
): void {
  for (let at: usize = 0; at < bytes; at += 16) {
    const u = v128.load(z + at);
    const fade = fadeOf(u);
    const open = openOf(u, fade);
    const silu = f32x4.mul(u, open);
    v128.store(gated + at, f32x4.mul(v128.load(row + at), silu));
    v128.store(opened + at, silu);
    v128.store(slopes + at, slopeOf(u, fade, open));
  }
}
