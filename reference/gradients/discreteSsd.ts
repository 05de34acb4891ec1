/** The gradient of Llamba's Discrete Mamba-2. */

import { sigmoid } from '../activations.ts';
import { checkDiscreteSsd, type DiscreteSsdInput } from '../discreteSsd.ts';
import { checkShape, exact, expectChunkLen, type Tensor } from '../tensor.ts';
import type { RecurrenceGradientOptions } from './backwardsThroughTime.ts';
import { headRecurrenceGradient } from './headRecurrence.ts';
import { float64ZerosLike } from './slopes.ts';

/** Each of the shape of the input of its name, in Float64; D only where it is there. */
export interface DiscreteSsdGradient {
  x: Tensor;
  a: Tensor;
  B: Tensor;
  C: Tensor;
  D?: Tensor;
  /** Of the state before the first token, also where that was not given. Shape (batch, nHeads, headDim, dState). */
  h: Tensor;
}

/**
 * The shared recurrence with decay = σ(−a) and dt = 1, and from what comes back for the decay
 *
 *   da = −ddecay·σ(−a)·σ(a)
 *
 * The chain rule on Bick et al. 2024 (MOHAWK, arXiv 2408.10189), the recurrence of discreteSsd.
 * @throws ShapeError when shapes do not fit; ConfigError when chunkLen is not a whole number ≥ 1.
 */
export function discreteSsdGradient(
  input: DiscreteSsdInput,
  dy: Tensor,
  options: RecurrenceGradientOptions = {},
): DiscreteSsdGradient {
  const { x, a, B, C, D, h } = input;
  const op = 'discreteSsdGradient';
  const { batch, seqlen, nHeads, headDim, dState } = checkDiscreteSsd(op, input);
  checkShape(op, 'dy', dy, { batch, seqlen, nHeads, headDim });
  if (options.dh) checkShape(op, 'dh', options.dh, { batch, nHeads, headDim, dState });
  expectChunkLen(op, options.chunkLen ?? 1);

  const [decay, dt, dA] = [float64ZerosLike(a), float64ZerosLike(a), float64ZerosLike(a)];
  dt.data.fill(1);
  for (let head = 0; head < a.data.length; head++) {
    decay.data[head] = sigmoid(-a.data[head], exact);
  }
  const back = headRecurrenceGradient({ x, decay, dt, B, C, D, h }, dy, options);
  for (let head = 0; head < a.data.length; head++) {
    dA.data[head] = -back.decay.data[head] * decay.data[head] * sigmoid(a.data[head], exact);
  }
  return {
    x: back.x,
    a: dA,
    B: back.B,
    C: back.C,
    ...(back.D && { D: back.D }),
    h: back.h,
  };
}
