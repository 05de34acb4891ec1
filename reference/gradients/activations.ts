/** The derivatives of the pointwise functions, which every gradient through a gate or a step size needs. */

import { sigmoid } from '../activations.ts';
import { exact } from '../tensor.ts';

/** σ'(x) = σ(x)·σ(−x). The second factor is 1 − σ(x) without its cancellation for large x. */
export function sigmoidDerivative(x: number): number {
  return sigmoid(x, exact) * sigmoid(-x, exact);
}

/** silu'(x) = σ(x)·(1 + x·σ(−x)). */
export function siluDerivative(x: number): number {
  return sigmoid(x, exact) * (1 + x * sigmoid(-x, exact));
}

/** softplus'(x) = σ(x), and 1 above 20, where softplus(x) is x itself. */
export function softplusDerivative(x: number): number {
  return x > 20 ? 1 : sigmoid(x, exact);
}
