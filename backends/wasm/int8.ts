/** Matrices as 8-bit numbers: w ≈ scale·q, q from −127 to 127, a scale for every BLOCK inputs of an output. */

import { BLOCK, PANEL } from './abi.ts';

/** Bytes of the scales of a block of a panel, and of its numbers. */
const SCALES = 4 * PANEL;
const NUMBERS = PANEL * BLOCK;
const blockBytes = (isQuads: boolean) => (isQuads ? 2 : 1) * SCALES + NUMBERS;

/** Whether a matrix can be stored like this: rows are cut into whole blocks. */
export const fitsInt8 = (dIn: number) => dIn % BLOCK === 0;

/** Bytes that a matrix (dOut, dIn) takes. */
export const int8Bytes = (dOut: number, dIn: number, isQuads: boolean) =>
  Math.ceil(dOut / PANEL) * (dIn / BLOCK) * blockBytes(isQuads);

/** Bytes of a row of numbers that the kernel QUANTISE made. */
export const quantisedBytes = (dIn: number, isQuads: boolean) =>
  Math.ceil(dIn / BLOCK) * ((isQuads ? BLOCK : 2 * BLOCK) + 8);

/**
 * Packs a matrix (dOut, dIn) as assembly/linearInt8.ts reads it. Rounded as GGUF's Q8_0 is: scale = max|w|/127,
 * q = round(w/scale).
 *
 * @param to whole words, zero
 * @param isQuads with four inputs of an output side by side and the sums of q, or with two inputs
 */
export function packInt8(
  to: Uint8Array,
  data: ArrayLike<number>,
  dOut: number,
  dIn: number,
  isQuads: boolean,
): void {
  const f32 = new Float32Array(to.buffer, to.byteOffset, to.byteLength / 4);
  const i8 = new Int8Array(to.buffer, to.byteOffset, to.byteLength);
  const blocks = dIn / BLOCK;
  const bytes = blockBytes(isQuads);
  for (let row = 0; row < dOut; row++) {
    const lane = row % PANEL;
    for (let block = 0; block < blocks; block++) {
      const from = row * dIn + block * BLOCK;
      const at = (Math.floor(row / PANEL) * blocks + block) * bytes;
      let largest = 0;
      for (let k = 0; k < BLOCK; k++) largest = Math.max(largest, Math.abs(data[from + k]));
      const scale = Math.fround(largest / 127);
      const inverse = scale > 0 ? 1 / scale : 0;
      const numbers = at + bytes - NUMBERS;
      let sum = 0;
      for (let k = 0; k < BLOCK; k++) {
        const q = Math.max(-127, Math.min(127, Math.round(data[from + k] * inverse)));
        const together = isQuads ? 4 : 2;
        const group = Math.floor(k / together) * together * PANEL;
        const place = group + together * lane + (k % together);
        i8[numbers + place] = q;
        sum += q;
      }
      f32[at / 4 + lane] = scale;
      if (isQuads) f32[at / 4 + PANEL + lane] = scale * sum;
    }
  }
}
