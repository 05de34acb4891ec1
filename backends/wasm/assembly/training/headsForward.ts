/**
 * The recurrences over heads for whole sequences, from a state of zeros: h ← decay·h + scale·x⊗B, y = C·h + D·x.
 *
 * Two blocks of four channels of a head at a time, a pair; the state lies as [head][pair][2][n][4]. Lanes without a
 * channel stay 0. For the gradient the states before every chunk of tokens are kept; the first ones are zeros, so their
 * place holds the state that is brought forward.
 */

import { fma4 } from '../elementary';
import { firstLanes } from '../lanes';
import { next, runOf, storeSome, take } from '../share';

/**
 * @param x rows of (nHeads · headDim); y too
 * @param scale rows of (nHeads), or 0 for 1; decay too
 * @param B rows of (nGroups · dState); C too
 * @param D (nHeads), or 0
 * @param states [batch][chunk][head][pair][2][n][4], written
 */
export function headsForward(
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
  y: usize,
  yStride: u32,
  thread: u32,
  threads: u32,
): void {
  const pairs = (headDim + 7) / 8;
  const chunks = (seqlen + chunk - 1) / chunk;
  const depth = <usize>dState << 4;
  const ofChunk = <usize>(nHeads * pairs) * 2 * depth;
  const xBytes = <usize>xStride << 2;
  const yBytes = <usize>yStride << 2;
  const headBytes = <usize>headStride << 2;
  const BBytes = <usize>BStride << 2;
  const CBytes = <usize>CStride << 2;
  const perSequence = nHeads * pairs;
  const items = batch * perSequence;
  const run = runOf(items, threads);
  for (let item = take(run); item < items; item = next(item, run)) {
    const sequence = item / perSequence;
    const head = (item % perSequence) / pairs;
    const channel = ((item % perSequence) % pairs) << 3;
    const group = head / (nHeads / nGroups);
    const h = states + <usize>(sequence * chunks) * ofChunk + <usize>(item % perSequence) * 2 * depth;
    memory.fill(h, 0, 2 * depth);
    const skip = D ? load<f32>(D + (<usize>head << 2)) : 0;
    for (let c: u32 = 0; c < chunks; c++) {
      if (c) memory.copy(h + c * ofChunk, h, 2 * depth);
      const row = <usize>(sequence * seqlen + c * chunk);
      const column = <usize>(head * headDim + channel) << 2;
      const ofHead = row * headBytes + (<usize>head << 2);
      const ofGroup = <usize>(group * dState) << 2;
      forwardPair(
        h,
        depth,
        min<u32>(chunk, seqlen - c * chunk),
        headDim - channel,
        x + row * xBytes + column,
        xBytes,
        scale ? scale + ofHead : 0,
        decay + ofHead,
        headBytes,
        B + row * BBytes + ofGroup,
        BBytes,
        C + row * CBytes + ofGroup,
        CBytes,
        skip,
        y + row * yBytes + column,
        yBytes,
      );
    }
  }
}

/** Brings two blocks forward by some tokens, and reads them. */
function forwardPair(
  h: usize,
  depth: usize,
  tokens: u32,
  channels: u32,
  x: usize,
  xBytes: usize,
  scale: usize,
  decay: usize,
  headBytes: usize,
  B: usize,
  BBytes: usize,
  C: usize,
  CBytes: usize,
  skip: f32,
  y: usize,
  yBytes: usize,
): void {
  const first = firstLanes(channels);
  const second = firstLanes(channels > 4 ? channels - 4 : 0);
  const h1 = h + depth;
  for (let t: u32 = 0; t < tokens; t++) {
    const d = v128.load32_splat(decay);
    const own0 = v128.and(v128.load(x), first);
    const own1 = v128.and(v128.load(x, 16), second);
    let x0 = own0;
    let x1 = own1;
    if (scale) {
      const dt = v128.load32_splat(scale);
      x0 = f32x4.mul(dt, x0);
      x1 = f32x4.mul(dt, x1);
      scale += headBytes;
    }
    let s0 = f32x4.splat(0);
    let s1 = s0;
    for (let n: usize = 0; n < depth; n += 16) {
      const b = v128.load32_splat(B + (n >> 2));
      const c = v128.load32_splat(C + (n >> 2));
      let state = fma4(d, v128.load(h + n), f32x4.mul(x0, b));
      v128.store(h + n, state);
      s0 = fma4(c, state, s0);
      state = fma4(d, v128.load(h1 + n), f32x4.mul(x1, b));
      v128.store(h1 + n, state);
      s1 = fma4(c, state, s1);
    }
    s0 = fma4(f32x4.splat(skip), own0, s0);
    s1 = fma4(f32x4.splat(skip), own1, s1);
    storeSome(y, channels, s0);
    if (channels > 4) storeSome(y + 16, channels - 4, s1);
    decay += headBytes;
    x += xBytes;
    B += BBytes;
    C += CBytes;
    y += yBytes;
  }
}
