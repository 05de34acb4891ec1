/** Distances of groups of rows from their targets, and their gradients: hidden states, and matrices of heads. */

import { orElse } from '../lanes';
import { next, runOf, take } from '../share';
import { sumOfWide, upper } from './logitRows';

/**
 * ‖x − target‖ of each group of `rows` rows, the root of the sum of squares in float64.
 *
 * @param x rows (groups·rows, stride), of which width columns are read; target too
 * @param mask (groups), or 0 where all count; groups of 0 are not read, and have the distance 0
 * @param distances (groups) of float64
 */
export function distance(
  x: usize,
  target: usize,
  stride: u32,
  width: u32,
  rows: u32,
  mask: usize,
  distances: usize,
  groups: u32,
  thread: u32,
  threads: u32,
): void {
  const rowBytes = <usize>stride << 2;
  const run = runOf(groups, threads);
  for (let group = take(run); group < groups; group = next(group, run)) {
    let sum: f64 = 0;
    if (counts(mask, group)) {
      let at = <usize>group * rows * rowBytes;
      for (let row: u32 = 0; row < rows; row++) {
        sum += squares(x + at, target + at, width);
        at += rowBytes;
      }
    }
    store<f64>(distances + (<usize>group << 3), sqrt(sum));
  }
}

// @ts-ignore: decorator
@inline
function counts(mask: usize, group: u32): bool {
  return mask == 0 || load<f32>(mask + (<usize>group << 2)) != 0;
}

/** Σ (x − target)² of a row. */
function squares(x: usize, target: usize, width: u32): f64 {
  let low = f64x2.splat(0);
  let high = low;
  for (let i: u32 = 0; i < width; i += 4) {
    const at = <usize>i << 2;
    const d = orElse(f32x4.sub(v128.load(x + at), v128.load(target + at)), width - i, 0);
    const a = f64x2.promote_low_f32x4(d);
    const b = f64x2.promote_low_f32x4(upper(d));
    low = f64x2.add(low, f64x2.mul(a, a));
    high = f64x2.add(high, f64x2.mul(b, b));
  }
  return sumOfWide(f64x2.add(low, high));
}

/**
 * Adds factor·(x − target)/distance to the gradient of each group that counts; nothing where the distance is 0.
 *
 * @param gradient rows (groups·rows, stride)
 */
export function distanceGradient(
  x: usize,
  target: usize,
  stride: u32,
  width: u32,
  rows: u32,
  mask: usize,
  distances: usize,
  factor: f32,
  gradient: usize,
  groups: u32,
  thread: u32,
  threads: u32,
): void {
  const f = f32x4.splat(factor);
  const rowBytes = <usize>stride << 2;
  const run = runOf(groups, threads);
  for (let group = take(run); group < groups; group = next(group, run)) {
    const length = <f32>load<f64>(distances + (<usize>group << 3));
    if (!counts(mask, group) || length == 0) continue;
    const l = f32x4.splat(length);
    const end = <usize>(group + 1) * rows * rowBytes;
    for (let at = <usize>group * rows * rowBytes; at < end; at += rowBytes) {
      for (let i: u32 = 0; i < width; i += 4) {
        const here = at + (<usize>i << 2);
        const d = f32x4.sub(v128.load(x + here), v128.load(target + here));
        const slope = f32x4.mul(f32x4.div(d, l), f);
        const sum = f32x4.add(v128.load(gradient + here), slope);
        v128.store(gradient + here, orElse(sum, width - i, 0));
      }
    }
  }
}
