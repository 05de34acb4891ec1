/**
 * The short convolution over whole sequences, from nothing before them, and its gradient:
 *
 *   s[t] = bias + Σ_w weight[w]·x[t − dConv + 1 + w], y = silu(s) or s
 *
 * Four channels at a time. An item of the gradient owns its channels in all sequences: their filters are added up in
 * one order, whatever thread does it.
 */

import { exp4, fma4, silu4 } from '../elementary';
import { next, runOf, storeSome, take } from '../share';

/** Channels of an item: a line of the cache. */
const TOGETHER: u32 = 16;

/**
 * @param x rows of (channels); y too
 * @param weight rows of (dConv)
 * @param bias (channels), or 0
 * @param scratch of each thread: taps, 16·dConv bytes
 */
export function convolution(
  x: usize,
  xStride: u32,
  weight: usize,
  weightStride: u32,
  bias: usize,
  channels: u32,
  dConv: u32,
  isSilu: u32,
  batch: u32,
  seqlen: u32,
  y: usize,
  yStride: u32,
  scratch: usize,
  perThread: u32,
  thread: u32,
  threads: u32,
): void {
  const taps = scratch + <usize>thread * perThread;
  const xBytes = <usize>xStride << 2;
  const yBytes = <usize>yStride << 2;
  const blocks = (channels + TOGETHER - 1) / TOGETHER;
  const items = batch * blocks;
  const run = runOf(items, threads);
  for (let item = take(run); item < items; item = next(item, run)) {
    const first = (item % blocks) * TOGETHER;
    const last = min<u32>(first + TOGETHER, channels);
    const row = <usize>(item / blocks) * seqlen;
    for (let channel = first; channel < last; channel += 4) {
      const column = <usize>channel << 2;
      takeTaps(taps, weight, weightStride, channel, channels, dConv);
      const b = bias ? v128.load(bias + column) : f32x4.splat(0);
      const from = x + row * xBytes + column;
      let to = y + row * yBytes + column;
      for (let t: u32 = 0; t < seqlen; t++) {
        const sum = sumAt(from, xBytes, t, taps, b, dConv);
        storeSome(to, channels - channel, isSilu ? silu4(sum) : sum);
        to += yBytes;
      }
    }
  }
}

/**
 * Adds to each gradient that is not 0.
 *
 * @param dx rows of (channels), or 0
 * @param dWeight rows of (dConv), or 0
 * @param dBias (channels), or 0
 * @param scratch of each thread: taps, sums along them, and ds of seqlen + dConv − 1 tokens, 16 bytes each
 */
export function convolutionGradient(
  x: usize,
  xStride: u32,
  weight: usize,
  weightStride: u32,
  bias: usize,
  channels: u32,
  dConv: u32,
  isSilu: u32,
  batch: u32,
  seqlen: u32,
  dy: usize,
  dyStride: u32,
  dx: usize,
  dxStride: u32,
  dWeight: usize,
  dWeightStride: u32,
  dBias: usize,
  scratch: usize,
  perThread: u32,
  thread: u32,
  threads: u32,
): void {
  const taps = scratch + <usize>thread * perThread;
  const sums = taps + (<usize>dConv << 4);
  const ds = sums + (<usize>dConv << 4);
  const xBytes = <usize>xStride << 2;
  const dyBytes = <usize>dyStride << 2;
  const dxBytes = <usize>dxStride << 2;
  // behind the last token nothing comes back
  memory.fill(ds + (<usize>seqlen << 4), 0, <usize>(dConv - 1) << 4);
  const items = (channels + TOGETHER - 1) / TOGETHER;
  const run = runOf(items, threads);
  for (let item = take(run); item < items; item = next(item, run)) {
    const last = min<u32>((item + 1) * TOGETHER, channels);
    for (let channel = item * TOGETHER; channel < last; channel += 4) {
      const column = <usize>channel << 2;
      const count = channels - channel;
      takeTaps(taps, weight, weightStride, channel, channels, dConv);
      memory.fill(sums, 0, <usize>dConv << 4);
      const b = bias ? v128.load(bias + column) : f32x4.splat(0);
      let biasSum = f32x4.splat(0);
      for (let sequence: u32 = 0; sequence < batch; sequence++) {
        const row = <usize>(sequence * seqlen);
        const from = x + row * xBytes + column;
        const dFrom = dy + row * dyBytes + column;
        biasSum = f32x4.add(biasSum, gradientOfSums(ds, from, xBytes, dFrom, dyBytes, taps, b, dConv, seqlen, isSilu));
        if (dWeight) addAlongTaps(sums, ds, from, xBytes, dConv, seqlen);
        if (dx) addToInputs(dx + row * dxBytes + column, dxBytes, count, ds, taps, dConv, seqlen);
      }
      if (dBias) storeSome(dBias + column, count, f32x4.add(v128.load(dBias + column), biasSum));
      if (dWeight) addTaps(dWeight, dWeightStride, channel, channels, dConv, sums);
    }
  }
}

/** The filters of four channels as [dConv][4], 0 where there is no channel. */
function takeTaps(to: usize, weight: usize, stride: u32, channel: u32, channels: u32, dConv: u32): void {
  for (let lane: u32 = 0; lane < 4; lane++) {
    const row = weight + (<usize>((channel + lane) * stride) << 2);
    for (let w: u32 = 0; w < dConv; w++) {
      const tap: f32 = channel + lane < channels ? load<f32>(row + (<usize>w << 2)) : 0;
      store<f32>(to + (<usize>(4 * w + lane) << 2), tap);
    }
  }
}

/** Adds [dConv][4] to the filters of four channels. */
function addTaps(weight: usize, stride: u32, channel: u32, channels: u32, dConv: u32, sums: usize): void {
  const lanes = min<u32>(channels - channel, 4);
  for (let lane: u32 = 0; lane < lanes; lane++) {
    const row = weight + (<usize>((channel + lane) * stride) << 2);
    for (let w: u32 = 0; w < dConv; w++) {
      const at = row + (<usize>w << 2);
      store<f32>(at, load<f32>(at) + load<f32>(sums + (<usize>(4 * w + lane) << 2)));
    }
  }
}

/** s[t] of four channels; inputs before the first token are left out. */
// @ts-ignore: decorator
@inline
function sumAt(x: usize, xBytes: usize, t: u32, taps: usize, bias: v128, dConv: u32): v128 {
  let sum = bias;
  if (dConv == 4 && t >= 3) {
    const from = x + <usize>(t - 3) * xBytes;
    sum = fma4(v128.load(taps), v128.load(from), sum);
    sum = fma4(v128.load(taps, 16), v128.load(from + xBytes), sum);
    sum = fma4(v128.load(taps, 32), v128.load(from + 2 * xBytes), sum);
    return fma4(v128.load(taps, 48), v128.load(from + 3 * xBytes), sum);
  }
  const first = t + 1 < dConv ? dConv - 1 - t : 0;
  let from = x + <usize>(t + 1 + first - dConv) * xBytes;
  for (let w = first; w < dConv; w++) {
    sum = fma4(v128.load(taps + (<usize>w << 4)), v128.load(from), sum);
    from += xBytes;
  }
  return sum;
}

/** ds of a sequence's tokens, dy·act′(s), put behind one another. Returns their sum. */
function gradientOfSums(
  ds: usize,
  x: usize,
  xBytes: usize,
  dy: usize,
  dyBytes: usize,
  taps: usize,
  bias: v128,
  dConv: u32,
  seqlen: u32,
  isSilu: u32,
): v128 {
  let total = f32x4.splat(0);
  for (let t: u32 = 0; t < seqlen; t++) {
    let d = v128.load(dy + <usize>t * dyBytes);
    if (isSilu) d = f32x4.mul(d, slopeOfSilu(sumAt(x, xBytes, t, taps, bias, dConv)));
    v128.store(ds + (<usize>t << 4), d);
    total = f32x4.add(total, d);
  }
  return total;
}

/** silu′(s) = σ(s)·(1 + s·σ(−s)), both from one exponential, so that neither is a difference. */
// @ts-ignore: decorator
@inline
function slopeOfSilu(s: v128): v128 {
  const one = f32x4.splat(1);
  const e = exp4(f32x4.neg(f32x4.abs(s)));
  const large = f32x4.div(one, f32x4.add(one, e));
  const small = f32x4.mul(e, large);
  const isNegative = f32x4.lt(s, f32x4.splat(0));
  const open = v128.bitselect(small, large, isNegative);
  return f32x4.mul(open, fma4(s, v128.bitselect(large, small, isNegative), one));
}

/** Adds Σ_t ds[t]·x[t − dConv + 1 + w] of one sequence to the sum of each tap. */
function addAlongTaps(sums: usize, ds: usize, x: usize, xBytes: usize, dConv: u32, seqlen: u32): void {
  for (let w: u32 = 0; w < dConv; w++) {
    const sum = sums + (<usize>w << 4);
    let total = f32x4.splat(0);
    let from = x;
    for (let t = dConv - 1 - w; t < seqlen; t++) {
      total = fma4(v128.load(ds + (<usize>t << 4)), v128.load(from), total);
      from += xBytes;
    }
    v128.store(sum, f32x4.add(v128.load(sum), total));
  }
}

/** dx[t] += Σ_w weight[w]·ds[t + dConv − 1 − w]. */
function addToInputs(
  dx: usize,
  dxBytes: usize,
  count: u32,
  ds: usize,
  taps: usize,
  dConv: u32,
  seqlen: u32,
): void {
  let to = dx;
  for (let t: u32 = 0; t < seqlen; t++) {
    let at = ds + (<usize>(t + dConv - 1) << 4);
    let sum = f32x4.splat(0);
    for (let w: u32 = 0; w < dConv; w++) {
      sum = fma4(v128.load(taps + (<usize>w << 4)), v128.load(at), sum);
      at -= 16;
    }
    storeSome(to, count, f32x4.add(v128.load(to), sum));
    to += dxBytes;
  }
}
