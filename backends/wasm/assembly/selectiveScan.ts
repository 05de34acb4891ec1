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
import { anyPowerOfTwo4, fma4, powerOfTwo4, silu4, softplus4 } from './elementary';
import { next, ofCall, ofSegment, runOf, segmentAt, storeSome, take } from './share';

/** Blocks of four channels that a thread takes at a time. */
const TOGETHER: u32 = 16;

/**
 * @param dtBias (dInner), or 0
 * @param rates A·log₂(e), A < 0, packed
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
  const parts = (inGroup + TOGETHER - 1) / TOGETHER;
  const perSegment = nGroups * parts;
  const table = ofCall(call, CALL_SEGMENT_TABLE);
  const items = ofCall(call, CALL_SEGMENTS) * perSegment;
  const depth = <usize>dState << 4;
  const run = runOf(items, threads);
  for (let item = take(run); item < items; item = next(item, run)) {
    const segment = segmentAt(table, item / perSegment);
    const group = (item % perSegment) / parts;
    const first: u32 = ((item % perSegment) % parts) * TOGETHER;
    const last: u32 = min<u32>(first + TOGETHER, inGroup);
    const own = <usize>(group * inGroup + first) * depth;
    const column = <usize>(group * perGroup + (first << 2)) << 2;
    const channels = min<u32>((last - first) << 2, perGroup - (first << 2));
    const state = ofSegment(segment, SEGMENT_STATE) + stateOffset + own;
    const begin = ofSegment(segment, SEGMENT_BEGIN);
    const after = begin + ofSegment(segment, SEGMENT_COUNT);
    for (let t = begin; t < after; t++) {
      const to = y + (<usize>(t * yStride) << 2) + column;
      const from = x + (<usize>(t * xStride) << 2) + column;
      stepSizes(to, dtRaw + (<usize>(t * dtStride) << 2) + column, dtBias ? dtBias + column : 0, channels, hasSoftplus);
      const write = B + (<usize>(t * BStride + group * dState) << 2);
      const read = C + (<usize>(t * CStride + group * dState) << 2);
      let h = state;
      let a = rates + own;
      for (let channel: u32 = 0; channel < channels; channel += 4) {
        const at = <usize>channel << 2;
        const dt = v128.load(to + at);
        const v = v128.load(from + at);
        const dtX = f32x4.mul(dt, v);
        let sum = hasSoftplus
          ? fourChannels(h, a, dt, dtX, write, read, depth)
          : fourChannelsOfAnyStep(h, a, dt, dtX, write, read, depth);
        if (D) sum = fma4(v128.load(D + column + at), v, sum);
        storeSome(to + at, channels - channel, sum);
        h += depth;
        a += depth;
      }
      if (z) gate(to, z + (<usize>(t * zStride) << 2) + column, channels);
    }
  }
}

/**
 * Δ of some channels, put where y will stand. Apart from the recurrence, as the gate is: one after the other, the long
 * chain of operations behind a softplus would hold up every four channels.
 */
export function stepSizes(to: usize, dtRaw: usize, bias: usize, channels: u32, hasSoftplus: u32): void {
  for (let channel: u32 = 0; channel < channels; channel += 4) {
    const at = <usize>channel << 2;
    let dt = v128.load(dtRaw + at);
    if (bias) dt = f32x4.add(dt, v128.load(bias + at));
    storeSome(to + at, channels - channel, hasSoftplus ? softplus4(dt) : dt);
  }
}

/** y·silu(z) of some channels. */
function gate(y: usize, z: usize, channels: u32): void {
  for (let channel: u32 = 0; channel < channels; channel += 4) {
    const at = <usize>channel << 2;
    const gated = f32x4.mul(v128.load(y + at), silu4(v128.load(z + at)));
    storeSome(y + at, channels - channel, gated);
  }
}

/** One token of four channels: their states are brought forward, and read. Δ·A ≤ 0. */
// @ts-ignore: decorator
@inline
export function fourChannels(
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
    const decay = powerOfTwo4(f32x4.mul(dt, v128.load(a + n)));
    const added = f32x4.mul(dtX, v128.load32_splat(write + (n >> 2)));
    const state = fma4(decay, v128.load(h + n), added);
    v128.store(h + n, state);
    sum = fma4(v128.load32_splat(read + (n >> 2)), state, sum);
  }
  return sum;
}

/** {@link fourChannels} where Δ may be negative. */
function fourChannelsOfAnyStep(
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
    const decay = anyPowerOfTwo4(f32x4.mul(dt, v128.load(a + n)));
    const added = f32x4.mul(dtX, v128.load32_splat(write + (n >> 2)));
    const state = fma4(decay, v128.load(h + n), added);
    v128.store(h + n, state);
    sum = fma4(v128.load32_splat(read + (n >> 2)), state, sum);
  }
  return sum;
}
