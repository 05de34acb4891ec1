/** mamba_ssm's feed-forward layer: SwiGLU with value and gate made by one matrix. */

import { linear } from './linear.ts';
import { gateProduct } from './swigluMlp.ts';
import { mainInput, splitColumns, type Tensor } from './tensor.ts';

export interface GatedMlpInput {
  /** Shape (rows, dModel). */
  x: Tensor;
  /** Rows: dHidden values, then dHidden gates. Shape (2·dHidden, dModel). */
  fc1Weight: Tensor;
  /** Shape (2·dHidden). */
  fc1Bias?: Tensor;
  /** Shape (dModel, dHidden). */
  fc2Weight: Tensor;
  /** Shape (dModel). */
  fc2Bias?: Tensor;
}

export interface GatedMlpOutput {
  /** Shape (rows, dModel). */
  y: Tensor;
}

/**
 * [v | g] = W₁·x, y = W₂·(v ⊙ silu(g)): the gate is the second half (mamba_ssm GatedMLP).
 * @throws ShapeError when the inputs' shapes do not fit.
 */
export function gatedMlp(input: GatedMlpInput): GatedMlpOutput {
  mainInput('gatedMlp', 'x', input.x, ['rows', 'dModel']);
  const both = linear({ x: input.x, weight: input.fc1Weight, bias: input.fc1Bias }).y;
  const half = both.shape[1] / 2;
  const [value, gate] = splitColumns(both, [half, half]);
  return linear({ x: gateProduct(value, gate), weight: input.fc2Weight, bias: input.fc2Bias });
}
