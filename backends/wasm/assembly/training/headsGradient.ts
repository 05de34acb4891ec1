/**
 * The gradient of the recurrences over heads. With dh the gradient of the state after a token, from the last token back:
 *
 *   dh ← dh + dy·C        dC = Σ_p dy·h          dx = scale·dh·B + D·dy
 *   dB = Σ_p scale·x·dh   dScale = Σ_p x·dh·B    d(ln decay) = decay·Σ dh·(h before)
 *   dh ← decay·dh
 *
 * An item is a group of a sequence, so that it owns the rows of dB and dC. It goes back chunk by chunk: the states of a
 * chunk are computed once more from the one kept before it.
 */

import { fma4 } from '../elementary';
import { firstLanes } from '../lanes';
import { next, runOf, storeSome, sumOf, take } from '../share';
import { addLanes } from './laneSums';

/**
 * As in headsForward; adds to each of dx, dB and dC that is not 0.
 *
 * @param skipParts rows of (nHeads · headDim), one of each sequence, written: Σ_t x·dy; or 0
 * @param dScale rows of (nHeads), of scale's stride, written; or 0
 * @param dLog the same: gradient of the decay's logarithm
 * @param scratch of each thread: [chunk + 1] states of a pair, dB and dC as [chunk][n][4], dh of a group, sums [chunk][2][4]
 */
export function headsGradient(
  x: usize,
  xStride: u32,
  scale: usize,
  decay: usize,
  headStride: u32,
  B: usize,
  BStride: u32,
  C: usize,
  CStride: u32,
  D: usize,
  nHeads: u32,
  headDim: u32,
  nGroups: u32,
  dState: u32,
  batch: u32,
  seqlen: u32,
  chunk: u32,
  states: usize,
  dy: usize,
  dyStride: u32,
  dx: usize,
  dxStride: u32,
  dB: usize,
  dBStride: u32,
  dC: usize,
  dCStride: u32,
  skipParts: usize,
  skipStride: u32,
  dScale: usize,
  dLog: usize,
  scratch: usize,
  perThread: u32,
  thread: u32,
  threads: u32,
): void {
  const pairs = (headDim + 7) / 8;
  const perGroup = nHeads / nGroups;
  const chunks = (seqlen + chunk - 1) / chunk;
  const depth = <usize>dState << 4;
  const ofChunk = <usize>(nHeads * pairs) * 2 * depth;
  const headBytes = <usize>headStride << 2;
  const within = scratch + <usize>thread * perThread;
  const laneB = within + <usize>(chunk + 1) * 2 * depth;
  const laneC = laneB + <usize>chunk * depth;
  const dh = laneC + <usize>chunk * depth;
  const sums = dh + <usize>(perGroup * pairs) * 2 * depth;
  const items = batch * nGroups;
  const run = runOf(items, threads);
  for (let item = take(run); item < items; item = next(item, run)) {
    const sequence = item / nGroups;
    const group = item % nGroups;
    memory.fill(dh, 0, <usize>(perGroup * pairs) * 2 * depth);
    if (skipParts) memory.fill(skipParts + (<usize>(sequence * skipStride + group * perGroup * headDim) << 2), 0, <usize>(perGroup * headDim) << 2);
    for (let left = chunks; left > 0; left--) {
      const begin = (left - 1) * chunk;
      const tokens = min<u32>(chunk, seqlen - begin);
      const row = sequence * seqlen + begin;
      const write = B + (<usize>(row * BStride + group * dState) << 2);
      const read = C + (<usize>(row * CStride + group * dState) << 2);
      memory.fill(laneB, 0, <usize>tokens * depth);
      memory.fill(laneC, 0, <usize>tokens * depth);
      for (let i: u32 = 0; i < perGroup; i++) {
        const head = group * perGroup + i;
        const ofHead = <usize>row * headBytes + (<usize>head << 2);
        const skip = D ? load<f32>(D + (<usize>head << 2)) : 0;
        memory.fill(sums, 0, <usize>tokens << 5);
        for (let pair: u32 = 0; pair < pairs; pair++) {
          const column = head * headDim + (pair << 3);
          const channels = headDim - (pair << 3);
          const own = x + (<usize>(row * xStride + column) << 2);
          const back = dy + (<usize>(row * dyStride + column) << 2);
          const at = scale ? scale + ofHead : 0;
          if (left > 1) {
            const kept = <usize>(sequence * chunks + left - 1) * ofChunk + <usize>(head * pairs + pair) * 2 * depth;
            memory.copy(within, states + kept, 2 * depth);
          } else {
            memory.fill(within, 0, 2 * depth);
          }
          again(within, depth, tokens, channels, own, xStride, at, decay + ofHead, headBytes, write, BStride);
          // prettier-ignore
          walkBack(within, depth, tokens, channels, own, xStride, at, decay + ofHead, headBytes, write, BStride, read, CStride, back, dyStride, dh + <usize>(i * pairs + pair) * 2 * depth, laneB, laneC, sums, skip, dx ? dx + (<usize>(row * dxStride + column) << 2) : 0, dxStride);
          if (skipParts) addProducts(skipParts + (<usize>(sequence * skipStride + column) << 2), own, xStride, back, dyStride, tokens, channels);
        }
        for (let t: u32 = 0; t < tokens; t++) {
          const at = ofHead + t * headBytes;
          if (dLog) store<f32>(dLog + at, load<f32>(decay + at) * sumOf(v128.load(sums + (t << 5))));
          if (dScale) store<f32>(dScale + at, sumOf(v128.load(sums + (t << 5), 16)));
        }
      }
      if (dB) addLanes(laneB, tokens, dState, dB + (<usize>(row * dBStride + group * dState) << 2), <usize>dBStride << 2);
      if (dC) addLanes(laneC, tokens, dState, dC + (<usize>(row * dCStride + group * dState) << 2), <usize>dCStride << 2);
    }
  }
}

/** The states of a pair after each of some tokens, behind the one before them. */
function again(
  h: usize,
  depth: usize,
  tokens: u32,
  channels: u32,
  x: usize,
  xStride: u32,
  scale: usize,
  decay: usize,
  headBytes: usize,
  B: usize,
  BStride: u32,
): void {
  const first = firstLanes(channels);
  const second = firstLanes(channels > 4 ? channels - 4 : 0);
  for (let t: u32 = 0; t < tokens; t++) {
    const d = v128.load32_splat(decay);
    const dt = scale ? v128.load32_splat(scale) : f32x4.splat(1);
    const x0 = f32x4.mul(dt, v128.and(v128.load(x), first));
    const x1 = f32x4.mul(dt, v128.and(v128.load(x, 16), second));
    const h1 = h + depth;
    const to = h1 + depth;
    const to1 = to + depth;
    for (let n: usize = 0; n < depth; n += 16) {
      const b = v128.load32_splat(B + (n >> 2));
      v128.store(to + n, fma4(d, v128.load(h + n), f32x4.mul(x0, b)));
      v128.store(to1 + n, fma4(d, v128.load(h1 + n), f32x4.mul(x1, b)));
    }
    h = to;
    decay += headBytes;
    if (scale) scale += headBytes;
    x += <usize>xStride << 2;
    B += <usize>BStride << 2;
  }
}

/** Brings dh of a pair back over some tokens. */
function walkBack(
  within: usize,
  depth: usize,
  tokens: u32,
  channels: u32,
  x: usize,
  xStride: u32,
  scale: usize,
  decay: usize,
  headBytes: usize,
  B: usize,
  BStride: u32,
  C: usize,
  CStride: u32,
  dy: usize,
  dyStride: u32,
  dh: usize,
  laneB: usize,
  laneC: usize,
  sums: usize,
  skip: f32,
  dx: usize,
  dxStride: u32,
): void {
  const first = firstLanes(channels);
  const second = firstLanes(channels > 4 ? channels - 4 : 0);
  const dh1 = dh + depth;
  for (let left = tokens; left > 0; left--) {
    const t = <usize>(left - 1);
    const d = v128.load32_splat(decay + t * headBytes);
    const dt = scale ? v128.load32_splat(scale + t * headBytes) : f32x4.splat(1);
    const at = x + ((t * xStride) << 2);
    const own0 = v128.and(v128.load(at), first);
    const own1 = v128.and(v128.load(at, 16), second);
    const x0 = f32x4.mul(dt, own0);
    const x1 = f32x4.mul(dt, own1);
    const back = dy + ((t * dyStride) << 2);
    const g0 = v128.and(v128.load(back), first);
    const g1 = v128.and(v128.load(back, 16), second);
    const write = B + ((t * BStride) << 2);
    const read = C + ((t * CStride) << 2);
    const before = within + t * 2 * depth;
    const before1 = before + depth;
    const after = before1 + depth;
    const after1 = after + depth;
    const toB = laneB + t * depth;
    const toC = laneC + t * depth;
    let s0 = f32x4.splat(0);
    let s1 = s0;
    let byDecay = s0;
    for (let n: usize = 0; n < depth; n += 16) {
      const c = v128.load32_splat(read + (n >> 2));
      const b = v128.load32_splat(write + (n >> 2));
      const e0 = fma4(g0, c, v128.load(dh + n));
      const e1 = fma4(g1, c, v128.load(dh1 + n));
      v128.store(toC + n, fma4(g1, v128.load(after1 + n), fma4(g0, v128.load(after + n), v128.load(toC + n))));
      v128.store(toB + n, fma4(x1, e1, fma4(x0, e0, v128.load(toB + n))));
      s0 = fma4(e0, b, s0);
      s1 = fma4(e1, b, s1);
      byDecay = fma4(e1, v128.load(before1 + n), fma4(e0, v128.load(before + n), byDecay));
      v128.store(dh + n, f32x4.mul(d, e0));
      v128.store(dh1 + n, f32x4.mul(d, e1));
    }
    const sum = sums + (t << 5);
    v128.store(sum, f32x4.add(v128.load(sum), byDecay));
    v128.store(sum, fma4(s1, own1, fma4(s0, own0, v128.load(sum, 16))), 16);
    if (dx) {
      const to = dx + ((t * dxStride) << 2);
      const D = f32x4.splat(skip);
      s0 = fma4(D, g0, f32x4.mul(dt, s0));
      s1 = fma4(D, g1, f32x4.mul(dt, s1));
      storeSome(to, channels, f32x4.add(v128.load(to), s0));
      if (channels > 4) storeSome(to + 16, channels - 4, f32x4.add(v128.load(to, 16), s1));
    }
  }
}

/** Adds Σ_t x·dy of at most eight channels to what stands there. */
function addProducts(
  to: usize,
  x: usize,
  xStride: u32,
  dy: usize,
  dyStride: u32,
  tokens: u32,
  channels: u32,
): void {
  let s0 = f32x4.splat(0);
  let s1 = s0;
  for (let t: u32 = 0; t < tokens; t++) {
    s0 = fma4(v128.load(x), v128.load(dy), s0);
    s1 = fma4(v128.load(x, 16), v128.load(dy, 16), s1);
    x += <usize>xStride << 2;
    dy += <usize>dyStride << 2;
  }
  storeSome(to, channels, f32x4.add(v128.load(to), s0));
  if (channels > 4) storeSome(to + 16, channels - 4, f32x4.add(v128.load(to, 16), s1));
}
