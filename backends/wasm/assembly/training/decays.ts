/** Decays between the tokens of a head of Discrete Mamba-2: σ(−a) of every token from one to another. */

import { expNegative4, softplus4 } from '../elementary';

/**
 * Sums over tokens of ln σ(−a), each as two float32: their differences then are as exact as float32 can say, however
 * long the sequence. Products of decays would add up their roundings, and become subnormal.
 *
 * @param a the head's first number; rows rowBytes apart
 * @param logits a copy of a, as it is
 * @param sums [2][tokens]: rounded sums, and what rounding left
 * @param tokens how many, a multiple of 8; those from seqlen on stand for nothing
 */
export function sumLogDecays(
  a: usize,
  rowBytes: usize,
  seqlen: u32,
  tokens: u32,
  logits: usize,
  sums: usize,
): void {
  for (let t: u32 = 0; t < tokens; t++) {
    store<f32>(logits + (<usize>t << 2), t < seqlen ? load<f32>(a + <usize>t * rowBytes) : 0);
  }
  const lineBytes = <usize>tokens << 2;
  for (let at: usize = 0; at < lineBytes; at += 16) {
    v128.store(sums + at, softplus4(v128.load(logits + at)));
  }
  let sum: f64 = 0;
  for (let at: usize = 0; at < lineBytes; at += 4) {
    sum -= <f64>load<f32>(sums + at);
    const rounded = <f32>sum;
    store<f32>(sums + at, rounded);
    store<f32>(sums + lineBytes + at, <f32>(sum - <f64>rounded));
  }
}

/** Decays from four tokens to a later one; what it says of tokens that are not earlier means nothing. */
// @ts-ignore: decorator
@inline
export function decays(sums: usize, lineBytes: usize, to: u32, from: u32): v128 {
  const later = sums + (<usize>to << 2);
  const earlier = sums + (<usize>from << 2);
  const high = f32x4.sub(v128.load32_splat(later), v128.load(earlier));
  const low = f32x4.sub(v128.load32_splat(later + lineBytes), v128.load(earlier + lineBytes));
  return expNegative4(f32x4.add(high, low));
}
