/** Scores of one page's keys under one to four query heads: scale·(q·k), each summed over headDim in order. */

import { PAGE_TOKENS } from '../abi';
import { fma4 } from './elementary';

const PAGE_BYTES: usize = PAGE_TOKENS << 2;

// q: heads of qBytes, one after another; keys: panels of eight tokens, [panel][headDim][8], read once from one end to the
// other; to: a row of scores for each head, toBytes apart. Eight vectors of sums at most, so that they, the operands and
// a product stay in the sixteen registers of x86.

/** One query. */
export function score1(
  q: usize,
  qBytes: usize,
  keys: usize,
  scale: f32,
  to: usize,
): void {
  const s = f32x4.splat(scale);
  const end = q + qBytes;
  for (const last = to + PAGE_BYTES; to < last; to += 32) {
    let a0 = f32x4.splat(0);
    let b0 = a0;
    for (let at = q; at < end; at += 4) {
      const a = v128.load(keys);
      const b = v128.load(keys, 16);
      const q0 = v128.load32_splat(at);
      a0 = fma4(q0, a, a0);
      b0 = fma4(q0, b, b0);
      keys += 32;
    }
    v128.store(to, f32x4.mul(a0, s));
    v128.store(to, f32x4.mul(b0, s), 16);
  }
}

/** Two queries. */
export function score2(
  q: usize,
  qBytes: usize,
  keys: usize,
  scale: f32,
  to: usize,
  toBytes: usize,
): void {
  const s = f32x4.splat(scale);
  const end = q + qBytes;
  for (const last = to + PAGE_BYTES; to < last; to += 32) {
    let a0 = f32x4.splat(0);
    let b0 = a0;
    let a1 = f32x4.splat(0);
    let b1 = a1;
    for (let at = q; at < end; at += 4) {
      const a = v128.load(keys);
      const b = v128.load(keys, 16);
      const q0 = v128.load32_splat(at);
      a0 = fma4(q0, a, a0);
      b0 = fma4(q0, b, b0);
      const q1 = v128.load32_splat(at + qBytes);
      a1 = fma4(q1, a, a1);
      b1 = fma4(q1, b, b1);
      keys += 32;
    }
    v128.store(to, f32x4.mul(a0, s));
    v128.store(to, f32x4.mul(b0, s), 16);
    v128.store(to + toBytes, f32x4.mul(a1, s));
    v128.store(to + toBytes, f32x4.mul(b1, s), 16);
  }
}

/** Three queries. */
export function score3(
  q: usize,
  qBytes: usize,
  keys: usize,
  scale: f32,
  to: usize,
  toBytes: usize,
): void {
  const s = f32x4.splat(scale);
  const end = q + qBytes;
  for (const last = to + PAGE_BYTES; to < last; to += 32) {
    let a0 = f32x4.splat(0);
    let b0 = a0;
    let a1 = f32x4.splat(0);
    let b1 = a1;
    let a2 = f32x4.splat(0);
    let b2 = a2;
    for (let at = q; at < end; at += 4) {
      const a = v128.load(keys);
      const b = v128.load(keys, 16);
      const q0 = v128.load32_splat(at);
      a0 = fma4(q0, a, a0);
      b0 = fma4(q0, b, b0);
      const q1 = v128.load32_splat(at + qBytes);
      a1 = fma4(q1, a, a1);
      b1 = fma4(q1, b, b1);
      const q2 = v128.load32_splat(at + 2 * qBytes);
      a2 = fma4(q2, a, a2);
      b2 = fma4(q2, b, b2);
      keys += 32;
    }
    v128.store(to, f32x4.mul(a0, s));
    v128.store(to, f32x4.mul(b0, s), 16);
    v128.store(to + toBytes, f32x4.mul(a1, s));
    v128.store(to + toBytes, f32x4.mul(b1, s), 16);
    v128.store(to + 2 * toBytes, f32x4.mul(a2, s));
    v128.store(to + 2 * toBytes, f32x4.mul(b2, s), 16);
  }
}

/** Four queries. */
export function score4(
  q: usize,
  qBytes: usize,
  keys: usize,
  scale: f32,
  to: usize,
  toBytes: usize,
): void {
  const s = f32x4.splat(scale);
  const end = q + qBytes;
  for (const last = to + PAGE_BYTES; to < last; to += 32) {
    let a0 = f32x4.splat(0);
    let b0 = a0;
    let a1 = f32x4.splat(0);
    let b1 = a1;
    let a2 = f32x4.splat(0);
    let b2 = a2;
    let a3 = f32x4.splat(0);
    let b3 = a3;
    for (let at = q; at < end; at += 4) {
      const a = v128.load(keys);
      const b = v128.load(keys, 16);
      const q0 = v128.load32_splat(at);
      a0 = fma4(q0, a, a0);
      b0 = fma4(q0, b, b0);
      const q1 = v128.load32_splat(at + qBytes);
      a1 = fma4(q1, a, a1);
      b1 = fma4(q1, b, b1);
      const q2 = v128.load32_splat(at + 2 * qBytes);
      a2 = fma4(q2, a, a2);
      b2 = fma4(q2, b, b2);
      const q3 = v128.load32_splat(at + 3 * qBytes);
      a3 = fma4(q3, a, a3);
      b3 = fma4(q3, b, b3);
      keys += 32;
    }
    v128.store(to, f32x4.mul(a0, s));
    v128.store(to, f32x4.mul(b0, s), 16);
    v128.store(to + toBytes, f32x4.mul(a1, s));
    v128.store(to + toBytes, f32x4.mul(b1, s), 16);
    v128.store(to + 2 * toBytes, f32x4.mul(a2, s));
    v128.store(to + 2 * toBytes, f32x4.mul(b2, s), 16);
    v128.store(to + 3 * toBytes, f32x4.mul(a3, s));
    v128.store(to + 3 * toBytes, f32x4.mul(b3, s), 16);
  }
}
