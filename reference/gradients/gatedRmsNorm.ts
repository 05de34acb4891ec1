/** The gradient of Mamba-2's gated norm. */

import { silu } from '../activations.ts';
import type { GatedRmsNormInput } from '../gatedRmsNorm.ts';
import { inverseRms } from '../rmsNorm.ts';
import { expectDivides, mainInput, rounding, type Tensor } from '../tensor.ts';
import { siluDerivative } from './activations.ts';
import { throughScale } from './rmsNorm.ts';

/** Each of the shape of the input that it belongs to. */
export interface GatedRmsNormGradient {
  x: Tensor;
  z?: Tensor;
  weight: Tensor;
  bias?: Tensor;
}

/**
 * With n = rms(v), m = n·weight + bias, dn = dm·weight and dv from dn as in {@link throughScale}, by group:
 *
 * Gate first, v = x·silu(z) and y = m:   dm = dy,           dx = dv·silu(z),   dz = dv·x·silu'(z)
 * Norm first, v = x and y = m·silu(z):   dm = dy·silu(z),   dx = dv,           dz = dy·m·silu'(z)
 *
 * and dweight = Σ_rows dm·n, dbias = Σ_rows dm. Without z the gate is 1.
 *
 * @param dy - Gradient of y. Shape (rows, width).
 * @throws ShapeError when the shapes do not fit, or groupSize does not divide width.
 */
export function gatedRmsNormGradient(input: GatedRmsNormInput, dy: Tensor): GatedRmsNormGradient {
  const { x, z, weight, bias, eps, normBeforeGate = false } = input;
  const { sizes, check, optional } = mainInput('gatedRmsNormGradient', 'x', x, ['rows', 'width']);
  const [rows, width] = sizes;
  const groupSize = input.groupSize ?? width;
  optional('z', z, { rows, width });
  check('weight', weight, { width });
  optional('bias', bias, { width });
  check('dy', dy, { rows, width });
  expectDivides('gatedRmsNormGradient', { groupSize }, { width });

  const dx = new Float64Array(rows * width);
  const dz = new Float64Array(rows * width);
  const dWeight = new Float64Array(width);
  const dBias = new Float64Array(width);
  const v = new Float64Array(rows * width);
  const dn = new Float64Array(rows * width);
  const dv = new Float64Array(rows * width);
  const exact = rounding(dx);
  const gate = (i: number) => (z ? silu(z.data[i], exact) : 1);
  const gateSlope = (i: number) => (z ? siluDerivative(z.data[i]) : 0);
  for (let start = 0; start < rows * width; start += groupSize) {
    for (let i = start; i < start + groupSize; i++) {
      v[i] = normBeforeGate ? x.data[i] : x.data[i] * gate(i);
    }
    const scale = inverseRms(v, start, groupSize, eps, exact);
    for (let i = start; i < start + groupSize; i++) {
      const column = i % width;
      const n = v[i] * scale;
      const dm = normBeforeGate ? dy.data[i] * gate(i) : dy.data[i];
      dWeight[column] += dm * n;
      dBias[column] += dm;
      dn[i] = dm * weight.data[column];
      if (normBeforeGate) {
        const m = n * weight.data[column] + (bias ? bias.data[column] : 0);
        dz[i] = dy.data[i] * m * gateSlope(i);
      }
    }
    throughScale(dv, v, dn, start, groupSize, scale);
    for (let i = start; i < start + groupSize; i++) {
      dx[i] = normBeforeGate ? dv[i] : dv[i] * gate(i);
      if (!normBeforeGate) dz[i] = dv[i] * x.data[i] * gateSlope(i);
    }
  }
  return {
    x: { data: dx, shape: x.shape },
    ...(z && { z: { data: dz, shape: z.shape } }),
    weight: { data: dWeight, shape: weight.shape },
    ...(bias && { bias: { data: dBias, shape: bias.shape } }),
  };
}
