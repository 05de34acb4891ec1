/** Root-mean-square normalisation: the norm of Llama and of every Mamba block. */

import { mainInput, type Rounding, rounding, type Tensor, type Vector, zeros } from './tensor.ts';

export interface RmsNormInput {
  /** Shape (rows, width). */
  x: Tensor;
  /** Shape (width). */
  weight: Tensor;
  /** Shape (width). */
  bias?: Tensor;
  /** Added to the mean square, > 0; 1e-5 in all models here unless their config says otherwise. */
  eps: number;
}

export interface RmsNormOutput {
  /** Shape (rows, width). */
  y: Tensor;
}

/**
 * y = x / √(mean(x²) + eps) · weight + bias, over the last axis (Zhang & Sennrich 2019, arXiv 1910.07467).
 * @throws ShapeError when the inputs' shapes do not fit.
 */
export function rmsNorm({ x, weight, bias, eps }: RmsNormInput): RmsNormOutput {
  const { sizes, check, optional } = mainInput('rmsNorm', 'x', x, ['rows', 'width']);
  const [rows, width] = sizes;
  check('weight', weight, { width });
  optional('bias', bias, { width });

  const fl = rounding(x.data);
  const y = zeros(rows * width, x.data);
  for (let r = 0; r < rows; r++) {
    const scale = inverseRms(x.data, r * width, width, eps, fl);
    for (let i = 0; i < width; i++) {
      const scaled = fl(fl(x.data[r * width + i] * scale) * weight.data[i]);
      y[r * width + i] = bias ? fl(scaled + bias.data[i]) : scaled;
    }
  }
  return { y: { data: y, shape: x.shape } };
}

/** 1 / √(mean(x²) + eps) of `width` elements from `start`. */
export function inverseRms(
  x: Vector,
  start: number,
  width: number,
  eps: number,
  fl: Rounding,
): number {
  let sum = 0;
  for (let i = start; i < start + width; i++) sum = fl(sum + fl(x[i] * x[i]));
  return fl(1 / fl(Math.sqrt(fl(fl(sum / width) + fl(eps)))));
}
