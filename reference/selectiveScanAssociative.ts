/** The selective scan by an associative scan: one lane of (decay, written) pairs for each state. */

import { associativeScan, type ScanMethod } from './associativeScan.ts';
import { exp } from './elementary.ts';
import {
  checkSelectiveScan,
  type SelectiveScanInput,
  type SelectiveScanOutput,
  startState,
} from './selectiveScan.ts';
import { skipAndGate, stepSize } from './selectiveScanStep.ts';
import { rounding, rowsOf, zeros } from './tensor.ts';

export interface SelectiveScanAssociativeInput extends SelectiveScanInput {
  /** Default `sequential`. */
  method?: ScanMethod;
  /** Tokens per chunk of the `chunked` method, ≥ 1. Default 16. */
  chunkLen?: number;
}

/**
 * Every state n of every channel is its own recurrence h ← a·h + b with a = exp(Δ·A) and b = Δ·B·x, so
 * all of them are lanes of one associative scan. A state that enters is added to the first step: b₀ + a₀·h.
 * @throws ShapeError when the inputs' shapes do not fit; ConfigError for an unknown method or chunkLen.
 */
export function selectiveScanAssociative(
  input: SelectiveScanAssociativeInput,
): SelectiveScanOutput {
  const { x, dtRaw, dtBias, dtSoftplus = true, A, B, C, D, z, method, chunkLen } = input;
  const sizes = checkSelectiveScan('selectiveScanAssociative', input);
  const { batch, seqlen, dInner, dState, nGroups } = sizes;

  const fl = rounding(x.data);
  const lanes = batch * dInner * dState;
  const a = zeros(lanes * seqlen, x.data);
  const b = zeros(lanes * seqlen, x.data);
  const h = startState(input.h, [batch, dInner, dState], x.data);
  const [rowsOfA, rowsOfB, rowsOfC] = [rowsOf(A), rowsOf(B), rowsOf(C)];
  /** Calls f with where things are for every channel d of every token t of every row. */
  const eachChannel = (
    f: (t: number, d: number, i: number, group: number, lane: number) => void,
  ) => {
    for (let row = 0; row < batch; row++) {
      for (let t = 0; t < seqlen; t++) {
        const token = row * seqlen + t;
        for (let d = 0; d < dInner; d++) {
          const group = token * nGroups + Math.floor(d / (dInner / nGroups));
          f(t, d, token * dInner + d, group, (row * dInner + d) * dState);
        }
      }
    }
  };

  eachChannel((t, d, i, group, lane) => {
    const dt = stepSize(dtRaw.data[i], dtBias?.data[d], dtSoftplus, fl);
    for (let n = 0; n < dState; n++) {
      const at = (lane + n) * seqlen + t;
      a[at] = fl(exp(fl(dt * rowsOfA[d][n])));
      b[at] = fl(fl(dt * rowsOfB[group][n]) * x.data[i]);
      if (t === 0) b[at] = fl(fl(a[at] * h.data[lane + n]) + b[at]);
    }
  });
  const shape = [lanes, seqlen];
  const scan = associativeScan({ a: { data: a, shape }, b: { data: b, shape }, method, chunkLen });

  const y = zeros(x.data.length, x.data);
  eachChannel((t, d, i, group, lane) => {
    let read = 0;
    for (let n = 0; n < dState; n++) {
      const state = scan.b.data[(lane + n) * seqlen + t];
      read = fl(read + fl(rowsOfC[group][n] * state));
      if (t === seqlen - 1) h.data[lane + n] = state;
    }
    y[i] = skipAndGate(read, x.data[i], D?.data[d], z?.data[i], fl);
  });
  return { y: { data: y, shape: x.shape }, h };
}
