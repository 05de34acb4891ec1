/** How sequences are cut for recurrences: what is kept of them, and what is computed once more on the way back. */

import { ShapeError } from '../../../reference/errors.ts';

/** Tokens after which a state is kept: those between are computed once more. */
export const CHUNK = 32;

/** @throws ShapeError unless the first number divides the second. Returns how often. */
export function expectDivides(
  who: string,
  divisor: Record<string, number>,
  whole: Record<string, number>,
): number {
  const [[name, n]] = Object.entries(divisor);
  const [[wholeName, size]] = Object.entries(whole);
  if (!(n >= 1) || size % n !== 0) {
    throw new ShapeError(
      `${who}: expected ${name} to divide ${wholeName}, got ${name} ${n}, ${wholeName} ${size}`,
    );
  }
  return size / n;
}
