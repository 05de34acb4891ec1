/** Slopes of the pointwise functions. Gradients are Float64 for inputs of any precision. */

import { type Activation, sigmoid } from '../activations.ts';
import { stepSize } from '../selectiveScanStep.ts';
import { exact, type Tensor } from '../tensor.ts';

/** silu'(x) = σ(x)·(1 + x·σ(−x)), where σ(−x) = 1 − σ(x) without its cancellation. */
export function siluSlope(x: number): number {
  return sigmoid(x, exact) * (1 + x * sigmoid(-x, exact));
}

/** softplus'(x) = σ(x); above 20, where softplus is x itself, exactly 1. */
export function softplusSlope(x: number): number {
  return x > 20 ? 1 : sigmoid(x, exact);
}

/** The slope of what follows a convolution. */
export function activationSlope(x: number, activation: Activation): number {
  return activation === 'silu' ? siluSlope(x) : 1;
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
  return dtSoftplus ? softplusSlope(dtRaw + (dtBias ?? 0)) : 1;
}

/** Float64 zeros of a tensor's shape: a gradient to add to. */
export function float64ZerosLike(t: Tensor): Tensor {
  return { data: new Float64Array(t.data.length), shape: t.shape };
}
