/** Llamba's Discrete Mamba-2 for one token: no step size, the decay itself is projected from the input. */

import { sigmoid } from './activations.ts';
import { headStep, skipAndGateHead } from './ssdStep.ts';
import {
  axisOf,
  copyAs,
  expectDivides,
  mainInput,
  reshape,
  rounding,
  rowsOf,
  type Tensor,
  zeros,
} from './tensor.ts';

export interface DiscreteSsdStepInput {
  /** The token's input to the SSM. Shape (batch, nHeads, headDim). */
  x: Tensor;
  /** Forget logit: the decay is σ(−a), so a large a forgets. Shape (batch, nHeads). */
  a: Tensor;
  /** What is written. Consecutive heads share a group. Shape (batch, nGroups, dState). */
  B: Tensor;
  /** What is read. Shape (batch, nGroups, dState). */
  C: Tensor;
  /** Skip connection, one per head or one per channel. Shape (nHeads, 1) or (nHeads, headDim). */
  D?: Tensor;
  /** State before the token. Shape (batch, nHeads, headDim, dState). Not modified. */
  h: Tensor;
}

export interface DiscreteSsdStepOutput {
  /** Shape (batch, nHeads, headDim). */
  y: Tensor;
  /** State after the token. Shape (batch, nHeads, headDim, dState). */
  h: Tensor;
}

/**
 *   h[p, n] ← σ(−a)·h[p, n] + x[p]·B[n]
 *   y[p] = Σₙ C[n]·h[p, n] + D·x[p]
 *
 * Bick et al. 2024 (MOHAWK, arXiv 2408.10189) and 2025 (Llamba, arXiv 2502.14458). Upstream reaches it
 * through the Mamba-2 kernel with x/softplus(a), which overflows in float32 for a < −90; the recurrence
 * itself is safe for every a.
 * @throws ShapeError when the inputs' shapes do not fit, or nGroups does not divide nHeads.
 */
export function discreteSsdStep(input: DiscreteSsdStepInput): DiscreteSsdStepOutput {
  const { x, a, B, C, D } = input;
  const { sizes, check, optional } = mainInput('discreteSsdStep', 'x', x, [
    'batch',
    'nHeads',
    'headDim',
  ]);
  const [batch, nHeads, headDim] = sizes;
  const nGroups = axisOf(B, 1);
  const dState = axisOf(B, 2);
  check('a', a, { batch, nHeads });
  check('B', B, { batch, nGroups, dState });
  check('C', C, { batch, nGroups, dState });
  optional('D', D, { nHeads, 'headDim or 1': axisOf(D, 1) === 1 ? 1 : headDim });
  check('h', input.h, { batch, nHeads, headDim, dState });
  expectDivides('discreteSsdStep', { nGroups }, { nHeads });

  const fl = rounding(x.data);
  const y: Tensor = { data: zeros(x.data.length, x.data), shape: x.shape };
  const h: Tensor = { data: copyAs(input.h.data, x.data), shape: input.h.shape };
  const states = rowsOf(reshape(h, batch * nHeads, headDim * dState));
  const [rowsOfX, rowsOfY, rowsOfB, rowsOfC] = [rowsOf(x), rowsOf(y), rowsOf(B), rowsOf(C)];
  for (let b = 0; b < batch; b++) {
    for (let i = 0; i < nHeads; i++) {
      const head = b * nHeads + i;
      const group = b * nGroups + Math.floor(i / (nHeads / nGroups));
      const decay = sigmoid(-a.data[head], fl);
      headStep(
        fl,
        states[head],
        decay,
        1,
        rowsOfX[head],
        rowsOfB[group],
        rowsOfC[group],
        rowsOfY[head],
      );
      skipAndGateHead(fl, rowsOfY[head], rowsOfX[head], D, i, undefined);
    }
  }
  return { y, h };
}
