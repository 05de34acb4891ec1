/** Layer normalisation, which state-spaces models use when their config says `rms_norm: false`. */

import { mainInput, rounding, type Tensor, zeros } from './tensor.ts';

export interface LayerNormInput {
  /** Shape (rows, width). */
  x: Tensor;
  /** Shape (width). */
  weight: Tensor;
  /** Shape (width). */
  bias?: Tensor;
  /** Added to the variance, > 0. */
  eps: number;
}

export interface LayerNormOutput {
  /** Shape (rows, width). */
  y: Tensor;
}

/**
 * y = (x − mean(x)) / √(var(x) + eps) · weight + bias, over the last axis, with the variance divided by
 * width (Ba, Kiros & Hinton 2016, arXiv 1607.06450).
 * @throws ShapeError when the inputs' shapes do not fit.
 */
export function layerNorm({ x, weight, bias, eps }: LayerNormInput): LayerNormOutput {
  const { sizes, check, optional } = mainInput('layerNorm', 'x', x, ['rows', 'width']);
  const [rows, width] = sizes;
  check('weight', weight, { width });
  optional('bias', bias, { width });

  const fl = rounding(x.data);
  const y = zeros(rows * width, x.data);
  for (let r = 0; r < rows; r++) {
    const start = r * width;
    let sum = 0;
    for (let i = start; i < start + width; i++) sum = fl(sum + x.data[i]);
    const mean = fl(sum / width);
    let squares = 0;
    for (let i = start; i < start + width; i++) {
      const centred = fl(x.data[i] - mean);
      squares = fl(squares + fl(centred * centred));
    }
    const scale = fl(1 / fl(Math.sqrt(fl(fl(squares / width) + fl(eps)))));
    for (let i = 0; i < width; i++) {
      const scaled = fl(fl(fl(x.data[start + i] - mean) * scale) * weight.data[i]);
      y[start + i] = bias ? fl(scaled + bias.data[i]) : scaled;
    }
  }
  return { y: { data: y, shape: x.shape } };
}
