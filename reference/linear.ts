/** The matrix product of every projection: y = W·x + b. */

import { axisOf, mainInput, rounding, type Tensor, zeros } from './tensor.ts';

export interface LinearInput {
  /** Vectors to transform, one per row. Shape (rows, dIn). */
  x: Tensor;
  /** Row o holds the weights of output o, as PyTorch's nn.Linear stores them. Shape (dOut, dIn). */
  weight: Tensor;
  /** Shape (dOut). */
  bias?: Tensor;
}

export interface LinearOutput {
  /** Shape (rows, dOut). */
  y: Tensor;
}

/**
 * y[r, o] = Σᵢ weight[o, i]·x[r, i] + bias[o], summed in order of i.
 * @throws ShapeError when the inputs' shapes do not fit.
 */
export function linear({ x, weight, bias }: LinearInput): LinearOutput {
  const { sizes, check, optional } = mainInput('linear', 'x', x, ['rows', 'dIn']);
  const [rows, dIn] = sizes;
  const dOut = axisOf(weight, 0);
  check('weight', weight, { dOut, dIn });
  optional('bias', bias, { dOut });

  const fl = rounding(x.data);
  const X = x.data;
  const W = weight.data;
  const y = zeros(rows * dOut, x.data);
  for (let r = 0; r < rows; r++) {
    for (let o = 0; o < dOut; o++) {
      let sum = 0;
      for (let i = 0; i < dIn; i++) sum = fl(sum + fl(W[o * dIn + i] * X[r * dIn + i]));
      y[r * dOut + o] = bias ? fl(sum + bias.data[o]) : sum;
    }
  }
  return { y: { data: y, shape: [rows, dOut] } };
}
