/** Mamba-2's recurrence written out as the matrix that it multiplies its input by. */

import { stepSize } from './selectiveScanStep.ts';
import { addSkip, type SemiseparableMatrixOutput, semiseparableMatrix } from './semiseparable.ts';
import type { SsdInput } from './ssd.ts';
import { discretise } from './ssdChunked.ts';
import { rounding } from './tensor.ts';

/**
 *   M[t, s] = (C_t·B_s)·exp(Σ_{s<k≤t} Δ_k·A)·Δ_s  for s ≤ t, plus D where s = t
 *
 * so that y = M·x from a zero state, before the gate; D must be one number per head. `z` and `h` take no part.
 * @throws ShapeError when the inputs' shapes do not fit.
 */
export function ssdMatrix(input: SsdInput): SemiseparableMatrixOutput {
  const { dtRaw, dtBias, dtSoftplus = true, dtLimit, D } = input;
  const fl = rounding(input.x.data);
  const { M } = semiseparableMatrix(discretise('ssdMatrix', input));
  const [batch, nHeads, seqlen] = M.shape;
  for (let b = 0; b < batch; b++) {
    for (let i = 0; i < nHeads; i++) {
      for (let s = 0; s < seqlen; s++) {
        const raw = dtRaw.data[(b * seqlen + s) * nHeads + i];
        const dt = stepSize(raw, dtBias?.data[i], dtSoftplus, fl, dtLimit);
        for (let t = s; t < seqlen; t++) {
          const at = ((b * nHeads + i) * seqlen + t) * seqlen + s;
          M.data[at] = fl(M.data[at] * dt);
        }
      }
    }
  }
  return { M: addSkip('ssdMatrix', M, D) };
}
