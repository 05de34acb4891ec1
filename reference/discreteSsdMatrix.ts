/** Discrete Mamba-2 written out as the matrix that it multiplies its input by. */

import type { DiscreteSsdInput } from './discreteSsd.ts';
import { withLogDecay } from './discreteSsdChunked.ts';
import { addSkip, type SemiseparableMatrixOutput, semiseparableMatrix } from './semiseparable.ts';

/**
 *   M[t, s] = (C_t·B_s)·Π_{s<k≤t} σ(−a_k)  for s ≤ t, plus D where s = t
 *
 * so that y = M·x from a zero state. MOHAWK's first stage matches it to a teacher's attention matrix
 * (Bick et al. 2024, arXiv 2408.10189). D must be one number per head; `h` takes no part.
 * @throws ShapeError when the inputs' shapes do not fit.
 */
export function discreteSsdMatrix(input: DiscreteSsdInput): SemiseparableMatrixOutput {
  const { M } = semiseparableMatrix(withLogDecay('discreteSsdMatrix', input));
  return { M: addSkip('discreteSsdMatrix', M, input.D) };
}
