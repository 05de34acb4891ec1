/** The gradient of layer normalisation. */

import type { LayerNormInput } from '../layerNorm.ts';
import { mainInput, type Tensor } from '../tensor.ts';

/** Each of the shape of the input that it belongs to. */
export interface LayerNormGradient {
  x: Tensor;
  weight: Tensor;
  bias?: Tensor;
}

/**
 * For y = n·weight + bias with n = (x − mean(x))·s and s = 1/√(var(x) + eps), and with dn = dy·weight:
 *
 *   dx = s·(dn − mean(dn) − n·mean(dn·n)),   dweight = Σ_rows dy·n,   dbias = Σ_rows dy
 *
 * @param dy - Gradient of y. Shape (rows, width).
 * @throws ShapeError when the shapes do not fit.
 */
export function layerNormGradient(input: LayerNormInput, dy: Tensor): LayerNormGradient {
  const { x, weight, bias, eps } = input;
  const { sizes, check, optional } = mainInput('layerNormGradient', 'x', x, ['rows', 'width']);
  const [rows, width] = sizes;
  check('weight', weight, { width });
  optional('bias', bias, { width });
  check('dy', dy, { rows, width });

  const dx = new Float64Array(rows * width);
  const dWeight = new Float64Array(width);
  const dBias = new Float64Array(width);
  const n = new Float64Array(width);
  for (let r = 0; r < rows; r++) {
    const start = r * width;
    let mean = 0;
    for (let i = 0; i < width; i++) mean += x.data[start + i];
    mean /= width;
    let variance = 0;
    for (let i = 0; i < width; i++) {
      n[i] = x.data[start + i] - mean;
      variance += n[i] * n[i];
    }
    variance /= width;
    const scale = 1 / Math.sqrt(variance + eps);

    let meanOfDn = 0;
    let along = 0;
    for (let i = 0; i < width; i++) {
      n[i] *= scale;
      const d = dy.data[start + i];
      dWeight[i] += d * n[i];
      dBias[i] += d;
      meanOfDn += d * weight.data[i];
      along += d * weight.data[i] * n[i];
    }
    meanOfDn /= width;
    along /= width;
    for (let i = 0; i < width; i++) {
      const dn = dy.data[start + i] * weight.data[i];
      dx[start + i] = scale * (dn - meanOfDn - n[i] * along);
    }
  }
  return {
    x: { data: dx, shape: x.shape },
    weight: { data: dWeight, shape: weight.shape },
    ...(bias && { bias: { data: dBias, shape: bias.shape } }),
  };
}
