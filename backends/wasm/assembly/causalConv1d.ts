/** The short convolution in front of a recurrence, for prompts and single tokens alike. */

import {
  CALL_SEGMENTS,
  CALL_SEGMENT_TABLE,
  SEGMENT_BEGIN,
  SEGMENT_COUNT,
  SEGMENT_STATE,
} from '../abi';
import { fma4, silu4 } from './elementary';
import { next, ofCall, ofSegment, runOf, segmentAt, take } from './share';

/** Channels that a thread takes at a time: four lines of the cache of every token. */
const CHANNEL_BLOCK: u32 = 64;

/**
 * y[t] = act(bias + Σ_w weight[w]·x[t − dConv + 1 + w]); inputs before the call come from the state
 * [dConv − 1][channels padded to 4], oldest first, which is updated in place.
 *
 * @param x rows (tokens, xStride), of which `channels` columns are read
 * @param weight [dConv][channels padded to 4]
 * @param bias (channels), or 0
 * @param stateOffset bytes from the beginning of a sequence's state
 * @param y rows (tokens, yStride)
 */
export function causalConv1d(
  x: usize,
  xStride: u32,
  weight: usize,
  bias: usize,
  channels: u32,
  dConv: u32,
  isSilu: u32,
  stateOffset: u32,
  y: usize,
  yStride: u32,
  call: usize,
  thread: u32,
  threads: u32,
): void {
  const blocks = (channels + CHANNEL_BLOCK - 1) / CHANNEL_BLOCK;
  const items = ofCall(call, CALL_SEGMENTS) * blocks;
  const table = <usize>ofCall(call, CALL_SEGMENT_TABLE);
  const xBytes = <usize>xStride << 2;
  const yBytes = <usize>yStride << 2;
  const tapBytes = <usize>((channels + 3) & ~3) << 2;
  const run = runOf(items, threads);
  for (let item = take(run); item < items; item = next(item, run)) {
    const segment = segmentAt(table, item / blocks);
    const channel = (item % blocks) * CHANNEL_BLOCK;
    const column = <usize>channel << 2;
    const width = <usize>min<u32>(CHANNEL_BLOCK, channels - channel) << 2;
    const begin = <usize>ofSegment(segment, SEGMENT_BEGIN);
    const count = ofSegment(segment, SEGMENT_COUNT);
    const state = <usize>ofSegment(segment, SEGMENT_STATE) + stateOffset + column;
    const from = x + begin * xBytes + column;
    let to = y + begin * yBytes + column;
    const w = weight + column;
    const b = bias ? bias + column : 0;
    for (let t: u32 = 0; t < count; t++) {
      if (dConv == 4) fourTaps(to, width, t, from, xBytes, state, w, tapBytes, b, isSilu);
      else anyTaps(to, width, t, from, xBytes, state, w, tapBytes, b, isSilu, dConv);
      to += yBytes;
    }
    // the kept inputs move up: slot k takes what stood `count` slots behind it, so going up overwrites nothing needed
    for (let k: u32 = 0; k + 1 < dConv; k++) {
      const slot = state + <usize>k * tapBytes;
      memory.copy(slot, inputAt(<i32>(count + k + 1 - dConv), dConv, from, xBytes, state, tapBytes), width);
    }
  }
}

/** Where the input of a token of this call stands; those of tokens before it, t < 0, are in the state. */
// @ts-ignore: decorator
@inline
function inputAt(
  t: i32,
  dConv: u32,
  x: usize,
  xBytes: usize,
  state: usize,
  tapBytes: usize,
): usize {
  return t >= 0 ? x + <usize>t * xBytes : state + <usize>(<i32>dConv - 1 + t) * tapBytes;
}

/** One token's outputs with dConv = 4. */
// @ts-ignore: decorator
@inline
function fourTaps(
  y: usize,
  width: usize,
  t: u32,
  x: usize,
  xBytes: usize,
  state: usize,
  weight: usize,
  tapBytes: usize,
  bias: usize,
  isSilu: u32,
): void {
  const x0 = inputAt(<i32>t - 3, 4, x, xBytes, state, tapBytes);
  const x1 = inputAt(<i32>t - 2, 4, x, xBytes, state, tapBytes);
  const x2 = inputAt(<i32>t - 1, 4, x, xBytes, state, tapBytes);
  const x3 = inputAt(<i32>t, 4, x, xBytes, state, tapBytes);
  const w1 = weight + tapBytes;
  const w2 = w1 + tapBytes;
  const w3 = w2 + tapBytes;
  for (let c: usize = 0; c < width; c += 16) {
    let sum = bias ? v128.load(bias + c) : f32x4.splat(0);
    sum = fma4(v128.load(weight + c), v128.load(x0 + c), sum);
    sum = fma4(v128.load(w1 + c), v128.load(x1 + c), sum);
    sum = fma4(v128.load(w2 + c), v128.load(x2 + c), sum);
    sum = fma4(v128.load(w3 + c), v128.load(x3 + c), sum);
    v128.store(y + c, isSilu ? silu4(sum) : sum);
  }
}

/** One token's outputs with any number of taps. */
// @ts-ignore: decorator
@inline
function anyTaps(
  y: usize,
  width: usize,
  t: u32,
  x: usize,
  xBytes: usize,
  state: usize,
  weight: usize,
  tapBytes: usize,
  bias: usize,
  isSilu: u32,
  dConv: u32,
): void {
  for (let c: usize = 0; c < width; c += 16) {
    let sum = bias ? v128.load(bias + c) : f32x4.splat(0);
    for (let w: u32 = 0; w < dConv; w++) {
      const input = inputAt(<i32>(t + w + 1 - dConv), dConv, x, xBytes, state, tapBytes);
      sum = fma4(v128.load(weight + <usize>w * tapBytes + c), v128.load(input + c), sum);
    }
    v128.store(y + c, isSilu ? silu4(sum) : sum);
  }
}
