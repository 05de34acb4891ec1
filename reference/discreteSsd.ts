/** Llamba's Discrete Mamba-2 over a sequence, token by token. */

import { sigmoid } from './activations.ts';
import { startState } from './selectiveScan.ts';
import { headStep, skipAndGateHead } from './ssdStep.ts';
import {
  axisOf,
  expectDivides,
  mainInput,
  reshape,
  rounding,
  rowsOf,
  type Tensor,
  zeros,
} from './tensor.ts';

export interface DiscreteSsdInput {
  /** Input to the SSM; it is not multiplied by any step size. Shape (batch, seqlen, nHeads, headDim). */
  x: Tensor;
  /** Forget logit: the decay is σ(−a), so a large a forgets. Shape (batch, seqlen, nHeads). */
  a: Tensor;
  /** What is written. Head i uses group ⌊i·nGroups/nHeads⌋. Shape (batch, seqlen, nGroups, dState). */
  B: Tensor;
  /** What is read. Shape (batch, seqlen, nGroups, dState). */
  C: Tensor;
  /** Skip connection, one per head or one per channel. Shape (nHeads, 1) or (nHeads, headDim). */
  D?: Tensor;
  /** State before the first token, zero when absent. Shape (batch, nHeads, headDim, dState). Not modified. */
  h?: Tensor;
}

export interface DiscreteSsdOutput {
  /** Shape (batch, seqlen, nHeads, headDim). */
  y: Tensor;
  /** State after the last token. Shape (batch, nHeads, headDim, dState). */
  h: Tensor;
}

/**
 * For each token in order:
 *
 *   h[p, n] ← σ(−a)·h[p, n] + x[p]·B[n]
 *   y[p] = Σₙ C[n]·h[p, n] + D·x[p]
 *
 * Bick et al. 2024 (MOHAWK, arXiv 2408.10189) and 2025 (Llamba, arXiv 2502.14458).
 * @throws ShapeError when the inputs' shapes do not fit, or nGroups does not divide nHeads.
 */
export function discreteSsd(input: DiscreteSsdInput): DiscreteSsdOutput {
  const { x, a, B, C, D } = input;
  const { batch, seqlen, nHeads, headDim, nGroups, dState } = checkDiscreteSsd(
    'discreteSsd',
    input,
  );

  const fl = rounding(x.data);
  const y: Tensor = { data: zeros(x.data.length, x.data), shape: x.shape };
  const h = startState(input.h, [batch, nHeads, headDim, dState], x.data);
  const states = rowsOf(reshape(h, batch * nHeads, headDim * dState));
  const [rowsOfX, rowsOfY, rowsOfB, rowsOfC] = [rowsOf(x), rowsOf(y), rowsOf(B), rowsOf(C)];
  for (let b = 0; b < batch; b++) {
    for (let t = 0; t < seqlen; t++) {
      const token = b * seqlen + t;
      for (let i = 0; i < nHeads; i++) {
        const head = token * nHeads + i;
        const group = token * nGroups + Math.floor(i / (nHeads / nGroups));
        const decay = sigmoid(-a.data[head], fl);
        const state = states[b * nHeads + i];
        headStep(fl, state, decay, 1, rowsOfX[head], rowsOfB[group], rowsOfC[group], rowsOfY[head]);
        skipAndGateHead(fl, rowsOfY[head], rowsOfX[head], D, i, undefined);
      }
    }
  }
  return { y, h };
}

/** Checks the inputs that all forms of the recurrence share and returns the sizes they imply. */
export function checkDiscreteSsd(op: string, input: DiscreteSsdInput) {
  const axes = ['batch', 'seqlen', 'nHeads', 'headDim'];
  const { sizes, check, optional } = mainInput(op, 'x', input.x, axes);
  const [batch, seqlen, nHeads, headDim] = sizes;
  const nGroups = axisOf(input.B, 2);
  const dState = axisOf(input.B, 3);
  check('a', input.a, { batch, seqlen, nHeads });
  check('B', input.B, { batch, seqlen, nGroups, dState });
  check('C', input.C, { batch, seqlen, nGroups, dState });
  optional('D', input.D, { nHeads, 'headDim or 1': axisOf(input.D, 1) === 1 ? 1 : headDim });
  optional('h', input.h, { batch, nHeads, headDim, dState });
  expectDivides(op, { nGroups }, { nHeads });
  return { batch, seqlen, nHeads, headDim, nGroups, dState };
}
