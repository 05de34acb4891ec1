/** Mamba-2's recurrence in its dual form: attention inside chunks, a carried state between them. */

import { stepSize } from './selectiveScanStep.ts';
import { type SemiseparableInput, semiseparableChunked } from './semiseparable.ts';
import { checkSsd, type SsdInput, type SsdOutput } from './ssd.ts';
import { skipAndGateHead } from './ssdStep.ts';
import { rounding, rowsOf, type Tensor, zeros } from './tensor.ts';

export interface SsdChunkedInput extends SsdInput {
  /** Tokens per chunk, ≥ 1; the last chunk may be shorter. Published models use 256. */
  chunkLen: number;
}

/**
 * The same y and h as {@link ssd}, by {@link semiseparableChunked} on x·Δ and the log decay Δ·A.
 * A ragged last chunk is simply shorter: nothing is padded, so no padding decays the state.
 * @throws ShapeError when the inputs' shapes do not fit; ConfigError when chunkLen is not a whole number ≥ 1.
 */
export function ssdChunked(input: SsdChunkedInput): SsdOutput {
  const { y, h } = semiseparableChunked({
    ...discretise('ssdChunked', input),
    chunkLen: input.chunkLen,
  });
  return { y: skipAndGateHeads(y, input.x, input.D, input.z), h };
}

/** x·Δ, Δ·A, B, C and h: what is left of Mamba-2 once Δ has been applied. */
export function discretise(op: string, input: SsdInput): SemiseparableInput {
  const { x, dtRaw, dtBias, dtSoftplus = true, dtLimit, A, B, C, h } = input;
  const { batch, seqlen, nHeads, headDim } = checkSsd(op, input);
  const fl = rounding(x.data);
  const scaled = zeros(x.data.length, x.data);
  const logDecay = zeros(batch * seqlen * nHeads, x.data);
  for (let head = 0; head < logDecay.length; head++) {
    const i = head % nHeads;
    const dt = stepSize(dtRaw.data[head], dtBias?.data[i], dtSoftplus, fl, dtLimit);
    logDecay[head] = fl(dt * A.data[i]);
    for (let p = 0; p < headDim; p++) {
      scaled[head * headDim + p] = fl(dt * x.data[head * headDim + p]);
    }
  }
  return {
    x: { data: scaled, shape: x.shape },
    logDecay: { data: logDecay, shape: [batch, seqlen, nHeads] },
    B,
    C,
    h,
  };
}

/** (y + D·x)·silu(z) for every head of every token, with D and z optional. y is updated in place. */
export function skipAndGateHeads(y: Tensor, x: Tensor, D?: Tensor, z?: Tensor): Tensor {
  const fl = rounding(y.data);
  const nHeads = y.shape[2];
  const [rowsOfX, rowsOfY, rowsOfZ] = [rowsOf(x), rowsOf(y), z && rowsOf(z)];
  for (let head = 0; head < rowsOfY.length; head++) {
    skipAndGateHead(fl, rowsOfY[head], rowsOfX[head], D, head % nHeads, rowsOfZ?.[head]);
  }
  return y;
}
