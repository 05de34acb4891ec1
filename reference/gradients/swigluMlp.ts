/** The gradient of Llama's feed-forward layer. */

import { linear } from '../linear.ts';
import { gateProduct, type SwigluMlpInput } from '../swigluMlp.ts';
import { checkShape, mainInput, type Tensor, toPrecision } from '../tensor.ts';
import { gateGradient } from './gate.ts';
import { linearGradient } from './linear.ts';

/** Each of the shape of the input that it belongs to. */
export interface SwigluMlpGradient {
  x: Tensor;
  gateWeight: Tensor;
  gateBias?: Tensor;
  upWeight: Tensor;
  upBias?: Tensor;
  downWeight: Tensor;
  downBias?: Tensor;
}

/**
 * For g = W_gate·x, u = W_up·x, m = u ⊙ silu(g) and y = W_down·m, backwards through each:
 *
 *   dm = W_downᵀ·dy,   du = dm ⊙ silu(g),   dg = dm ⊙ u ⊙ silu'(g),   dx = W_gateᵀ·dg + W_upᵀ·du
 *
 * and the weights as in {@link linearGradient}: dW_down = dy·mᵀ, dW_gate = dg·xᵀ, dW_up = du·xᵀ, summed over rows.
 *
 * @param dy - Gradient of y. Shape (rows, dModel).
 * @throws ShapeError when the shapes do not fit.
 */
export function swigluMlpGradient(input: SwigluMlpInput, dy: Tensor): SwigluMlpGradient {
  const [rows] = mainInput('swigluMlpGradient', 'x', input.x, ['rows', 'dModel']).sizes;
  // the forward pass, again in double precision
  const x = toPrecision(input.x, 'float64');
  const gate = { x, weight: input.gateWeight, bias: input.gateBias };
  const up = { x, weight: input.upWeight, bias: input.upBias };
  const g = linear(gate).y;
  const u = linear(up).y;
  const down = { x: gateProduct(u, g), weight: input.downWeight, bias: input.downBias };
  linear(down); // refuses wrong shapes
  checkShape('swigluMlpGradient', 'dy', dy, { rows, dModel: input.downWeight.shape[0] });

  const throughDown = linearGradient(down, dy);
  const throughGate = gateGradient({ x: u, z: g }, throughDown.x);
  const ofUp = linearGradient(up, throughGate.x);
  const ofGate = linearGradient(gate, throughGate.z);
  return {
    x: { data: ofGate.x.data.map((d, i) => d + ofUp.x.data[i]), shape: x.shape },
    gateWeight: ofGate.weight,
    ...(ofGate.bias && { gateBias: ofGate.bias }),
    upWeight: ofUp.weight,
    ...(ofUp.bias && { upBias: ofUp.bias }),
    downWeight: throughDown.weight,
    ...(throughDown.bias && { downBias: throughDown.bias }),
  };
}
