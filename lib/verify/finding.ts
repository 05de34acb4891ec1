/** What a broken law looks like to the person who has to mend the kernel. */

import type { OpName } from '../../reference/ops.ts';
import { axesOf, timeAxis, unflatten } from './axes.ts';
import { type Difference, DifferenceError } from './compare.ts';

/** The first element that is off, along time, and how far. */
export interface Divergence {
  /** `y at batch 0, time step 3, channel 2`. */
  element: string;
  output: string;
  index: number[];
  axes: readonly string[];
  want: number | string;
  got: number | string;
  /** |got − want|, in ulp of float32 at want, and as a multiple of the bound; null where not finite. */
  error: number | null;
  ulp: number | null;
  bounds: number | null;
  /** How many elements of this output are off, of how many. */
  off: number;
  of: number;
}

/** Numbers that JSON has, and the names of the others. */
const readable = (x: number) => (Number.isFinite(x) ? x : String(x));
const finite = (x: number) => (Number.isFinite(x) ? x : null);

/** The distance between neighbouring float32 numbers at x. */
function ulp32(x: number): number {
  return 2 ** (Math.max(Math.floor(Math.log2(Math.abs(x) || Number.MIN_VALUE)), -126) - 23);
}

/** Where results part, for an error that came from comparing tensors. */
export function divergenceOf(op: OpName, error: unknown): Divergence | undefined {
  if (!(error instanceof DifferenceError) || !error.difference) return undefined;
  return firstOff(op, error.difference);
}

function firstOff(op: OpName, difference: Difference): Divergence | undefined {
  const { output, shape, got, want, allowedAt, isOff } = difference;
  const axes = axesOf(op, output, shape.length);
  const time = timeAxis(axes);
  let first: number[] | undefined;
  let at = -1;
  let off = 0;
  for (let i = 0; i < want.length; i++) {
    if (!isOff(i)) continue;
    off++;
    const index = unflatten(i, shape);
    if (first && (time < 0 || index[time] >= first[time])) continue;
    [first, at] = [index, i];
  }
  if (!first) return undefined;
  const distance = Math.abs(got[at] - want[at]);
  return {
    element: `${output} at ${axes.map((axis, k) => `${axis} ${first[k]}`).join(', ')}`,
    output,
    index: first,
    axes,
    want: readable(want[at]),
    got: readable(got[at]),
    error: finite(distance),
    ulp: finite(distance / ulp32(want[at])),
    bounds: finite(distance / allowedAt(at)),
    off,
    of: want.length,
  };
}
