/** Llama's feed-forward layer. */

import { silu } from './activations.ts';
import { linear } from './linear.ts';
import { mainInput, rounding, type Tensor, zeros } from './tensor.ts';

export interface SwigluMlpInput {
  /** Shape (rows, dModel). */
  x: Tensor;
  /** Shape (dHidden, dModel). */
  gateWeight: Tensor;
  /** Shape (dHidden). */
  gateBias?: Tensor;
  /** Shape (dHidden, dModel). */
  upWeight: Tensor;
  /** Shape (dHidden). */
  upBias?: Tensor;
  /** Shape (dModel, dHidden). */
  downWeight: Tensor;
  /** Shape (dModel). */
  downBias?: Tensor;
}

export interface SwigluMlpOutput {
  /** Shape (rows, dModel). */
  y: Tensor;
}

/**
 * y = W_down·(silu(W_gate·x) ⊙ W_up·x), each with its optional bias (Shazeer 2020, arXiv 2002.05202).
 * @throws ShapeError when the inputs' shapes do not fit.
 */
export function swigluMlp(input: SwigluMlpInput): SwigluMlpOutput {
  mainInput('swigluMlp', 'x', input.x, ['rows', 'dModel']);
  const gate = linear({ x: input.x, weight: input.gateWeight, bias: input.gateBias }).y;
  const up = linear({ x: input.x, weight: input.upWeight, bias: input.upBias }).y;
  return linear({ x: gateProduct(up, gate), weight: input.downWeight, bias: input.downBias });
}

/** value ⊙ silu(gate), for tensors of one shape. */
export function gateProduct(value: Tensor, gate: Tensor): Tensor {
  const fl = rounding(value.data);
  const data = zeros(value.data.length, value.data);
  for (let i = 0; i < data.length; i++) data[i] = fl(value.data[i] * silu(gate.data[i], fl));
  return { data, shape: value.shape };
}
