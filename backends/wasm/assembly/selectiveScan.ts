/**
 * Mamba-1's recurrence: h ← exp(Δ·A)·h + Δ·B·x, y = (C·h + D·x)·silu(z), Δ = softplus(dtRaw + dtBias).
 *
 * Four channels at a time, their states one behind the other: rates and state lie as [group][block of 4 channels][n][4].
 * y is one sum over n in order. A prompt's tokens and single tokens take the same way.
 */

import {
  CALL_SEGMENT_TABLE,
  CALL_SEGMENTS,
  SEGMENT_BEGIN,
  SEGMENT_COUNT,
  SEGMENT_STATE,
} from '../abi';
import { exp4, expNegative4, fma4, silu4, softplus4 } from './elementary';
import { ofCall, ofSegment, segmentAt, shareOf, storeSome } from './share';

/**
 * @param dtBias (dInner), or 0
 * @param rates A < 0, packed
 * @param B rows of (nGroups, dState); C too
 * @param D (dInner), or 0
 * @param z rows (…, zStride), or 0
 * @param stateOffset bytes from the beginning of a sequence's state
 * @param hasSoftplus whether Δ is the softplus of the sum, or the sum itself
 */
export function selectiveScan(
  x: usize,
  xStride: u32,
  dtRaw: usize,
  dtStride: u32,
  dtBias: usize,
  rates: usize,
  B: usize,
  BStride: u32,
  C: usize,
  CStride: u32,
  D: usize,
  z: usize,
  zStride: u32,
  nGroups: u32,
  perGroup: u32,
  dState: u32,
  stateOffset: u32,
  hasSoftplus: u32,
  y: usize,
  yStride: u32,
  call: usize,
  thread: u32,
  threads: u32,
): void {
  const inGroup = (perGroup + 3) / 4;
  const blocks = nGroups * inGroup;
  const table = ofCall(call, CALL_SEGMENT_TABLE);
  const items = ofCall(call, CALL_SEGMENTS) * blocks;
  const depth = <usize>dState << 4;
  const end = shareOf(items, thread + 1, threads);
  for (let item = shareOf(items, thread, threads); item < end; item++) {
    const block = item % blocks;
    const group = block / inGroup;
    const first: u32 = (block % inGroup) << 2;
    const channel = <usize>(group * perGroup + first) << 2;
    const segment = segmentAt(table, item / blocks);
    const h = ofSegment(segment, SEGMENT_STATE) + stateOffset + <usize>block * depth;
    const a = rates + <usize>block * depth;
    const bias = dtBias ? v128.load(dtBias + channel) : f32x4.splat(0);
    const begin = ofSegment(segment, SEGMENT_BEGIN);
    const after = begin + ofSegment(segment, SEGMENT_COUNT);
    for (let t = begin; t < after; t++) {
      const own = v128.load(x + (<usize>(t * xStride) << 2) + channel);
      let dt = f32x4.add(v128.load(dtRaw + (<usize>(t * dtStride) << 2) + channel), bias);
      const write = B + (<usize>(t * BStride + group * dState) << 2);
      const read = C + (<usize>(t * CStride + group * dState) << 2);
      let sum: v128;
      if (hasSoftplus) {
        dt = softplus4(dt);
        sum = channels(h, a, dt, f32x4.mul(dt, own), write, read, depth);
      } else {
        sum = channelsOfAnyStep(h, a, dt, f32x4.mul(dt, own), write, read, depth);
      }
      if (D) sum = fma4(v128.load(D + channel), own, sum);
      if (z) sum = f32x4.mul(sum, silu4(v128.load(z + (<usize>(t * zStride) << 2) + channel)));
      storeSome(y + (<usize>(t * yStride) << 2) + channel, perGroup - first, sum);
    }
  }
}

/** One token of four channels: their states are brought forward, and read. Δ·A ≤ 0. */
// @ts-ignore: decorator
@inline
function channels(
  h: usize,
  a: usize,
  dt: v128,
  dtX: v128,
  write: usize,
  read: usize,
  depth: usize,
): v128 {
  let sum = f32x4.splat(0);
  for (let n: usize = 0; n < depth; n += 16) {
    const decay = expNegative4(f32x4.mul(dt, v128.load(a + n)));
    const added = f32x4.mul(dtX, v128.load32_splat(write + (n >> 2)));
    const state = fma4(decay, v128.load(h + n), added);
    v128.store(h + n, state);
    sum = fma4(v128.load32_splat(read + (n >> 2)), state, sum);
  }
  return sum;
}

/** {@link channels} where Δ may be negative. */
function channelsOfAnyStep(
  h: usize,
  a: usize,
  dt: v128,
  dtX: v128,
  write: usize,
  read: usize,
  depth: usize,
): v128 {
  let sum = f32x4.splat(0);
  for (let n: usize = 0; n < depth; n += 16) {
    const decay = exp4(f32x4.mul(dt, v128.load(a + n)));
    const added = f32x4.mul(dtX, v128.load32_splat(write + (n >> 2)));
    const state = fma4(decay, v128.load(h + n), added);
    v128.store(h + n, state);
    sum = fma4(v128.load32_splat(read + (n >> 2)), state, sum);
  }
  return sum;
}
