/**
 * The divergence of a student's distribution from its teacher's, and its gradient. With p_S and p_T the two softmaxes,
 * for each row
 *
 *   forward: Σ p_T·(ln p_T − ln p_S)    gradient p_S − p_T
 *   soft:   −Σ p_T·ln p_S               gradient p_S − p_T
 *   reverse: Σ p_S·(ln p_S − ln p_T)    gradient p_S·(ln p_S − ln p_T − loss)
 *
 * ln p_T − ln p_S is the difference of the logits plus a number of the row: both exactly 0 for the same logits. A token
 * of probability 0 adds nothing.
 */

import {
  KEPT_DIVERGENCE,
  KEPT_LARGEST,
  KEPT_OFFSET,
  KEPT_SHARE,
  KEPT_TEACHER_LARGEST,
  KEPT_TEACHER_SHARE,
  KL_FORWARD,
  KL_REVERSE,
} from '../../training/abiAttention';
import { expNegative4 } from '../elementary';
import { orElse } from '../lanes';
import { logOf } from '../pointwise';
import { next, runOf, take } from '../share';
import { keptAt } from './crossEntropy';
import { largestIn, sumOfWide, sumPowers, upper } from './logitRows';

/**
 * @param logits rows (rows, stride), of which width columns are read; the teacher's too
 * @param mask (rows); rows of 0 are not read
 * @param kept (rows, KEPT_NUMBERS), see KEPT_… in abiAttention.ts
 * @param losses (rows) of float64
 */
export function klDivergence(
  direction: u32,
  logits: usize,
  teacher: usize,
  stride: u32,
  width: u32,
  mask: usize,
  kept: usize,
  losses: usize,
  rows: u32,
  thread: u32,
  threads: u32,
): void {
  const run = runOf(rows, threads);
  for (let row = take(run); row < rows; row = next(row, run)) {
    const to = losses + (<usize>row << 3);
    store<f64>(to, 0);
    if (load<f32>(mask + (<usize>row << 2)) == 0) continue;
    const place = (<usize>row * stride) << 2;
    store<f64>(to, divergence(direction, logits + place, teacher + place, width, keptAt(kept, row, 0)));
  }
}

function divergence(direction: u32, student: usize, teacher: usize, width: u32, kept: usize): f64 {
  const largest = largestIn(student, width);
  const teacherLargest = largestIn(teacher, width);
  const sum = sumPowers(student, width, largest);
  const teacherSum = sumPowers(teacher, width, teacherLargest);
  const offset = <f32>(<f64>largest - <f64>teacherLargest + (logOf(sum) - logOf(teacherSum)));
  let loss: f64;
  if (direction == KL_REVERSE) {
    loss = meanDifference(student, student, teacher, width, largest, -offset) / sum;
  } else if (direction == KL_FORWARD) {
    loss = meanDifference(teacher, teacher, student, width, teacherLargest, offset) / teacherSum;
  } else {
    loss = meanBelow(teacher, student, width, teacherLargest, largest) / teacherSum + logOf(sum);
  }
  store<f32>(kept, largest, KEPT_LARGEST << 2);
  store<f32>(kept, <f32>(1 / sum), KEPT_SHARE << 2);
  store<f32>(kept, teacherLargest, KEPT_TEACHER_LARGEST << 2);
  store<f32>(kept, <f32>(1 / teacherSum), KEPT_TEACHER_SHARE << 2);
  store<f32>(kept, offset, KEPT_OFFSET << 2);
  store<f32>(kept, <f32>loss, KEPT_DIVERGENCE << 2);
  return loss;
}

/** Σ e^(x − largest)·(a − b + offset). */
function meanDifference(x: usize, a: usize, b: usize, width: u32, largest: f32, offset: f32): f64 {
  const m = f32x4.splat(largest);
  const o = f32x4.splat(offset);
  let low = f64x2.splat(0);
  let high = low;
  for (let i: u32 = 0; i < width; i += 4) {
    const at = <usize>i << 2;
    const e = expNegative4(f32x4.sub(v128.load(x + at), m));
    const difference = f32x4.add(f32x4.sub(v128.load(a + at), v128.load(b + at)), o);
    const term = orElse(weighed(e, difference), width - i, 0);
    low = f64x2.add(low, f64x2.promote_low_f32x4(term));
    high = f64x2.add(high, f64x2.promote_low_f32x4(upper(term)));
  }
  return sumOfWide(f64x2.add(low, high));
}

/** Σ e^(x − largest)·(most − y). */
function meanBelow(x: usize, y: usize, width: u32, largest: f32, most: f32): f64 {
  const m = f32x4.splat(largest);
  const top = f32x4.splat(most);
  let low = f64x2.splat(0);
  let high = low;
  for (let i: u32 = 0; i < width; i += 4) {
    const at = <usize>i << 2;
    const e = expNegative4(f32x4.sub(v128.load(x + at), m));
    const term = orElse(weighed(e, f32x4.sub(top, v128.load(y + at))), width - i, 0);
    low = f64x2.add(low, f64x2.promote_low_f32x4(term));
    high = f64x2.add(high, f64x2.promote_low_f32x4(upper(term)));
  }
  return sumOfWide(f64x2.add(low, high));
}

/** e·value, 0 where e is 0 whatever the value: 0·ln 0 is 0. */
// @ts-ignore: decorator
@inline
function weighed(e: v128, value: v128): v128 {
  return v128.andnot(f32x4.mul(e, value), f32x4.eq(e, f32x4.splat(0)));
}

/**
 * Adds factor·gradient of each row that counts.
 *
 * @param gradient rows (rows, stride)
 */
export function klDivergenceGradient(
  direction: u32,
  logits: usize,
  teacher: usize,
  stride: u32,
  width: u32,
  mask: usize,
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
    if (load<f32>(mask + (<usize>row << 2)) == 0) continue;
    const place = (<usize>row * stride) << 2;
    const largest = splatKept(kept, row, KEPT_LARGEST);
    const share = splatKept(kept, row, KEPT_SHARE);
    const teacherLargest = splatKept(kept, row, KEPT_TEACHER_LARGEST);
    const teacherShare = splatKept(kept, row, KEPT_TEACHER_SHARE);
    const offset = splatKept(kept, row, KEPT_OFFSET);
    const loss = splatKept(kept, row, KEPT_DIVERGENCE);
    for (let i: u32 = 0; i < width; i += 4) {
      const at = place + (<usize>i << 2);
      const s = v128.load(logits + at);
      const t = v128.load(teacher + at);
      const p = f32x4.mul(expNegative4(f32x4.sub(s, largest)), share);
      let slope: v128;
      if (direction == KL_REVERSE) {
        const difference = f32x4.sub(f32x4.sub(s, t), offset);
        slope = weighed(p, f32x4.sub(difference, loss));
      } else {
        const q = f32x4.mul(expNegative4(f32x4.sub(t, teacherLargest)), teacherShare);
        slope = f32x4.sub(p, q);
      }
      const sum = f32x4.add(v128.load(gradient + at), f32x4.mul(slope, f));
      v128.store(gradient + at, orElse(sum, width - i, 0));
    }
  }
}

// @ts-ignore: decorator
@inline
function splatKept(kept: usize, row: u32, field: i32): v128 {
  return v128.load32_splat(keptAt(kept, row, field));
}
