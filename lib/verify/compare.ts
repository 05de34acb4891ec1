/** Comparing tensors: a difference is an error with the worst element in it, and NaN is never equal. */

import { SelscanError } from '../../reference/errors.ts';
import { isTensor, type Tensor } from '../../reference/tensor.ts';
import type { Approx } from './approx.ts';
import { unflatten } from './axes.ts';

/** Which elements of an output are off, and by how much they might have been. */
export interface Difference {
  /** Name of the output: y, h. */
  readonly output: string;
  readonly shape: readonly number[];
  readonly got: ArrayLike<number>;
  readonly want: ArrayLike<number>;
  /** What element i may be off by. */
  allowedAt(i: number): number;
  isOff(i: number): boolean;
}

/** Two tensors differ by more than is allowed. */
export class DifferenceError extends SelscanError {
  /** The elements, where tensors were compared. */
  readonly difference?: Difference;

  constructor(message: string, difference?: Difference) {
    super('Difference', message);
    this.difference = difference;
  }
}

/** @throws DifferenceError unless something holds. */
export function demand(holds: boolean, problem: string): void {
  if (!holds) throw new DifferenceError(problem);
}

/** How far apart two numbers may be: |got − want| ≤ absolute + relative·|want|, or one number per element. */
export interface Tolerance {
  absolute?: number;
  relative?: number;
  perElement?: ArrayLike<number>;
}

/** Where an element stands: [1, 0, 3]. */
const indexOf = (flat: number, shape: readonly number[]) =>
  `[${unflatten(flat, shape).join(', ')}]`;

function expectSameShape(name: string, got: Tensor, want: Tensor): void {
  if (got.shape.join() !== want.shape.join()) {
    throw new DifferenceError(
      `${name}: expected shape [${want.shape.join(', ')}], got [${got.shape.join(', ')}]`,
    );
  }
}

/**
 * @returns the largest difference as a share of what is allowed, ≤ 1.
 * @throws DifferenceError naming the worst element, where one is off by more than allowed or is NaN.
 */
export function expectClose(name: string, got: Tensor, want: Tensor, tolerance: Tolerance): number {
  expectSameShape(name, got, want);
  const { absolute = 0, relative = 0, perElement } = tolerance;
  const offAt = (i: number) => Math.abs(got.data[i] - want.data[i]);
  const allowedAt = (i: number) =>
    absolute + relative * Math.abs(want.data[i]) + (perElement?.[i] ?? 0);
  const shareAt = (i: number) => {
    if (Object.is(got.data[i], want.data[i]) && !Number.isNaN(got.data[i])) return 0;
    if (perElement?.[i] === Number.POSITIVE_INFINITY) return 0; // the arithmetic overflows here
    return offAt(i) === 0 ? 0 : offAt(i) / allowedAt(i);
  };
  let worst = 0;
  let at = -1;
  for (let i = 0; i < want.data.length; i++) {
    const share = shareAt(i);
    if (!(share <= worst)) {
      // also when share is NaN: then it stays the worst
      if (!Number.isNaN(worst)) [worst, at] = [share, i];
    }
  }
  if (!(worst <= 1)) {
    throw new DifferenceError(
      `${name}: off by ${offAt(at).toExponential(3)}, allowed ${allowedAt(at).toExponential(3)}, ` +
        `at element ${indexOf(at, want.shape)} of [${want.shape.join(', ')}]: ` +
        `want ${want.data[at]}, got ${got.data[at]}`,
      {
        output: name,
        shape: want.shape,
        got: got.data,
        want: want.data,
        allowedAt,
        isOff: (i) => !(shareAt(i) <= 1),
      },
    );
  }
  return worst;
}

/** {@link expectClose} to numbers that bring their own bounds. */
export function expectWithin(name: string, got: Tensor, want: readonly Approx[]): number {
  const values = { data: Float64Array.from(want, ({ value }) => value), shape: got.shape };
  if (want.length !== got.data.length) {
    throw new DifferenceError(`${name}: expected ${want.length} elements, got ${got.data.length}`);
  }
  return expectClose(name, got, values, { perElement: want.map(({ error }) => error) });
}

/** @throws DifferenceError unless all elements are the same bits; NaN equals NaN here, 0 is not −0. */
export function expectSameBits(name: string, got: Tensor, want: Tensor): void {
  expectSameShape(name, got, want);
  for (let i = 0; i < want.data.length; i++) {
    if (Object.is(got.data[i], want.data[i])) continue;
    throw new DifferenceError(
      `${name}: expected the same bits, at element ${indexOf(i, want.shape)} of ` +
        `[${want.shape.join(', ')}]: want ${want.data[i]}, got ${got.data[i]}`,
    );
  }
}

/** {@link expectSameBits} for all tensors of two outputs. */
export function expectSameOutputs(got: object, want: object): void {
  for (const [name, value] of Object.entries(want)) {
    const other = (got as Record<string, unknown>)[name];
    if (isTensor(value) && isTensor(other)) expectSameBits(name, other, value);
    else if (JSON.stringify(other) !== JSON.stringify(value)) {
      throw new DifferenceError(
        `${name}: want ${JSON.stringify(value)}, got ${JSON.stringify(other)}`,
      );
    }
  }
}
