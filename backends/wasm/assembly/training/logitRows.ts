/** What the losses need of a row of logits: its largest, and sums of exponentials in float64. */

import { expNegative4 } from '../elementary';
import { largestOf, orElse } from '../lanes';

/** The largest of a row; NaN is passed over, and is in the sum. */
export function largestIn(row: usize, width: u32): f32 {
  const least = -<f32>Infinity;
  let m0 = f32x4.splat(least);
  let m1 = m0;
  let i: u32 = 0;
  for (; i + 8 <= width; i += 8) {
    const at = row + (<usize>i << 2);
    m0 = f32x4.pmax(m0, v128.load(at));
    m1 = f32x4.pmax(m1, v128.load(at, 16));
  }
  for (; i < width; i += 4) {
    m0 = f32x4.pmax(m0, orElse(v128.load(row + (<usize>i << 2)), width - i, least));
  }
  return largestOf(f32x4.pmax(m0, m1));
}

/** Σ e^(x − largest) of a row; NaN where any is NaN. */
export function sumPowers(row: usize, width: u32, largest: f32): f64 {
  const m = f32x4.splat(largest);
  let low = f64x2.splat(0);
  let high = low;
  let i: u32 = 0;
  for (; i + 4 <= width; i += 4) {
    const e = expNegative4(f32x4.sub(v128.load(row + (<usize>i << 2)), m));
    low = f64x2.add(low, f64x2.promote_low_f32x4(e));
    high = f64x2.add(high, f64x2.promote_low_f32x4(upper(e)));
  }
  if (i < width) {
    const e = expNegative4(f32x4.sub(v128.load(row + (<usize>i << 2)), m));
    const some = orElse(e, width - i, 0);
    low = f64x2.add(low, f64x2.promote_low_f32x4(some));
    high = f64x2.add(high, f64x2.promote_low_f32x4(upper(some)));
  }
  return sumOfWide(f64x2.add(low, high));
}

/** The last two of four numbers, first. */
// @ts-ignore: decorator
@inline
export function upper(values: v128): v128 {
  return v128.shuffle<f32>(values, values, 2, 3, 0, 1);
}

// @ts-ignore: decorator
@inline
export function sumOfWide(sum: v128): f64 {
  return f64x2.extract_lane(sum, 0) + f64x2.extract_lane(sum, 1);
}
