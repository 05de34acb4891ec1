/** The gradient of root-mean-square normalisation. */

import { inverseRms, type RmsNormInput } from '../rmsNorm.ts';
import { mainInput, rounding, type Tensor, type Vector } from '../tensor.ts';

/** Each of the shape of the input that it belongs to. */
export interface RmsNormGradient {
  x: Tensor;
  weight: Tensor;
  bias?: Tensor;
}

/**
 * For y = n·weight + bias with n = x·s and s = 1/√(mean(x²) + eps), and with dn = dy·weight:
 *
 *   dx = s·(dn − n·mean(dn·n)),   dweight = Σ_rows dy·n,   dbias = Σ_rows dy
 *
 * @param dy - Gradient of y. Shape (rows, width).
 * @throws ShapeError when the shapes do not fit.
 */
export function rmsNormGradient(input: RmsNormInput, dy: Tensor): RmsNormGradient {
  const { x, weight, bias, eps } = input;
  const { sizes, check, optional } = mainInput('rmsNormGradient', 'x', x, ['rows', 'width']);
  const [rows, width] = sizes;
  check('weight', weight, { width });
  optional('bias', bias, { width });
  check('dy', dy, { rows, width });

  const dx = new Float64Array(rows * width);
  const dWeight = new Float64Array(width);
  const dBias = new Float64Array(width);
  const dn = new Float64Array(rows * width);
  for (let r = 0; r < rows; r++) {
    const start = r * width;
    const scale = inverseRms(x.data, start, width, eps, rounding(dx));
    for (let i = 0; i < width; i++) {
      const d = dy.data[start + i];
      dWeight[i] += d * x.data[start + i] * scale;
      dBias[i] += d;
      dn[start + i] = d * weight.data[i];
    }
    throughScale(dx, x.data, dn, start, width, scale);
  }
  return {
    x: { data: dx, shape: x.shape },
    weight: { data: dWeight, shape: weight.shape },
    ...(bias && { bias: { data: dBias, shape: bias.shape } }),
  };
}

/**
 * For n = v·s with s = 1/√(mean(v²) + eps), which is `scale`: writes dv = s·(dn − n·mean(dn·n)) for `size`
 * elements from `start`. The second term is what v does to its own scale: ds/dv = −s³·v/size.
 */
export function throughScale(
  dv: Vector,
  v: Vector,
  dn: Vector,
  start: number,
  size: number,
  scale: number,
): void {
  let along = 0;
  for (let i = start; i < start + size; i++) along += dn[i] * v[i] * scale;
  along /= size;
  for (let i = start; i < start + size; i++) dv[i] = scale * (dn[i] - v[i] * scale * along);
}
