/** What both layouts of a skip connection come to. */

/** D of every channel, from one per channel or one per head. */
export function perChannel(D: ArrayLike<number>, channels: number): Float32Array {
  return Float32Array.from(
    { length: channels },
    (_, c) => D[Math.floor((c * D.length) / channels)],
  );
}
