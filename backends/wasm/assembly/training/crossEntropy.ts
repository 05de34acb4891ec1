/** Cross-entropy to the right token of each row, and its gradient; the mean of losses of any kind. */

import { KEPT_LARGEST, KEPT_NUMBERS, KEPT_SHARE } from '../../training/abiAttention';
import { expNegative4 } from '../elementary';
import { orElse } from '../lanes';
import { logOf } from '../pointwise';
import { next, runOf, take } from '../share';
import { largestIn, sumPowers } from './logitRows';

/** A number that a loss keeps of a row. */
// @ts-ignore: decorator
@inline
export function keptAt(kept: usize, row: u32, field: i32): usize {
  return kept + (<usize>(row * KEPT_NUMBERS + field) << 2);
}

/**
 * −ln p[target] of each row; 0 of rows whose target is negative, which are not read.
 *
 * @param logits rows (rows, stride), of which width columns are read
 * @param targets (rows)
 * @param kept (rows, KEPT_NUMBERS), see KEPT_… in abiAttention.ts
 * @param losses (rows) of float64
 */
export function crossEntropy(
  logits: usize,
  stride: u32,
  width: u32,
  targets: usize,
  kept: usize,
  losses: usize,
  rows: u32,
  thread: u32,
  threads: u32,
): void {
  const run = runOf(rows, threads);
  for (let row = take(run); row < rows; row = next(row, run)) {
    const target = load<i32>(targets + (<usize>row << 2));
    let loss: f64 = 0;
    if (target >= 0) {
      const from = logits + ((<usize>row * stride) << 2);
      const largest = largestIn(from, width);
      const sum = sumPowers(from, width, largest);
      store<f32>(keptAt(kept, row, KEPT_LARGEST), largest);
      store<f32>(keptAt(kept, row, KEPT_SHARE), <f32>(1 / sum));
      loss = logOf(sum) + (<f64>largest - <f64>load<f32>(from + (<usize>target << 2)));
    }
    store<f64>(losses + (<usize>row << 3), loss);
  }
}

/**
 * Adds factor·(p − 1 at the target) to the gradient of each row that counts.
 *
 * @param gradient rows (rows, stride)
 */
export function crossEntropyGradient(
  logits: usize,
  stride: u32,
  width: u32,
  targets: usize,
  kept: usize,
  factor: f32,
  gradient: usize,
  rows: u32,
  thread: u32,
  threads: u32,
): void {
  const f = f32x4.splat(factor);
  const run = runOf(rows, threads);
  for (let row = take(run); row < rows; row = next(row, run)) {
    const target = load<i32>(targets + (<usize>row << 2));
    if (target < 0) continue;
    const from = logits + ((<usize>row * stride) << 2);
    const to = gradient + ((<usize>row * stride) << 2);
    const largest = f32x4.splat(load<f32>(keptAt(kept, row, KEPT_LARGEST)));
    const share = f32x4.splat(load<f32>(keptAt(kept, row, KEPT_SHARE)));
    const here = to + (<usize>target << 2);
    const before = load<f32>(here);
    for (let i: u32 = 0; i < width; i += 4) {
      const at = <usize>i << 2;
      const p = f32x4.mul(expNegative4(f32x4.sub(v128.load(from + at), largest)), share);
      const sum = f32x4.add(v128.load(to + at), f32x4.mul(p, f));
      v128.store(to + at, orElse(sum, width - i, 0));
    }
    // p − 1 of the target in one: its slope would be lost in what is there, were the two added one by one
    const e = expNegative4(f32x4.sub(v128.load32_splat(from + (<usize>target << 2)), largest));
    const p = f32x4.extract_lane(f32x4.mul(e, share), 0);
    store<f32>(here, before + factor * (p - 1));
  }
}

/** y = Σ of some float64 / divisor, in order; one thread's work. */
export function mean(values: usize, count: u32, divisor: f32, y: usize, thread: u32): void {
  if (thread != 0) return;
  let sum: f64 = 0;
  for (let i: u32 = 0; i < count; i++) sum += load<f64>(values + (<usize>i << 3));
  store<f32>(y, <f32>(sum / <f64>divisor));
}
