/** Whether what ops are given fits together: kernels would write anywhere. */

import { ShapeError } from '../../../reference/errors.ts';
import type { Numbers } from '../../training.ts';
import { type Buffer, own } from './device.ts';

/**
 * Numbers as rows of this device.
 * @throws ShapeError when they have another number of rows or columns.
 */
export function rowsOf(who: string, numbers: Numbers, rows: number, width: number): Buffer {
  const buffer = own(numbers);
  if (buffer.rows !== rows || buffer.width !== width) {
    const got = `${buffer.rows} rows of ${buffer.width}`;
    throw new ShapeError(`${who}: expected ${rows} rows of ${width}, got ${got}`);
  }
  return buffer;
}

/** {@link rowsOf} of what may be left out. */
export function optionalRows(
  who: string,
  numbers: Numbers | undefined,
  rows: number,
  width: number,
): Buffer | undefined {
  return numbers && rowsOf(who, numbers, rows, width);
}

/** Where rows begin, and the numbers from one to the next; 0 for none. */
export const at = (buffer: Buffer | undefined): [address: number, stride: number] =>
  buffer ? [buffer.address, buffer.stride] : [0, 0];
