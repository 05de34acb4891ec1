/**
 * Mamba-1's recurrence for whole sequences, from a state of zeros: h ← exp(Δ·A)·h + Δ·B·x, y = C·h + D·x,
 * Δ = softplus(dtRaw + dtBias).
 *
 * Four channels at a time; rates and state lie as [group][block of 4 channels][n][4]. Lanes without a channel stay 0.
 * For the gradient the states before every chunk of tokens are kept; the first ones are zeros, so their place holds the
 * state that is brought forward.
 */

import { exp4, fma4 } from '../elementary';
import { firstLanes } from '../lanes';
import { fourChannels, stepSizes } from '../selectiveScan';
import { next, runOf, storeSome, take } from '../share';

/** Blocks of four channels that a thread takes at a time. */
const TOGETHER: u32 = 16;
const LOG2_E: f32 = 1.4426950408889634;

/**
 * −exp(ALog)·log₂(e), packed; 0 in lanes without a channel.
 *
 * @param ALog rows (dInner) of (dState)
 */
export function scanRates(
  ALog: usize,
  stride: u32,
  nGroups: u32,
  perGroup: u32,
  dState: u32,
  rates: usize,
  thread: u32,
  threads: u32,
): void {
  const blocks = (perGroup + 3) / 4;
  const items = nGroups * blocks;
  const run = runOf(items, threads);
  for (let item = take(run); item < items; item = next(item, run)) {
    const channel = (item % blocks) << 2;
    const lanes = firstLanes(perGroup - channel);
    const row = ALog + (<usize>(((item / blocks) * perGroup + channel) * stride) << 2);
    const to = rates + <usize>(item * dState) * 16;
    for (let n: u32 = 0; n < dState; n++) {
      for (let lane: u32 = 0; lane < 4; lane++) {
        const at = row + (<usize>(lane * stride + n) << 2);
        store<f32>(to + (<usize>(4 * n + lane) << 2), channel + lane < perGroup ? load<f32>(at) : 0);
      }
      const place = to + (<usize>n << 4);
      const rate = f32x4.mul(exp4(v128.load(place)), f32x4.splat(-LOG2_E));
      v128.store(place, v128.and(rate, lanes));
    }
  }
}

/**
 * @param x rows of (dInner); dtRaw and y too
 * @param dtBias (dInner), or 0
 * @param rates A·log₂(e), packed
 * @param B rows of (nGroups · dState); C too
 * @param D (dInner), or 0
 * @param states [batch][chunk][group][block][n][4], written
 */
export function scanForward(
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
  nGroups: u32,
  perGroup: u32,
  dState: u32,
  batch: u32,
  seqlen: u32,
  chunk: u32,
  states: usize,
  y: usize,
  yStride: u32,
  thread: u32,
  threads: u32,
): void {
  const inGroup = (perGroup + 3) / 4;
  const parts = (inGroup + TOGETHER - 1) / TOGETHER;
  const perSequence = nGroups * parts;
  const chunks = (seqlen + chunk - 1) / chunk;
  const depth = <usize>dState << 4;
  const ofChunk = <usize>(nGroups * inGroup) * depth;
  const items = batch * perSequence;
  const run = runOf(items, threads);
  for (let item = take(run); item < items; item = next(item, run)) {
    const sequence = item / perSequence;
    const group = (item % perSequence) / parts;
    const first: u32 = ((item % perSequence) % parts) * TOGETHER;
    const last: u32 = min<u32>(first + TOGETHER, inGroup);
    const own = <usize>(group * inGroup + first) * depth;
    const bytes = <usize>(last - first) * depth;
    const column = <usize>(group * perGroup + (first << 2)) << 2;
    const channels = min<u32>((last - first) << 2, perGroup - (first << 2));
    const state = states + <usize>(sequence * chunks) * ofChunk + own;
    memory.fill(state, 0, bytes);
    for (let t: u32 = 0; t < seqlen; t++) {
      if (t && t % chunk == 0) memory.copy(state + <usize>(t / chunk) * ofChunk, state, bytes);
      const row = sequence * seqlen + t;
      const to = y + (<usize>(row * yStride) << 2) + column;
      const from = x + (<usize>(row * xStride) << 2) + column;
      stepSizes(to, dtRaw + (<usize>(row * dtStride) << 2) + column, dtBias ? dtBias + column : 0, channels, 1);
      const write = B + (<usize>(row * BStride + group * dState) << 2);
      const read = C + (<usize>(row * CStride + group * dState) << 2);
      let h = state;
      let a = rates + own;
      for (let channel: u32 = 0; channel < channels; channel += 4) {
        const at = <usize>channel << 2;
        const lanes = firstLanes(channels - channel);
        const dt = v128.and(v128.load(to + at), lanes);
        const v = v128.and(v128.load(from + at), lanes);
        let sum = fourChannels(h, a, dt, f32x4.mul(dt, v), write, read, depth);
        if (D) sum = fma4(v128.load(D + column + at), v, sum);
        storeSome(to + at, channels - channel, sum);
        h += depth;
        a += depth;
      }
    }
  }
}
