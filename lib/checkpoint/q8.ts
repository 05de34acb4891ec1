/** Q8_0, llama.cpp's 8-bit format: blocks of 32 numbers, a 16-bit scale and 32 signed bytes each. */

import { HALF_INFINITY, halfBits, halfValue } from './halves.ts';

/** Numbers that share a scale. */
export const Q8_BLOCK = 32;
/** Bytes of a block: a half-precision scale, then a byte for each number. */
export const Q8_BLOCK_BYTES = 2 + Q8_BLOCK;

/**
 * Numbers as blocks: x ≈ scale·q with q in −127 … 127 and scale = max|x| / 127 of each block. The same bytes
 * as ggml's own reference: it divides by the scale before that is rounded to half precision.
 * @param values shape (n), n a multiple of 32; in single precision.
 * @returns undefined where a block has a number that is not finite, or too large for its scale.
 */
export function encodeQ8(values: Float32Array): Uint8Array | undefined {
  const blocks = values.length / Q8_BLOCK;
  const bytes = new Uint8Array(blocks * Q8_BLOCK_BYTES);
  const view = new DataView(bytes.buffer);
  for (let block = 0; block < blocks; block++) {
    const from = block * Q8_BLOCK;
    let largest = 0;
    for (let i = from; i < from + Q8_BLOCK; i++) {
      const size = Math.abs(values[i]);
      if (size > largest || Number.isNaN(size)) largest = size; // NaN stays, and is refused below
    }
    const scale = Math.fround(largest / 127);
    const half = Number.isFinite(scale) ? halfBits(scale) : HALF_INFINITY;
    if (half >= HALF_INFINITY) return undefined;
    const at = block * Q8_BLOCK_BYTES;
    view.setUint16(at, half, true);
    const inverse = scale === 0 ? 0 : Math.fround(1 / scale);
    for (let i = 0; i < Q8_BLOCK; i++) {
      view.setInt8(at + 2 + i, roundAway(Math.fround(values[from + i] * inverse)));
    }
  }
  return bytes;
}

/**
 * The numbers of blocks, exactly.
 * @param bytes whole blocks.
 */
export function decodeQ8(bytes: Uint8Array): Float32Array {
  const blocks = bytes.length / Q8_BLOCK_BYTES;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const values = new Float32Array(blocks * Q8_BLOCK);
  for (let block = 0; block < blocks; block++) {
    const at = block * Q8_BLOCK_BYTES;
    const scale = halfValue(view.getUint16(at, true));
    for (let i = 0; i < Q8_BLOCK; i++) {
      values[block * Q8_BLOCK + i] = scale * view.getInt8(at + 2 + i);
    }
  }
  return values;
}

/** To the nearest whole number, halves away from zero, as C's roundf. */
function roundAway(x: number): number {
  return x < 0 ? -Math.floor(0.5 - x) : Math.floor(x + 0.5);
}
