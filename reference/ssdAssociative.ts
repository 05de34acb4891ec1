/** Mamba-2's recurrence by an associative scan: one lane of (decay, written) pairs for each state. */

import { associativeScan, type ScanMethod } from './associativeScan.ts';
import { exp } from './elementary.ts';
import { startState } from './selectiveScan.ts';
import { checkSsd, type SsdInput, type SsdOutput } from './ssd.ts';
import { discretise, skipAndGateHeads } from './ssdChunked.ts';
import { rounding, rowsOf, type Tensor, zeros } from './tensor.ts';

export interface SsdAssociativeInput extends SsdInput {
  /** Default `sequential`. */
  method?: ScanMethod;
  /** Tokens per chunk of the `chunked` method, ≥ 1. Default 16. */
  chunkLen?: number;
}

/**
 * Every state (p, n) of every head is its own recurrence h ← a·h + b with a = exp(Δ·A) and b = Δ·x[p]·B[n],
 * so all of them are lanes of one associative scan. A state that enters is added to the first step: b₀ + a₀·h.
 * @throws ShapeError when the inputs' shapes do not fit; ConfigError for an unknown method or chunkLen.
 */
export function ssdAssociative(input: SsdAssociativeInput): SsdOutput {
  const { x, logDecay, B, C } = discretise('ssdAssociative', input);
  const { batch, seqlen, nHeads, headDim, nGroups, dState } = checkSsd('ssdAssociative', input);

  const fl = rounding(x.data);
  const h = startState(input.h, [batch, nHeads, headDim, dState], x.data);
  const y: Tensor = { data: zeros(x.data.length, x.data), shape: x.shape };
  const a = zeros(h.data.length * seqlen, x.data);
  const b = zeros(h.data.length * seqlen, x.data);
  const [rowsOfX, rowsOfY, rowsOfB, rowsOfC] = [rowsOf(x), rowsOf(y), rowsOf(B), rowsOf(C)];
  /** Calls f with where things are for every state (p, n) of every head of every token of every row. */
  const eachState = (
    f: (t: number, head: number, group: number, lane: number, p: number, n: number) => void,
  ) => {
    for (let row = 0; row < batch; row++) {
      for (let t = 0; t < seqlen; t++) {
        const token = row * seqlen + t;
        for (let i = 0; i < nHeads; i++) {
          const group = token * nGroups + Math.floor(i / (nHeads / nGroups));
          for (let p = 0; p < headDim; p++) {
            const lane = ((row * nHeads + i) * headDim + p) * dState;
            for (let n = 0; n < dState; n++) f(t, token * nHeads + i, group, lane + n, p, n);
          }
        }
      }
    }
  };

  eachState((t, head, group, lane, p, n) => {
    const at = lane * seqlen + t;
    a[at] = fl(exp(logDecay.data[head]));
    b[at] = fl(rowsOfX[head][p] * rowsOfB[group][n]);
    if (t === 0) b[at] = fl(fl(a[at] * h.data[lane]) + b[at]);
  });
  const shape = [h.data.length, seqlen];
  const { method, chunkLen } = input;
  const scan = associativeScan({ a: { data: a, shape }, b: { data: b, shape }, method, chunkLen });
  eachState((t, head, group, lane, p, n) => {
    const state = scan.b.data[lane * seqlen + t];
    rowsOfY[head][p] = fl(rowsOfY[head][p] + fl(rowsOfC[group][n] * state));
    if (t === seqlen - 1) h.data[lane] = state;
  });
  return { y: skipAndGateHeads(y, input.x, input.D, input.z), h };
}
