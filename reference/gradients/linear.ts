/** The gradient of the matrix product. */

import type { LinearInput } from '../linear.ts';
import { axisOf, mainInput, type Tensor } from '../tensor.ts';

/** Each of the shape of the input that it belongs to. */
export interface LinearGradient {
  x: Tensor;
  weight: Tensor;
  bias?: Tensor;
}

/**
 * For y = W·x + b:
 *
 *   dx[r, i] = Σ_o dy[r, o]·W[o, i],   dW[o, i] = Σ_r dy[r, o]·x[r, i],   db[o] = Σ_r dy[r, o]
 *
 * @param dy - Gradient of y. Shape (rows, dOut).
 * @throws ShapeError when the shapes do not fit.
 */
export function linearGradient({ x, weight, bias }: LinearInput, dy: Tensor): LinearGradient {
  const { sizes, check, optional } = mainInput('linearGradient', 'x', x, ['rows', 'dIn']);
  const [rows, dIn] = sizes;
  const dOut = axisOf(weight, 0);
  check('weight', weight, { dOut, dIn });
  optional('bias', bias, { dOut });
  check('dy', dy, { rows, dOut });

  const dx = new Float64Array(rows * dIn);
  const dWeight = new Float64Array(dOut * dIn);
  const dBias = new Float64Array(dOut);
  for (let r = 0; r < rows; r++) {
    for (let o = 0; o < dOut; o++) {
      const d = dy.data[r * dOut + o];
      dBias[o] += d;
      for (let i = 0; i < dIn; i++) {
        dx[r * dIn + i] += d * weight.data[o * dIn + i];
        dWeight[o * dIn + i] += d * x.data[r * dIn + i];
      }
    }
  }
  return {
    x: { data: dx, shape: x.shape },
    weight: { data: dWeight, shape: weight.shape },
    ...(bias && { bias: { data: dBias, shape: bias.shape } }),
  };
}
