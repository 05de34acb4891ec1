/** How fast this machine reads memory, measured in some hundredths of a second. */

/** Larger than most caches; each measurement copies it once. */
const BYTES = 2 ** 26;
const ROUNDS = 3;

/**
 * Bytes read and written in a second by one thread that copies one array into another: what a decode step can hope for
 * from one thread. Several may together read more.
 */
export function memoryBandwidth(): number {
  const source = new Float64Array(BYTES / 8).fill(1);
  const target = new Float64Array(source.length).fill(2);
  let best = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const start = performance.now();
    target.set(source);
    best = Math.max(best, (2 * BYTES * 1000) / (performance.now() - start));
  }
  return best;
}
