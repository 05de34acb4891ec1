/** Rotary position embedding. */

import { CALL_POSITIONS } from '../abi';
import { fma4 } from './elementary';
import { ofCall, shareOf, storeSome } from './share';

/**
 * Rotates each pair of channels of every head by its token's angle; channels behind the pairs pass through.
 *
 * @param x rows (tokens, xStride), of which nHeads·headDim columns are read
 * @param table [position][2·nPairs]: the cosine of each pair, then the sines
 * @param isInterleaved whether pairs are (2i, 2i + 1), not (i, i + nPairs)
 * @param y rows (tokens, yStride)
 */
export function rope(
  x: usize,
  xStride: u32,
  table: usize,
  nHeads: u32,
  headDim: u32,
  nPairs: u32,
  isInterleaved: u32,
  y: usize,
  yStride: u32,
  call: usize,
  rows: u32,
  thread: u32,
  threads: u32,
): void {
  const positions = <usize>ofCall(call, CALL_POSITIONS);
  const headBytes = <usize>headDim << 2;
  const pairBytes = <usize>nPairs << 2;
  const end = shareOf(rows, thread + 1, threads);
  for (let row = shareOf(rows, thread, threads); row < end; row++) {
    const position = load<u32>(positions + (<usize>row << 2));
    const cosines = table + <usize>position * 2 * pairBytes;
    let from = x + ((<usize>row * xStride) << 2);
    let to = y + ((<usize>row * yStride) << 2);
    for (let head: u32 = 0; head < nHeads; head++) {
      if (isInterleaved) interleaved(from, to, cosines, nPairs, 0);
      else halves(from, to, cosines, nPairs, 0);
      memory.copy(to + 2 * pairBytes, from + 2 * pairBytes, headBytes - 2 * pairBytes);
      from += headBytes;
      to += headBytes;
    }
  }
}

/** Stores some of four numbers, or adds them. */
// @ts-ignore: decorator
@inline
export function put(at: usize, count: u32, values: v128, adds: u32): void {
  storeSome(at, count, adds ? f32x4.add(v128.load(at), values) : values);
}

/** Pairs (i, i + nPairs) of a head: y is x rotated, or gets x rotated back added to it. */
// @ts-ignore: decorator
@inline
export function halves(x: usize, y: usize, cosines: usize, nPairs: u32, isGradient: u32): void {
  const pairBytes = <usize>nPairs << 2;
  const back = i32x4.splat(isGradient ? i32.MIN_VALUE : 0);
  for (let i: u32 = 0; i < nPairs; i += 4) {
    const at = <usize>i << 2;
    const u = v128.load(x + at);
    const v = v128.load(x + at + pairBytes);
    const c = v128.load(cosines + at);
    const s = v128.xor(v128.load(cosines + at + pairBytes), back);
    const left = nPairs - i;
    put(y + at, left, fma4(u, c, f32x4.neg(f32x4.mul(v, s))), isGradient);
    put(y + at + pairBytes, left, fma4(v, c, f32x4.mul(u, s)), isGradient);
  }
}

/** The same for pairs (2i, 2i + 1). */
// @ts-ignore: decorator
@inline
export function interleaved(x: usize, y: usize, cosines: usize, nPairs: u32, isGradient: u32): void {
  const pairBytes = <usize>nPairs << 2;
  const signs = isGradient
    ? i32x4(0, i32.MIN_VALUE, 0, i32.MIN_VALUE)
    : i32x4(i32.MIN_VALUE, 0, i32.MIN_VALUE, 0);
  for (let i: u32 = 0; i < nPairs; i += 2) {
    const at = <usize>i << 2;
    const uv = v128.load(x + 2 * at);
    const vu = v128.shuffle<f32>(uv, uv, 1, 0, 3, 2);
    const cc = v128.load64_splat(cosines + at);
    const ss = v128.load64_splat(cosines + at + pairBytes);
    const c = v128.shuffle<f32>(cc, cc, 0, 0, 1, 1);
    const s = v128.shuffle<f32>(ss, ss, 0, 0, 1, 1);
    const turned = v128.xor(f32x4.mul(vu, s), signs);
    put(y + 2 * at, 2 * (nPairs - i), fma4(uv, c, turned), isGradient);
  }
}
