/** Functions of numbers one by one, and softmax. */

import {
  POINTWISE_EXP,
  POINTWISE_ANY_POWER,
  POINTWISE_EXP_NEGATIVE,
  POINTWISE_POWER,
  POINTWISE_SIGMOID,
  POINTWISE_SILU,
  POINTWISE_SOFTPLUS,
} from '../abi';
import { anyPowerOfTwo4, exp4, expNegative4, powerOfTwo4, sigmoid4, silu4, softplus4 } from './elementary';
import { largestOf, orElse } from './lanes';
import { shareOf, sumOf } from './share';

/**
 * y = f(x) of `count` numbers; writes up to three more.
 *
 * @param kind which f, of POINTWISE_… in abi.ts
 */
export function pointwise(
  kind: u32,
  x: usize,
  y: usize,
  count: u32,
  thread: u32,
  threads: u32,
): void {
  const fours = (count + 3) / 4;
  const end = <usize>shareOf(fours, thread + 1, threads) << 4;
  for (let at = <usize>shareOf(fours, thread, threads) << 4; at < end; at += 16) {
    const v = v128.load(x + at);
    let f = v;
    if (kind == POINTWISE_SILU) f = silu4(v);
    else if (kind == POINTWISE_SIGMOID) f = sigmoid4(v);
    else if (kind == POINTWISE_SOFTPLUS) f = softplus4(v);
    else if (kind == POINTWISE_EXP) f = exp4(v);
    else if (kind == POINTWISE_EXP_NEGATIVE) f = expNegative4(v);
    else if (kind == POINTWISE_POWER) f = powerOfTwo4(v);
    else if (kind == POINTWISE_ANY_POWER) f = anyPowerOfTwo4(v);
    v128.store(y + at, f);
  }
}

/**
 * y = e^(x − max) / Σ e^(x − max) of each row, or its logarithm.
 *
 * @param x rows (rows, xStride), of which width columns are read
 * @param y rows (rows, yStride)
 */
export function softmax(
  isLog: u32,
  x: usize,
  xStride: u32,
  width: u32,
  y: usize,
  yStride: u32,
  rows: u32,
  thread: u32,
  threads: u32,
): void {
  const end = shareOf(rows, thread + 1, threads);
  for (let row = shareOf(rows, thread, threads); row < end; row++) {
    const from = x + ((<usize>row * xStride) << 2);
    const to = y + ((<usize>row * yStride) << 2);
    let most = f32x4.splat(-<f32>Infinity);
    for (let i: u32 = 0; i < width; i += 4) {
      most = f32x4.pmax(most, orElse(v128.load(from + (<usize>i << 2)), width - i, -<f32>Infinity));
    }
    const largest = f32x4.splat(largestOf(most));
    let sum = f32x4.splat(0);
    for (let i: u32 = 0; i < width; i += 4) {
      const at = <usize>i << 2;
      const below = f32x4.sub(v128.load(from + at), largest);
      const e = exp4(below);
      v128.store(to + at, isLog ? below : e);
      sum = f32x4.add(sum, orElse(e, width - i, 0));
    }
    const total = sumOf(sum);
    const whole = f32x4.splat(isLog ? <f32>logOf(total) : total);
    for (let i: u32 = 0; i < width; i += 4) {
      const at = to + (<usize>i << 2);
      const v = v128.load(at);
      v128.store(at, isLog ? f32x4.sub(v, whole) : f32x4.div(v, whole));
    }
  }
}

/** ln x for a finite x ≥ 1, to the last bits of float64; NaN stays NaN. */
export function logOf(x: f64): f64 {
  if (x != x) return x;
  // x = 2^k·m with √½ ≤ m < √2, ln m = 2·artanh(s)
  const bits = reinterpret<u64>(x);
  let k = <i32>(bits >> 52) - 1023;
  let m = reinterpret<f64>((bits & 0x000f_ffff_ffff_ffff) | 0x3ff0_0000_0000_0000);
  if (m > 1.4142135623730951) {
    m *= 0.5;
    k++;
  }
  const s = (m - 1) / (m + 1);
  const u = s * s;
  let p: f64 = 0;
  for (let odd = 21; odd >= 1; odd -= 2) p = p * u + 1 / <f64>odd;
  return <f64>k * 0.6931471805599453 + 2 * s * p;
}
