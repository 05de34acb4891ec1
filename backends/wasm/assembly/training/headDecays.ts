/**
 * What every token does to the state of each head, and the gradient of it:
 *
 *   Mamba-2           Δ = softplus(dtRaw + dtBias), decay = exp(Δ·A), scale = Δ, A = −exp(ALog)
 *   Discrete Mamba-2  decay = σ(−a), scale = 1
 */

import { exp4, fma4, sigmoid4, softplus4 } from '../elementary';
import { next, runOf, storeSome, take } from '../share';

/** Rows of an item. */
const ROWS: u32 = 64;

/**
 * @param raw rows of (nHeads): dtRaw, or a; scale and decay have the same stride
 * @param bias (nHeads), or 0
 * @param ALog (nHeads), or 0: then the decay is σ(−raw)
 * @param scale Δ, written where there is an ALog
 */
export function headDecays(
  raw: usize,
  stride: u32,
  bias: usize,
  ALog: usize,
  nHeads: u32,
  rows: u32,
  scale: usize,
  decay: usize,
  thread: u32,
  threads: u32,
): void {
  const items = (rows + ROWS - 1) / ROWS;
  const bytes = <usize>stride << 2;
  const run = runOf(items, threads);
  for (let item = take(run); item < items; item = next(item, run)) {
    const end = min<u32>((item + 1) * ROWS, rows);
    for (let head: u32 = 0; head < nHeads; head += 4) {
      const column = <usize>head << 2;
      const A = ALog ? f32x4.neg(exp4(v128.load(ALog + column))) : f32x4.splat(0);
      const b = bias ? v128.load(bias + column) : f32x4.splat(0);
      let at = <usize>(item * ROWS) * bytes + column;
      for (let row = item * ROWS; row < end; row++) {
        const value = v128.load(raw + at);
        if (ALog) {
          const dt = softplus4(f32x4.add(value, b));
          v128.store(scale + at, dt);
          v128.store(decay + at, exp4(f32x4.mul(dt, A)));
        } else {
          v128.store(decay + at, sigmoid4(f32x4.neg(value)));
        }
        at += bytes;
      }
    }
  }
}

/**
 * @param dLog gradient of the decay's logarithm, of raw's stride; dScale that of Δ
 * @param dRaw rows of (nHeads), added to, or 0
 * @param biasParts rows of `stride`, one of each sequence, written: what dtBias gets from it; ALogParts too
 */
export function headDecaysGradient(
  raw: usize,
  stride: u32,
  bias: usize,
  ALog: usize,
  nHeads: u32,
  batch: u32,
  seqlen: u32,
  scale: usize,
  dScale: usize,
  dLog: usize,
  dRaw: usize,
  dRawStride: u32,
  biasParts: usize,
  ALogParts: usize,
  thread: u32,
  threads: u32,
): void {
  const bytes = <usize>stride << 2;
  const dBytes = <usize>dRawStride << 2;
  const run = runOf(batch, threads);
  for (let sequence = take(run); sequence < batch; sequence = next(sequence, run)) {
    for (let head: u32 = 0; head < nHeads; head += 4) {
      const column = <usize>head << 2;
      const A = ALog ? f32x4.neg(exp4(v128.load(ALog + column))) : f32x4.splat(0);
      const b = bias ? v128.load(bias + column) : f32x4.splat(0);
      let biasSum = f32x4.splat(0);
      let rateSum = f32x4.splat(0);
      let at = <usize>(sequence * seqlen) * bytes + column;
      let to = dRaw + <usize>(sequence * seqlen) * dBytes + column;
      for (let t: u32 = 0; t < seqlen; t++) {
        const value = v128.load(raw + at);
        const byLog = v128.load(dLog + at);
        let d: v128;
        if (ALog) {
          // softplus′ = σ
          d = f32x4.mul(fma4(byLog, A, v128.load(dScale + at)), sigmoid4(f32x4.add(value, b)));
          rateSum = fma4(byLog, v128.load(scale + at), rateSum);
        } else {
          // (ln σ(−a))′ = −σ(a)
          d = f32x4.neg(f32x4.mul(byLog, sigmoid4(value)));
        }
        biasSum = f32x4.add(biasSum, d);
        if (dRaw) storeSome(to, nHeads - head, f32x4.add(v128.load(to), d));
        at += bytes;
        to += dBytes;
      }
      const part = <usize>sequence * bytes + column;
      if (biasParts) v128.store(biasParts + part, biasSum);
      // dALog = dA·A
      if (ALogParts) v128.store(ALogParts + part, f32x4.mul(rateSum, A));
    }
  }
}
