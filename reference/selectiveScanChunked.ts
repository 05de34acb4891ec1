/** The selective scan cut into chunks that can run side by side, with one state carried between them. */

import { exp } from './elementary.ts';
import {
  checkSelectiveScan,
  type SelectiveScanInput,
  type SelectiveScanOutput,
  startState,
} from './selectiveScan.ts';
import { skipAndGate, stepSize } from './selectiveScanStep.ts';
import { expectChunkLen, rounding, rowsOf, zeros } from './tensor.ts';

export interface SelectiveScanChunkedInput extends SelectiveScanInput {
  /** Tokens per chunk, ≥ 1; the last chunk may be shorter. */
  chunkLen: number;
}

/**
 * Inside a chunk the state is split in two: what the chunk itself wrote, starting from zero, and what is
 * left of the state that entered it.
 *
 *   local  ← exp(Δ·A)·local + Δ·B·x         from zero
 *   kept   ← exp(Δ·A)·kept                  from one
 *   y      = C·(local + kept·h)             h: state at the chunk's start
 *
 * and h ← local + kept·h at the chunk's end. `local` and `kept` need no other chunk: a GPU computes them
 * for all chunks at once and then walks only the carry.
 * @throws ShapeError when the inputs' shapes do not fit; ConfigError when chunkLen is not a whole number ≥ 1.
 */
export function selectiveScanChunked(input: SelectiveScanChunkedInput): SelectiveScanOutput {
  const { x, dtRaw, dtBias, dtSoftplus = true, A, B, C, D, z, chunkLen } = input;
  const sizes = checkSelectiveScan('selectiveScanChunked', input);
  const { batch, seqlen, dInner, dState, nGroups } = sizes;
  expectChunkLen('selectiveScanChunked', chunkLen);

  const fl = rounding(x.data);
  const y = zeros(x.data.length, x.data);
  const h = startState(input.h, [batch, dInner, dState], x.data);
  const [rowsOfH, rowsOfA, rowsOfB, rowsOfC] = [rowsOf(h), rowsOf(A), rowsOf(B), rowsOf(C)];
  for (let b = 0; b < batch; b++) {
    for (let d = 0; d < dInner; d++) {
      const carried = rowsOfH[b * dInner + d];
      for (let start = 0; start < seqlen; start += chunkLen) {
        const local = zeros(dState, x.data);
        const kept = zeros(dState, x.data).fill(1);
        for (let t = start; t < Math.min(start + chunkLen, seqlen); t++) {
          const token = b * seqlen + t;
          const i = token * dInner + d;
          const group = token * nGroups + Math.floor(d / (dInner / nGroups));
          const dt = stepSize(dtRaw.data[i], dtBias?.data[d], dtSoftplus, fl);
          let read = 0;
          for (let n = 0; n < dState; n++) {
            const decay = fl(exp(fl(dt * rowsOfA[d][n])));
            const written = fl(fl(dt * rowsOfB[group][n]) * x.data[i]);
            local[n] = fl(fl(decay * local[n]) + written);
            kept[n] = fl(decay * kept[n]);
            const state = fl(local[n] + fl(kept[n] * carried[n]));
            read = fl(read + fl(rowsOfC[group][n] * state));
          }
          y[i] = skipAndGate(read, x.data[i], D?.data[d], z?.data[i], fl);
        }
        for (let n = 0; n < dState; n++) carried[n] = fl(local[n] + fl(kept[n] * carried[n]));
      }
    }
  }
  return { y: { data: y, shape: x.shape }, h };
}
