/** The gradient of mamba_ssm's feed-forward layer. */

import type { GatedMlpInput } from '../gatedMlp.ts';
import { linear } from '../linear.ts';
import { gateProduct } from '../swigluMlp.ts';
import {
  checkShape,
  joinColumns,
  mainInput,
  splitColumns,
  type Tensor,
  toPrecision,
} from '../tensor.ts';
import { gateGradient } from './gate.ts';
import { linearGradient } from './linear.ts';

/** Each of the shape of the input that it belongs to. */
export interface GatedMlpGradient {
  x: Tensor;
  fc1Weight: Tensor;
  fc1Bias?: Tensor;
  fc2Weight: Tensor;
  fc2Bias?: Tensor;
}

/**
 * For [v | g] = W₁·x, m = v ⊙ silu(g) and y = W₂·m, backwards through each:
 *
 *   dm = W₂ᵀ·dy,   dv = dm ⊙ silu(g),   dg = dm ⊙ v ⊙ silu'(g),   dx = W₁ᵀ·[dv | dg]
 *
 * and the weights as in {@link linearGradient}: dW₂ = dy·mᵀ and dW₁ = [dv | dg]·xᵀ, summed over rows.
 *
 * @param dy - Gradient of y. Shape (rows, dModel).
 * @throws ShapeError when the shapes do not fit.
 */
export function gatedMlpGradient(input: GatedMlpInput, dy: Tensor): GatedMlpGradient {
  const [rows] = mainInput('gatedMlpGradient', 'x', input.x, ['rows', 'dModel']).sizes;
  // the forward pass, again in double precision
  const fc1 = {
    x: toPrecision(input.x, 'float64'),
    weight: input.fc1Weight,
    bias: input.fc1Bias,
  };
  const both = linear(fc1).y;
  const half = both.shape[1] / 2;
  const [v, g] = splitColumns(both, [half, half]);
  const fc2 = { x: gateProduct(v, g), weight: input.fc2Weight, bias: input.fc2Bias };
  linear(fc2); // refuses wrong shapes
  checkShape('gatedMlpGradient', 'dy', dy, { rows, dModel: input.fc2Weight.shape[0] });

  const ofFc2 = linearGradient(fc2, dy);
  const throughGate = gateGradient({ x: v, z: g }, ofFc2.x);
  const ofFc1 = linearGradient(fc1, joinColumns([throughGate.x, throughGate.z]));
  return {
    x: ofFc1.x,
    fc1Weight: ofFc1.weight,
    ...(ofFc1.bias && { fc1Bias: ofFc1.bias }),
    fc2Weight: ofFc2.weight,
    ...(ofFc2.bias && { fc2Bias: ofFc2.bias }),
  };
}
