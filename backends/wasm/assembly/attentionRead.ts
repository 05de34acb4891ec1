/** Adds one page's values, weighted for one to four query heads, to sums over the tokens in order. */

import { PAGE_TOKENS } from '../abi';
import { fma4 } from './elementary';

// weights: a row for each head, weightBytes apart, of which `count` are read, so that it does not matter what unused
// slots of a page hold; values: panels of eight columns, [panel][token][8]; sums: a row of valueBytes for each head.

/** One query. */
export function read1(
  weights: usize,
  values: usize,
  valueBytes: usize,
  count: u32,
  sums: usize,
): void {
  const end = weights + (<usize>count << 2);
  for (const last = sums + valueBytes; sums < last; sums += 32) {
    let a0 = v128.load(sums);
    let b0 = v128.load(sums, 16);
    let v = values;
    for (let at = weights; at < end; at += 4) {
      const a = v128.load(v);
      const b = v128.load(v, 16);
      const w0 = v128.load32_splat(at);
      a0 = fma4(w0, a, a0);
      b0 = fma4(w0, b, b0);
      v += 32;
    }
    v128.store(sums, a0);
    v128.store(sums, b0, 16);
    values += PAGE_TOKENS * 32;
  }
}

/** Two queries. */
export function read2(
  weights: usize,
  weightBytes: usize,
  values: usize,
  valueBytes: usize,
  count: u32,
  sums: usize,
): void {
  const end = weights + (<usize>count << 2);
  for (const last = sums + valueBytes; sums < last; sums += 32) {
    let a0 = v128.load(sums);
    let b0 = v128.load(sums, 16);
    let a1 = v128.load(sums + valueBytes);
    let b1 = v128.load(sums + valueBytes, 16);
    let v = values;
    for (let at = weights; at < end; at += 4) {
      const a = v128.load(v);
      const b = v128.load(v, 16);
      const w0 = v128.load32_splat(at);
      a0 = fma4(w0, a, a0);
      b0 = fma4(w0, b, b0);
      const w1 = v128.load32_splat(at + weightBytes);
      a1 = fma4(w1, a, a1);
      b1 = fma4(w1, b, b1);
      v += 32;
    }
    v128.store(sums, a0);
    v128.store(sums, b0, 16);
    v128.store(sums + valueBytes, a1);
    v128.store(sums + valueBytes, b1, 16);
    values += PAGE_TOKENS * 32;
  }
}

/** Three queries. */
export function read3(
  weights: usize,
  weightBytes: usize,
  values: usize,
  valueBytes: usize,
  count: u32,
  sums: usize,
): void {
  const end = weights + (<usize>count << 2);
  for (const last = sums + valueBytes; sums < last; sums += 32) {
    let a0 = v128.load(sums);
    let b0 = v128.load(sums, 16);
    let a1 = v128.load(sums + valueBytes);
    let b1 = v128.load(sums + valueBytes, 16);
    let a2 = v128.load(sums + 2 * valueBytes);
    let b2 = v128.load(sums + 2 * valueBytes, 16);
    let v = values;
    for (let at = weights; at < end; at += 4) {
      const a = v128.load(v);
      const b = v128.load(v, 16);
      const w0 = v128.load32_splat(at);
      a0 = fma4(w0, a, a0);
      b0 = fma4(w0, b, b0);
      const w1 = v128.load32_splat(at + weightBytes);
      a1 = fma4(w1, a, a1);
      b1 = fma4(w1, b, b1);
      const w2 = v128.load32_splat(at + 2 * weightBytes);
      a2 = fma4(w2, a, a2);
      b2 = fma4(w2, b, b2);
      v += 32;
    }
    v128.store(sums, a0);
    v128.store(sums, b0, 16);
    v128.store(sums + valueBytes, a1);
    v128.store(sums + valueBytes, b1, 16);
    v128.store(sums + 2 * valueBytes, a2);
    v128.store(sums + 2 * valueBytes, b2, 16);
    values += PAGE_TOKENS * 32;
  }
}

/** Four queries. */
export function read4(
  weights: usize,
  weightBytes: usize,
  values: usize,
  valueBytes: usize,
  count: u32,
  sums: usize,
): void {
  const end = weights + (<usize>count << 2);
  for (const last = sums + valueBytes; sums < last; sums += 32) {
    let a0 = v128.load(sums);
    let b0 = v128.load(sums, 16);
    let a1 = v128.load(sums + valueBytes);
    let b1 = v128.load(sums + valueBytes, 16);
    let a2 = v128.load(sums + 2 * valueBytes);
    let b2 = v128.load(sums + 2 * valueBytes, 16);
    let a3 = v128.load(sums + 3 * valueBytes);
    let b3 = v128.load(sums + 3 * valueBytes, 16);
    let v = values;
    for (let at = weights; at < end; at += 4) {
      const a = v128.load(v);
      const b = v128.load(v, 16);
      const w0 = v128.load32_splat(at);
      a0 = fma4(w0, a, a0);
      b0 = fma4(w0, b, b0);
      const w1 = v128.load32_splat(at + weightBytes);
      a1 = fma4(w1, a, a1);
      b1 = fma4(w1, b, b1);
      const w2 = v128.load32_splat(at + 2 * weightBytes);
      a2 = fma4(w2, a, a2);
      b2 = fma4(w2, b, b2);
      const w3 = v128.load32_splat(at + 3 * weightBytes);
      a3 = fma4(w3, a, a3);
      b3 = fma4(w3, b, b3);
      v += 32;
    }
    v128.store(sums, a0);
    v128.store(sums, b0, 16);
    v128.store(sums + valueBytes, a1);
    v128.store(sums + valueBytes, b1, 16);
    v128.store(sums + 2 * valueBytes, a2);
    v128.store(sums + 2 * valueBytes, b2, 16);
    v128.store(sums + 3 * valueBytes, a3);
    v128.store(sums + 3 * valueBytes, b3, 16);
    values += PAGE_TOKENS * 32;
  }
}
