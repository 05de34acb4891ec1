/** A step of AdamW. */

import { next, runOf, storeSome, take } from '../share';

/** Columns that a thread takes at a time. */
const BLOCK: u32 = 256;

/**
 * m ← β₁·m + (1 − β₁)·g·scale, v ← β₂·v + (1 − β₂)·(g·scale)², p ← keep·p − rate·m/(√v·root + eps)
 * (Loshchilov & Hutter 2019, arXiv 1711.05101; the order of operations is PyTorch's).
 *
 * @param p rows (rows, stride), of which `width` columns are stepped; g, m and v likewise
 * @param keep 1 − learning rate·weight decay
 * @param rate learning rate/(1 − β₁ᵗ)
 * @param root 1/√(1 − β₂ᵗ)
 */
export function adamW(
  p: usize,
  g: usize,
  m: usize,
  v: usize,
  stride: u32,
  width: u32,
  scale: f32,
  beta1: f32,
  rest1: f32,
  beta2: f32,
  rest2: f32,
  keep: f32,
  rate: f32,
  root: f32,
  eps: f32,
  rows: u32,
  thread: u32,
  threads: u32,
): void {
  const blocks = (width + BLOCK - 1) / BLOCK;
  const items = rows * blocks;
  const run = runOf(items, threads);
  for (let item = take(run); item < items; item = next(item, run)) {
    const column = (item % blocks) * BLOCK;
    let at = (<usize>(item / blocks) * stride + column) << 2;
    for (let left = min<u32>(BLOCK, width - column); left > 0; left -= min<u32>(left, 4)) {
      const gradient = f32x4.mul(v128.load(g + at), f32x4.splat(scale));
      const mean = f32x4.add(
        f32x4.mul(v128.load(m + at), f32x4.splat(beta1)),
        f32x4.mul(gradient, f32x4.splat(rest1)),
      );
      const square = f32x4.add(
        f32x4.mul(v128.load(v + at), f32x4.splat(beta2)),
        f32x4.mul(f32x4.mul(gradient, gradient), f32x4.splat(rest2)),
      );
      const spread = f32x4.add(f32x4.mul(f32x4.sqrt(square), f32x4.splat(root)), f32x4.splat(eps));
      const step = f32x4.div(f32x4.mul(mean, f32x4.splat(rate)), spread);
      storeSome(m + at, left, mean);
      storeSome(v + at, left, square);
      storeSome(p + at, left, f32x4.sub(f32x4.mul(v128.load(p + at), f32x4.splat(keep)), step));
      at += 16;
    }
  }
}
