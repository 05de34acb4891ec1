/** The gradient of rotary position embedding. */

import { type RopeInput, rope } from '../rope.ts';
import { mainInput, type Tensor, toPrecision } from '../tensor.ts';

/** Of the shape of x. The angles are a table, not something that is learned. */
export interface RopeGradient {
  x: Tensor;
}

/**
 * A rotation's transpose turns back, so dx is dy rotated by −φ:
 *
 *   du = du'·cos φ + dv'·sin φ,   dv = dv'·cos φ − du'·sin φ
 *
 * @param dy - Gradient of y. Shape (batch, seqlen, nHeads, headDim).
 * @throws ShapeError when the shapes do not fit, or rotaryDim exceeds headDim.
 */
export function ropeGradient({ x, angles, pairing }: RopeInput, dy: Tensor): RopeGradient {
  const axes = ['batch', 'seqlen', 'nHeads', 'headDim'];
  const { sizes, check } = mainInput('ropeGradient', 'x', x, axes);
  const [batch, seqlen, nHeads, headDim] = sizes;
  check('dy', dy, { batch, seqlen, nHeads, headDim });
  const back = { data: Float64Array.from(angles.data, (angle) => -angle), shape: angles.shape };
  return { x: rope({ x: toPrecision(dy, 'float64'), angles: back, pairing }).y };
}
