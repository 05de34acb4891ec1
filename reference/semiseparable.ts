/**
 * The recurrence h ← a·h + x⊗B, y = C·h seen as a matrix: y = M·x with M[t, s] = (C_t·B_s)·a_t⋯a_{s+1}.
 * Mamba-2 and Discrete Mamba-2 differ only in how they make x and the decay, so both use the two forms here.
 */

import { exp } from './elementary.ts';
import { startState } from './selectiveScan.ts';
import {
  axisOf,
  checkShape,
  expectChunkLen,
  expectDivides,
  mainInput,
  type Rounding,
  rounding,
  rowsOf,
  type Tensor,
  type Vector,
  zeros,
} from './tensor.ts';

export interface SemiseparableInput {
  /** Already multiplied by Δ where the model does so. Shape (batch, seqlen, nHeads, headDim). */
  x: Tensor;
  /** ln of each token's decay, ≤ 0. Shape (batch, seqlen, nHeads). */
  logDecay: Tensor;
  /** What is written. Shape (batch, seqlen, nGroups, dState). */
  B: Tensor;
  /** What is read. Shape (batch, seqlen, nGroups, dState). */
  C: Tensor;
  /** State before the first token, zero when absent. Shape (batch, nHeads, headDim, dState). Not modified. */
  h?: Tensor;
}

export interface SemiseparableMatrixOutput {
  /** Lower triangular: row t says what token t takes from each token s ≤ t. Shape (batch, nHeads, seqlen, seqlen). */
  M: Tensor;
}

/**
 *   M[t, s] = (C_t·B_s)·exp(Σ_{s<k≤t} logDecay_k)  for s ≤ t, 0 above the diagonal
 *
 * Dao & Gu 2024 (arXiv 2405.21060), equation 3: attention with queries C, keys B, and a decay for a mask.
 * @throws ShapeError when the inputs' shapes do not fit.
 */
export function semiseparableMatrix(input: SemiseparableInput): SemiseparableMatrixOutput {
  const { batch, seqlen, nHeads, nGroups } = checkSemiseparable('semiseparableMatrix', input);
  const fl = rounding(input.x.data);
  const M = zeros(batch * nHeads * seqlen * seqlen, input.x.data);
  const [rowsOfB, rowsOfC] = [rowsOf(input.B), rowsOf(input.C)];
  for (let b = 0; b < batch; b++) {
    for (let i = 0; i < nHeads; i++) {
      const groupAt = (t: number) =>
        (b * seqlen + t) * nGroups + Math.floor(i / (nHeads / nGroups));
      for (let s = 0; s < seqlen; s++) {
        let logOfDecay = 0; // a sum of terms ≤ 0, never a difference of running sums: it cannot overflow
        for (let t = s; t < seqlen; t++) {
          if (t > s)
            logOfDecay = fl(logOfDecay + input.logDecay.data[(b * seqlen + t) * nHeads + i]);
          const product = dot(fl, rowsOfC[groupAt(t)], rowsOfB[groupAt(s)]);
          M[((b * nHeads + i) * seqlen + t) * seqlen + s] = fl(product * fl(exp(logOfDecay)));
        }
      }
    }
  }
  return { M: { data: M, shape: [batch, nHeads, seqlen, seqlen] } };
}

export interface SemiseparableChunkedInput extends SemiseparableInput {
  /** Tokens per chunk, ≥ 1; the last chunk may be shorter. */
  chunkLen: number;
}

export interface SemiseparableChunkedOutput {
  /** Shape (batch, seqlen, nHeads, headDim). */
  y: Tensor;
  /** State after the last token. Shape (batch, nHeads, headDim, dState). */
  h: Tensor;
  /** State entering each chunk. Shape (batch, nChunks, nHeads, headDim, dState). */
  entering: Tensor;
  /** What each chunk wrote by its end, from a zero state. Shape (batch, nChunks, nHeads, headDim, dState). */
  written: Tensor;
}

/**
 * The state-space dual form: quadratic inside chunks, recurrent between them.
 *
 *   y_t     = Σ_{s in chunk, s ≤ t} M[t, s]·x_s  +  exp(L_t)·(h·C_t)     h: state entering the chunk
 *   written = Σ_{s in chunk} exp(L_end − L_s)·x_s⊗B_s
 *   h       ← exp(L_end)·h + written
 *
 * with L_t the sum of logDecay from the chunk's start through t. Every exponent is a sum of terms ≤ 0
 * (Dao & Gu 2024, section 6 and listing 1). Any chunkLen gives the same result up to rounding.
 * @throws ShapeError when the inputs' shapes do not fit; ConfigError when chunkLen is not a whole number ≥ 1.
 */
export function semiseparableChunked(input: SemiseparableChunkedInput): SemiseparableChunkedOutput {
  const { x, logDecay, B, C, chunkLen } = input;
  const sizes = checkSemiseparable('semiseparableChunked', input);
  const { batch, seqlen, nHeads, headDim, nGroups, dState } = sizes;
  expectChunkLen('semiseparableChunked', chunkLen);

  const fl = rounding(x.data);
  const nChunks = Math.ceil(seqlen / chunkLen);
  const stateSize = headDim * dState;
  const perChunk = [batch, nChunks, nHeads, headDim, dState];
  const y: Tensor = { data: zeros(x.data.length, x.data), shape: x.shape };
  const h = startState(input.h, [batch, nHeads, headDim, dState], x.data);
  const entering = startState(undefined, perChunk, x.data);
  const written = startState(undefined, perChunk, x.data);
  const [rowsOfX, rowsOfY, rowsOfB, rowsOfC] = [rowsOf(x), rowsOf(y), rowsOf(B), rowsOf(C)];
  for (let b = 0; b < batch; b++) {
    for (let i = 0; i < nHeads; i++) {
      const state = h.data.subarray((b * nHeads + i) * stateSize, (b * nHeads + i + 1) * stateSize);
      const headAt = (t: number) => (b * seqlen + t) * nHeads + i;
      const groupAt = (t: number) =>
        (b * seqlen + t) * nGroups + Math.floor(i / (nHeads / nGroups));
      for (let chunk = 0; chunk < nChunks; chunk++) {
        const start = chunk * chunkLen;
        const end = Math.min(start + chunkLen, seqlen) - 1;
        const at = ((b * nChunks + chunk) * nHeads + i) * stateSize;
        entering.data.set(state, at);
        const chunkWrote = written.data.subarray(at, at + stateSize);
        for (let t = start; t <= end; t++) {
          // from inside the chunk: attention with decay, going back from t
          const out = rowsOfY[headAt(t)];
          let elapsed = 0; // Σ logDecay over s < k ≤ t
          for (let s = t; s >= start; s--) {
            const product = dot(fl, rowsOfC[groupAt(t)], rowsOfB[groupAt(s)]);
            const weight = fl(product * fl(exp(elapsed)));
            for (let p = 0; p < headDim; p++)
              out[p] = fl(out[p] + fl(weight * rowsOfX[headAt(s)][p]));
            elapsed = fl(elapsed + logDecay.data[headAt(s)]);
          }
          // from before the chunk: what is left of the entering state
          const left = fl(exp(elapsed));
          for (let p = 0; p < headDim; p++) {
            const row = state.subarray(p * dState, (p + 1) * dState);
            out[p] = fl(out[p] + fl(left * dot(fl, rowsOfC[groupAt(t)], row)));
          }
        }
        // what the chunk hands on, going back from its end
        let remaining = 0; // Σ logDecay over t < k ≤ end
        for (let t = end; t >= start; t--) {
          const survives = fl(exp(remaining));
          for (let p = 0; p < headDim; p++) {
            const scaled = fl(survives * rowsOfX[headAt(t)][p]);
            for (let n = 0; n < dState; n++) {
              const j = p * dState + n;
              chunkWrote[j] = fl(chunkWrote[j] + fl(scaled * rowsOfB[groupAt(t)][n]));
            }
          }
          remaining = fl(remaining + logDecay.data[headAt(t)]);
        }
        const kept = fl(exp(remaining));
        for (let j = 0; j < stateSize; j++) state[j] = fl(fl(kept * state[j]) + chunkWrote[j]);
      }
    }
  }
  return { y, h, entering, written };
}

/**
 * Adds D to the diagonal of every head's matrix, in place.
 * @throws ShapeError when D is not one number per head: a matrix per head has no place for more.
 */
export function addSkip(op: string, M: Tensor, D: Tensor | undefined): Tensor {
  if (!D) return M;
  const fl = rounding(M.data);
  const [, nHeads, seqlen] = M.shape;
  checkShape(op, 'D', D, { nHeads, 'one per head': 1 });
  for (let head = 0; head < M.shape[0] * nHeads; head++) {
    for (let t = 0; t < seqlen; t++) {
      const at = (head * seqlen + t) * seqlen + t;
      M.data[at] = fl(M.data[at] + D.data[head % nHeads]);
    }
  }
  return M;
}

/** Σᵢ a[i]·b[i], in order of i. */
function dot(fl: Rounding, a: Vector, b: Vector): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum = fl(sum + fl(a[i] * b[i]));
  return sum;
}

function checkSemiseparable(op: string, input: SemiseparableInput) {
  const axes = ['batch', 'seqlen', 'nHeads', 'headDim'];
  const { sizes, check, optional } = mainInput(op, 'x', input.x, axes);
  const [batch, seqlen, nHeads, headDim] = sizes;
  const nGroups = axisOf(input.B, 2);
  const dState = axisOf(input.B, 3);
  check('logDecay', input.logDecay, { batch, seqlen, nHeads });
  check('B', input.B, { batch, seqlen, nGroups, dState });
  check('C', input.C, { batch, seqlen, nGroups, dState });
  optional('h', input.h, { batch, nHeads, headDim, dState });
  expectDivides(op, { nGroups }, { nHeads });
  return { batch, seqlen, nHeads, headDim, nGroups, dState };
}
