/** The gradient of the gate at the end of a Mamba or Llamba mixer and inside an MLP. */

import { silu } from '../activations.ts';
import { mainInput, rounding, type Tensor } from '../tensor.ts';
import { siluDerivative } from './activations.ts';

export interface GateInput {
  /** What the gate lets through. Shape (rows, width). */
  x: Tensor;
  /** Shape (rows, width). */
  z: Tensor;
  /** Added to every row of z. Shape (width). */
  zBias?: Tensor;
}

/** Each of the shape of the input that it belongs to. */
export interface GateGradient {
  x: Tensor;
  z: Tensor;
  zBias?: Tensor;
}

/**
 * For y = x·silu(z + zBias):
 *
 *   dx = dy·silu(z + zBias),   dz = dy·x·silu'(z + zBias),   dzBias = Σ_rows dz
 *
 * @param dy - Gradient of y. Shape (rows, width).
 * @throws ShapeError when the shapes do not fit.
 */
export function gateGradient({ x, z, zBias }: GateInput, dy: Tensor): GateGradient {
  const { sizes, check, optional } = mainInput('gateGradient', 'x', x, ['rows', 'width']);
  const [rows, width] = sizes;
  check('z', z, { rows, width });
  optional('zBias', zBias, { width });
  check('dy', dy, { rows, width });

  const dx = new Float64Array(rows * width);
  const dz = new Float64Array(rows * width);
  const dBias = new Float64Array(width);
  for (let i = 0; i < rows * width; i++) {
    const open = z.data[i] + (zBias ? zBias.data[i % width] : 0);
    dx[i] = dy.data[i] * silu(open, rounding(dx));
    dz[i] = dy.data[i] * x.data[i] * siluDerivative(open);
    dBias[i % width] += dz[i];
  }
  return {
    x: { data: dx, shape: x.shape },
    z: { data: dz, shape: z.shape },
    ...(zBias && { zBias: { data: dBias, shape: zBias.shape } }),
  };
}
