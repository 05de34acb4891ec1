/**
 * The gradient of Mamba-1's recurrence. With dh the gradient of the state after a token, from the last token back:
 *
 *   dh ← dh + dy·C          dC = Σ_d dy·h         dx = Δ·Σ_n dh·B + D·dy
 *   dB = Σ_d Δ·x·dh         dh ← exp(Δ·A)·dh      dΔ = x·Σ_n dh·B + Σ_n A·dh·(h before)
 *   dA = Σ Δ·dh·(h before)  ddtRaw = dΔ·σ(dtRaw + dtBias)
 *
 * where the dh of dx, dB and the first half of dΔ is the one before the decay. An item is a group of a sequence, so that
 * it owns the rows of dB and dC. It goes back chunk by chunk: the states of a chunk are computed once more from the one
 * kept before it.
 */

import { fma4, powerOfTwo4, sigmoid4, softplus4 } from '../elementary';
import { firstLanes } from '../lanes';
import { next, runOf, storeSome, take } from '../share';
import { addLanes } from './laneSums';

const LN_2: f32 = 0.6931471805599453;

/**
 * As in scanForward; adds to each of dx, dDtRaw, dB and dC that is not 0.
 *
 * @param biasParts rows of (dInner), one of each sequence, written: Σ_t ddtRaw; or 0
 * @param skipParts rows of (dInner), one of each sequence, written: Σ_t x·dy; or 0
 * @param rateParts [batch][group][block][n][4], written: dA of each sequence
 * @param scratch of each thread: [chunk + 1] states, [chunk] decays, dB and dC as [chunk][n][4], dh of a group, and Δ
 *   and dΔ as [chunk][4]
 */
export function scanGradient(
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
  dy: usize,
  dyStride: u32,
  dx: usize,
  dxStride: u32,
  dDtRaw: usize,
  dDtStride: u32,
  dB: usize,
  dBStride: u32,
  dC: usize,
  dCStride: u32,
  biasParts: usize,
  skipParts: usize,
  partStride: u32,
  rateParts: usize,
  scratch: usize,
  perThread: u32,
  thread: u32,
  threads: u32,
): void {
  const inGroup = (perGroup + 3) / 4;
  const chunks = (seqlen + chunk - 1) / chunk;
  const depth = <usize>dState << 4;
  const ofChunk = <usize>(nGroups * inGroup) * depth;
  const within = scratch + <usize>thread * perThread;
  const decays = within + <usize>(chunk + 1) * depth;
  const laneB = decays + <usize>chunk * depth;
  const laneC = laneB + <usize>chunk * depth;
  const dh = laneC + <usize>chunk * depth;
  const steps = dh + <usize>inGroup * depth;
  const dSteps = steps + (<usize>chunk << 4);
  const items = batch * nGroups;
  const run = runOf(items, threads);
  for (let item = take(run); item < items; item = next(item, run)) {
    const sequence = item / nGroups;
    const group = item % nGroups;
    const parts = <usize>(sequence * partStride + group * perGroup) << 2;
    const dRates = rateParts + <usize>(item * inGroup) * depth;
    memory.fill(dh, 0, <usize>inGroup * depth);
    memory.fill(dRates, 0, <usize>inGroup * depth);
    if (biasParts) memory.fill(biasParts + parts, 0, <usize>perGroup << 2);
    if (skipParts) memory.fill(skipParts + parts, 0, <usize>perGroup << 2);
    for (let left = chunks; left > 0; left--) {
      const begin = (left - 1) * chunk;
      const tokens = min<u32>(chunk, seqlen - begin);
      const row = sequence * seqlen + begin;
      const write = B + (<usize>(row * BStride + group * dState) << 2);
      const read = C + (<usize>(row * CStride + group * dState) << 2);
      memory.fill(laneB, 0, <usize>tokens * depth);
      memory.fill(laneC, 0, <usize>tokens * depth);
      for (let block: u32 = 0; block < inGroup; block++) {
        const channels = perGroup - (block << 2);
        const column = group * perGroup + (block << 2);
        const own = x + (<usize>(row * xStride + column) << 2);
        const raw = dtRaw + (<usize>(row * dtStride + column) << 2);
        const back = dy + (<usize>(row * dyStride + column) << 2);
        const bias = dtBias ? v128.load(dtBias + (<usize>column << 2)) : f32x4.splat(0);
        const a = rates + <usize>(group * inGroup + block) * depth;
        if (left > 1) {
          const kept = <usize>(sequence * chunks + left - 1) * ofChunk + <usize>(group * inGroup + block) * depth;
          memory.copy(within, states + kept, depth);
        } else {
          memory.fill(within, 0, depth);
        }
        stepSizes(steps, raw, dtStride, bias, tokens, channels);
        again(within, decays, depth, tokens, channels, own, xStride, steps, a, write, BStride);
        const skip = D ? v128.load(D + (<usize>column << 2)) : f32x4.splat(0);
        // prettier-ignore
        walkBack(within, decays, depth, tokens, channels, own, xStride, steps, a, write, BStride, read, CStride, back, dyStride, dh + <usize>block * depth, laneB, laneC, dRates + <usize>block * depth, dSteps, skip, dx ? dx + (<usize>(row * dxStride + column) << 2) : 0, dxStride, skipParts ? skipParts + parts + (block << 4) : 0);
        addStepGradients(dSteps, raw, dtStride, bias, tokens, channels, dDtRaw ? dDtRaw + (<usize>(row * dDtStride + column) << 2) : 0, dDtStride, biasParts ? biasParts + parts + (block << 4) : 0);
      }
      if (dB) addLanes(laneB, tokens, dState, dB + (<usize>(row * dBStride + group * dState) << 2), <usize>dBStride << 2);
      if (dC) addLanes(laneC, tokens, dState, dC + (<usize>(row * dCStride + group * dState) << 2), <usize>dCStride << 2);
    }
  }
}

/** Δ of four channels, 0 where there is none. */
function stepSizes(to: usize, raw: usize, stride: u32, bias: v128, tokens: u32, channels: u32): void {
  const lanes = firstLanes(channels);
  for (let t: u32 = 0; t < tokens; t++) {
    const dt = softplus4(f32x4.add(v128.load(raw), bias));
    v128.store(to + (<usize>t << 4), v128.and(dt, lanes));
    raw += <usize>stride << 2;
  }
}

/** The states of four channels after each of some tokens, behind the one before them, and the decays on the way. */
function again(
  h: usize,
  decays: usize,
  depth: usize,
  tokens: u32,
  channels: u32,
  x: usize,
  xStride: u32,
  steps: usize,
  a: usize,
  B: usize,
  BStride: u32,
): void {
  const lanes = firstLanes(channels);
  for (let t: u32 = 0; t < tokens; t++) {
    const dt = v128.load(steps + (<usize>t << 4));
    const dtX = f32x4.mul(dt, v128.and(v128.load(x), lanes));
    const to = h + depth;
    for (let n: usize = 0; n < depth; n += 16) {
      const decay = powerOfTwo4(f32x4.mul(dt, v128.load(a + n)));
      v128.store(decays + n, decay);
      const added = f32x4.mul(dtX, v128.load32_splat(B + (n >> 2)));
      v128.store(to + n, fma4(decay, v128.load(h + n), added));
    }
    h = to;
    decays += depth;
    x += <usize>xStride << 2;
    B += <usize>BStride << 2;
  }
}

/** Brings dh of four channels back over some tokens. */
function walkBack(
  within: usize,
  decays: usize,
  depth: usize,
  tokens: u32,
  channels: u32,
  x: usize,
  xStride: u32,
  steps: usize,
  a: usize,
  B: usize,
  BStride: u32,
  C: usize,
  CStride: u32,
  dy: usize,
  dyStride: u32,
  dh: usize,
  laneB: usize,
  laneC: usize,
  dRates: usize,
  dSteps: usize,
  skip: v128,
  dx: usize,
  dxStride: u32,
  skipPart: usize,
): void {
  const lanes = firstLanes(channels);
  let skipSum = f32x4.splat(0);
  for (let left = tokens; left > 0; left--) {
    const t = <usize>(left - 1);
    const dt = v128.load(steps + (t << 4));
    const own = v128.and(v128.load(x + ((t * xStride) << 2)), lanes);
    const g = v128.and(v128.load(dy + ((t * dyStride) << 2)), lanes);
    const dtX = f32x4.mul(dt, own);
    const write = B + ((t * BStride) << 2);
    const read = C + ((t * CStride) << 2);
    const before = within + t * depth;
    const after = before + depth;
    const decay = decays + t * depth;
    const toB = laneB + t * depth;
    const toC = laneC + t * depth;
    let written = f32x4.splat(0);
    let forgotten = written;
    for (let n: usize = 0; n < depth; n += 16) {
      let e = fma4(g, v128.load32_splat(read + (n >> 2)), v128.load(dh + n));
      v128.store(toC + n, fma4(g, v128.load(after + n), v128.load(toC + n)));
      v128.store(toB + n, fma4(dtX, e, v128.load(toB + n)));
      written = fma4(e, v128.load32_splat(write + (n >> 2)), written);
      e = f32x4.mul(e, v128.load(decay + n));
      v128.store(dh + n, e);
      e = f32x4.mul(e, v128.load(before + n));
      forgotten = fma4(e, v128.load(a + n), forgotten);
      v128.store(dRates + n, fma4(e, dt, v128.load(dRates + n)));
    }
    // the rates are powers of two
    v128.store(dSteps + (t << 4), fma4(own, written, f32x4.mul(f32x4.splat(LN_2), forgotten)));
    skipSum = fma4(own, g, skipSum);
    if (dx) {
      const to = dx + ((t * dxStride) << 2);
      storeSome(to, channels, f32x4.add(v128.load(to), fma4(skip, g, f32x4.mul(dt, written))));
    }
  }
  if (skipPart) storeSome(skipPart, channels, f32x4.add(v128.load(skipPart), skipSum));
}

/** From dΔ to what stands before softplus and bias. Apart from the recurrence: see stepSizes. */
function addStepGradients(
  dSteps: usize,
  raw: usize,
  stride: u32,
  bias: v128,
  tokens: u32,
  channels: u32,
  dRaw: usize,
  dStride: u32,
  biasPart: usize,
): void {
  let sum = f32x4.splat(0);
  for (let t: u32 = 0; t < tokens; t++) {
    const slope = sigmoid4(f32x4.add(v128.load(raw), bias));
    const d = f32x4.mul(v128.load(dSteps + (<usize>t << 4)), slope);
    sum = f32x4.add(sum, d);
    if (dRaw) storeSome(dRaw, channels, f32x4.add(v128.load(dRaw), d));
    raw += <usize>stride << 2;
    dRaw += <usize>dStride << 2;
  }
  if (biasPart) storeSome(biasPart, channels, f32x4.add(v128.load(biasPart), sum));
}

/**
 * dALog += A·Σ_b dA, in the order of the sequences.
 *
 * @param rateParts [batch][group][block][n][4]: dA of each sequence
 * @param dALog rows (dInner) of (dState)
 */
export function scanRatesGradient(
  rateParts: usize,
  rates: usize,
  batch: u32,
  nGroups: u32,
  perGroup: u32,
  dState: u32,
  dALog: usize,
  stride: u32,
  thread: u32,
  threads: u32,
): void {
  const blocks = (perGroup + 3) / 4;
  const items = nGroups * blocks;
  const ofSequence = <usize>(items * dState) << 4;
  const run = runOf(items, threads);
  for (let item = take(run); item < items; item = next(item, run)) {
    const channel = (item % blocks) << 2;
    const own = <usize>(item * dState) << 4;
    const row = dALog + (<usize>(((item / blocks) * perGroup + channel) * stride) << 2);
    const lanes = min<u32>(perGroup - channel, 4);
    for (let n: u32 = 0; n < dState; n++) {
      for (let lane: u32 = 0; lane < lanes; lane++) {
        let from = own + (<usize>(4 * n + lane) << 2);
        const rate = load<f32>(rates + from) * LN_2;
        let sum: f32 = 0;
        for (let b: u32 = 0; b < batch; b++) {
          sum += load<f32>(rateParts + from);
          from += ofSequence;
        }
        const to = row + (<usize>(lane * stride + n) << 2);
        store<f32>(to, load<f32>(to) + rate * sum);
      }
    }
  }
}
