/** Back through what follows the read of every recurrence. */

import { silu } from '../activations.ts';
import { exact } from '../tensor.ts';
import { siluDerivative } from './activations.ts';

export interface SkipAndGateGradient {
  /** Of the sum along C. */
  read: number;
  /** Of x, by way of the skip connection alone. */
  x: number;
  D: number;
  z: number;
}

/**
 * Back through y = (read + D·x)·silu(z), with D and z optional:
 *
 *   dRead = dy·silu(z),  dx = D·dRead,  dD = x·dRead,  dz = dy·(read + D·x)·silu'(z)
 */
export function skipAndGateGradient(
  dy: number,
  read: number,
  x: number,
  D: number | undefined,
  z: number | undefined,
): SkipAndGateGradient {
  const skipped = D === undefined ? read : read + D * x;
  const dRead = z === undefined ? dy : dy * silu(z, exact);
  return {
    read: dRead,
    x: D === undefined ? 0 : D * dRead,
    D: x * dRead,
    z: z === undefined ? 0 : dy * skipped * siluDerivative(z),
  };
}
