/** Slopes of what stands before and behind a recurrence. Gradients are Float64 for inputs of any precision. */

import type { Activation } from '../activations.ts';
import { stepSize } from '../selectiveScanStep.ts';
import { exact, type Tensor } from '../tensor.ts';
import { siluDerivative, softplusDerivative } from './activations.ts';

/** The slope of what follows a convolution. */
export function activationSlope(x: number, activation: Activation): number {
  return activation === 'silu' ? siluDerivative(x) : 1;
}

/** dΔ/d(dtRaw) = dΔ/d(dtBias): the slope of softplus, and 0 where Δ is held at an end of dtLimit. */
export function stepSizeSlope(
  dtRaw: number,
  dtBias: number | undefined,
  dtSoftplus: boolean,
  dtLimit?: readonly [min: number, max: number],
): number {
  const dt = stepSize(dtRaw, dtBias, dtSoftplus, exact);
  if (dtLimit && (dt < dtLimit[0] || dt > dtLimit[1])) return 0;
  return dtSoftplus ? softplusDerivative(dtRaw + (dtBias ?? 0)) : 1;
}

/** Float64 zeros of a tensor's shape: a gradient to add to. */
export function float64ZerosLike(t: Tensor): Tensor {
  return { data: new Float64Array(t.data.length), shape: t.shape };
}
