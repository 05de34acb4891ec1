/**
 * The recurrences over heads, h ← decay·h + scale·x⊗B, y = C·h + D·x, perhaps times silu(z):
 *
 *   Mamba-2           Δ = clamp(softplus(dtRaw + dtBias)), decay = exp(Δ·A), scale = Δ
 *   Discrete Mamba-2  decay = σ(−a), scale = 1
 *
 * Four channels of a head at a time; the state lies as [head][block of 4 channels][n][4]. y is one sum over n in order.
 */

import {
  CALL_SEGMENT_TABLE,
  CALL_SEGMENTS,
  HEADS_DISCRETE,
  HEADS_SOFTPLUS,
  SEGMENT_BEGIN,
  SEGMENT_COUNT,
  SEGMENT_STATE,
} from '../abi';
import { exp4, fma4, sigmoid4, silu4, softplus4 } from './elementary';
import { next, ofCall, ofSegment, runOf, segmentAt, storeSome, take } from './share';

/** Blocks of four channels that are brought forward together: they share the loads of B and C. */
const TOGETHER: u32 = 4;

/**
 * @param dtRaw rows of (nHeads): the step size before bias and softplus, or a
 * @param dtBias (nHeads), or 0
 * @param rates A < 0 of each head, or 0
 * @param B rows of (nGroups, dState); C too
 * @param D (nHeads · headDim), or 0
 * @param z rows (…, zStride), or 0
 * @param flags HEADS_SOFTPLUS, HEADS_DISCRETE
 * @param least and most: bounds of Δ
 */
export function heads(
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
  nHeads: u32,
  headDim: u32,
  nGroups: u32,
  dState: u32,
  stateOffset: u32,
  flags: u32,
  least: f32,
  most: f32,
  y: usize,
  yStride: u32,
  call: usize,
  thread: u32,
  threads: u32,
): void {
  const blocks = (headDim + 3) / 4;
  const parts = (blocks + TOGETHER - 1) / TOGETHER;
  const perSegment = nHeads * parts;
  const table = ofCall(call, CALL_SEGMENT_TABLE);
  const items = ofCall(call, CALL_SEGMENTS) * perSegment;
  const depth = <usize>dState << 4;
  const run = runOf(items, threads);
  for (let item = take(run); item < items; item = next(item, run)) {
    const segment = segmentAt(table, item / perSegment);
    const head = (item % perSegment) / parts;
    const firstBlock: u32 = TOGETHER * ((item % perSegment) % parts);
    const lastBlock: u32 = min(firstBlock + TOGETHER, blocks);
    const group = head / (nHeads / nGroups);
    const state = ofSegment(segment, SEGMENT_STATE) + stateOffset + <usize>(head * blocks) * depth;
    const begin = ofSegment(segment, SEGMENT_BEGIN);
    const after = begin + ofSegment(segment, SEGMENT_COUNT);
    for (let t = begin; t < after; t++) {
      const step = load<f32>(dtRaw + (<usize>(t * dtStride + head) << 2));
      let decay: v128;
      let scale = f32x4.splat(1);
      if (flags & HEADS_DISCRETE) {
        decay = sigmoid4(f32x4.splat(-step));
      } else {
        let dt = f32x4.splat(step + (dtBias ? load<f32>(dtBias + (<usize>head << 2)) : 0));
        if (flags & HEADS_SOFTPLUS) dt = softplus4(dt);
        scale = f32x4.pmin(f32x4.pmax(dt, f32x4.splat(least)), f32x4.splat(most));
        decay = exp4(f32x4.mul(scale, f32x4.splat(load<f32>(rates + (<usize>head << 2)))));
      }
      const write = B + (<usize>(t * BStride + group * dState) << 2);
      const read = C + (<usize>(t * CStride + group * dState) << 2);
      const from = head * headDim;
      const xRow = x + (<usize>(t * xStride + from) << 2);
      const yRow = y + (<usize>(t * yStride + from) << 2);
      const zRow = z ? z + (<usize>(t * zStride + from) << 2) : 0;
      const dRow = D ? D + (<usize>from << 2) : 0;
      let block = firstBlock;
      if (lastBlock - firstBlock == TOGETHER && (lastBlock << 2) <= headDim) {
        fourBlocks(state + block * depth, xRow + (block << 4), decay, scale, write, read, depth, dRow ? dRow + (block << 4) : 0, zRow ? zRow + (block << 4) : 0, yRow + (block << 4));
        continue;
      }
      for (; block < lastBlock; block++) {
        const at = <usize>block << 4;
        const own = v128.load(xRow + at);
        let sum = oneBlock(state + block * depth, f32x4.mul(scale, own), decay, write, read, depth);
        if (dRow) sum = fma4(v128.load(dRow + at), own, sum);
        if (zRow) sum = f32x4.mul(sum, silu4(v128.load(zRow + at)));
        storeSome(yRow + at, headDim - (block << 2), sum);
      }
    }
  }
}

function oneBlock(h: usize, scaled: v128, decay: v128, write: usize, read: usize, depth: usize): v128 {
  let sum = f32x4.splat(0);
  for (let n: usize = 0; n < depth; n += 16) {
    const added = f32x4.mul(scaled, v128.load32_splat(write + (n >> 2)));
    const state = fma4(decay, v128.load(h + n), added);
    v128.store(h + n, state);
    sum = fma4(v128.load32_splat(read + (n >> 2)), state, sum);
  }
  return sum;
}

/** Sixteen channels; each as in {@link oneBlock}, to the bit. */
function fourBlocks(
  h: usize,
  x: usize,
  decay: v128,
  scale: v128,
  write: usize,
  read: usize,
  depth: usize,
  D: usize,
  z: usize,
  y: usize,
): void {
  const h1 = h + depth;
  const h2 = h1 + depth;
  const h3 = h2 + depth;
  const x0 = f32x4.mul(scale, v128.load(x));
  const x1 = f32x4.mul(scale, v128.load(x, 16));
  const x2 = f32x4.mul(scale, v128.load(x, 32));
  const x3 = f32x4.mul(scale, v128.load(x, 48));
  let s0 = f32x4.splat(0);
  let s1 = s0;
  let s2 = s0;
  let s3 = s0;
  for (let n: usize = 0; n < depth; n += 16) {
    const b = v128.load32_splat(write + (n >> 2));
    const c = v128.load32_splat(read + (n >> 2));
    let state = fma4(decay, v128.load(h + n), f32x4.mul(x0, b));
    v128.store(h + n, state);
    s0 = fma4(c, state, s0);
    state = fma4(decay, v128.load(h1 + n), f32x4.mul(x1, b));
    v128.store(h1 + n, state);
    s1 = fma4(c, state, s1);
    state = fma4(decay, v128.load(h2 + n), f32x4.mul(x2, b));
    v128.store(h2 + n, state);
    s2 = fma4(c, state, s2);
    state = fma4(decay, v128.load(h3 + n), f32x4.mul(x3, b));
    v128.store(h3 + n, state);
    s3 = fma4(c, state, s3);
  }
  if (D) {
    s0 = fma4(v128.load(D), v128.load(x), s0);
    s1 = fma4(v128.load(D, 16), v128.load(x, 16), s1);
    s2 = fma4(v128.load(D, 32), v128.load(x, 32), s2);
    s3 = fma4(v128.load(D, 48), v128.load(x, 48), s3);
  }
  if (z) {
    s0 = f32x4.mul(s0, silu4(v128.load(z)));
    s1 = f32x4.mul(s1, silu4(v128.load(z, 16)));
    s2 = f32x4.mul(s2, silu4(v128.load(z, 32)));
    s3 = f32x4.mul(s3, silu4(v128.load(z, 48)));
  }
  v128.store(y, s0);
  v128.store(y, s1, 16);
  v128.store(y, s2, 32);
  v128.store(y, s3, 48);
}
