/** The gate and norm at the end of a Mamba-2 mixer, in one. */

import { silu } from './activations.ts';
import { ShapeError } from './errors.ts';
import { inverseRms } from './rmsNorm.ts';
import { mainInput, rounding, type Tensor, zeros } from './tensor.ts';

export interface GatedRmsNormInput {
  /** Output of the recurrence. Shape (rows, width). */
  x: Tensor;
  /** Gate branch; without it this is a grouped RMSNorm. Shape (rows, width). */
  z?: Tensor;
  /** Shape (width). */
  weight: Tensor;
  /** Shape (width). */
  bias?: Tensor;
  /** Added to the mean square, > 0. */
  eps: number;
  /** Elements that share one mean square, a divisor of width. Default width: one group. */
  groupSize?: number;
  /** Normalise first and gate afterwards. Default false: gate first, as published Mamba-2 models do. */
  normBeforeGate?: boolean;
}

export interface GatedRmsNormOutput {
  /** Shape (rows, width). */
  y: Tensor;
}

/**
 * Gate first:  y = rms(x·silu(z))·weight + bias
 * Norm first:  y = (rms(x)·weight + bias)·silu(z)
 *
 * with rms(v) = v / √(mean(v²) + eps) inside each group (mamba_ssm RMSNormGated; the grouping follows
 * Mamba-2's nGroups, Dao & Gu 2024, arXiv 2405.21060, section 8).
 * @throws ShapeError when the inputs' shapes do not fit, or groupSize does not divide width.
 */
export function gatedRmsNorm(input: GatedRmsNormInput): GatedRmsNormOutput {
  const { x, z, weight, bias, eps, normBeforeGate = false } = input;
  const { sizes, check, optional } = mainInput('gatedRmsNorm', 'x', x, ['rows', 'width']);
  const [rows, width] = sizes;
  const groupSize = input.groupSize ?? width;
  optional('z', z, { rows, width });
  check('weight', weight, { width });
  optional('bias', bias, { width });
  if (!(groupSize > 0) || width % groupSize !== 0) {
    throw new ShapeError(
      `gatedRmsNorm: groupSize must divide width, got width = ${width}, groupSize = ${groupSize}`,
    );
  }

  const fl = rounding(x.data);
  const gated = zeros(width, x.data);
  const y = zeros(rows * width, x.data);
  for (let r = 0; r < rows; r++) {
    const gate = (i: number) => (z ? silu(z.data[r * width + i], fl) : 1);
    for (let i = 0; i < width; i++) {
      gated[i] = normBeforeGate ? x.data[r * width + i] : fl(x.data[r * width + i] * gate(i));
    }
    for (let start = 0; start < width; start += groupSize) {
      const scale = inverseRms(gated, start, groupSize, eps, fl);
      for (let i = start; i < start + groupSize; i++) {
        const scaled = fl(fl(gated[i] * scale) * weight.data[i]);
        const shifted = bias ? fl(scaled + bias.data[i]) : scaled;
        y[r * width + i] = normBeforeGate ? fl(shifted * gate(i)) : shifted;
      }
    }
  }
  return { y: { data: y, shape: x.shape } };
}
