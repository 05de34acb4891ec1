/** How fast this machine moves memory: the ceiling of a decode step at batch 1. */

import { spreadOf } from './timing.ts';

/** Large enough to leave every cache. */
const BYTES = 2 ** 28;

/** Bytes read and written per second by copying one array into another, on one thread. */
export function copyBandwidth(): number {
  const source = new Float32Array(BYTES / 4).fill(1);
  const target = new Float32Array(source.length);
  const rates = Array.from({ length: 5 }, () => {
    const start = performance.now();
    target.set(source);
    return (2 * BYTES * 1000) / (performance.now() - start);
  });
  return spreadOf(rates).median;
}
