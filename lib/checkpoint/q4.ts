/** Q4_0, llama.cpp's 4-bit format: blocks of 32 numbers, a 16-bit scale and half a byte each. */

import { halfValue, signedHalfBits } from './halves.ts';

/** Numbers that share a scale. */
export const Q4_BLOCK = 32;
/** Bytes of a block: a half-precision scale, then two numbers a byte. */
export const Q4_BLOCK_BYTES = 2 + Q4_BLOCK / 2;

/**
 * Numbers as blocks: x ≈ scale·(q − 8) with q in 0 … 15, where the number of largest magnitude becomes q = 0. The same
 * bytes as ggml's own reference: it divides by the scale before that is rounded to half precision.
 * @param values shape (n), n a multiple of 32; in single precision.
 * @returns undefined where a block has a number that is not finite, or too large for its scale.
 */
export function encodeQ4(values: Float32Array): Uint8Array | undefined {
  const blocks = values.length / Q4_BLOCK;
  const bytes = new Uint8Array(blocks * Q4_BLOCK_BYTES);
  const view = new DataView(bytes.buffer);
  for (let block = 0; block < blocks; block++) {
    const from = block * Q4_BLOCK;
    let largest = 0;
    for (let i = from; i < from + Q4_BLOCK; i++) {
      const isLarger = Math.abs(values[i]) > Math.abs(largest);
      if (isLarger || Number.isNaN(values[i])) largest = values[i]; // NaN stays, and is refused below
    }
    const scale = largest / -8;
    const half = signedHalfBits(scale);
    if (half === undefined) return undefined;
    const at = block * Q4_BLOCK_BYTES;
    view.setUint16(at, half, true);
    const inverse = scale === 0 ? 0 : Math.fround(1 / scale);
    for (let i = 0; i < Q4_BLOCK / 2; i++) {
      const low = level(values[from + i], inverse);
      const high = level(values[from + Q4_BLOCK / 2 + i], inverse);
      bytes[at + 2 + i] = low | (high << 4);
    }
  }
  return bytes;
}

/** 0 … 15, rounded as in single precision. */
function level(x: number, inverse: number): number {
  return Math.min(15, Math.trunc(Math.fround(Math.fround(x * inverse) + 8.5)));
}

/**
 * The numbers of blocks, exactly: the low halves of the bytes are the first sixteen.
 * @param bytes whole blocks.
 */
export function decodeQ4(bytes: Uint8Array): Float32Array {
  const blocks = bytes.length / Q4_BLOCK_BYTES;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const values = new Float32Array(blocks * Q4_BLOCK);
  for (let block = 0; block < blocks; block++) {
    const at = block * Q4_BLOCK_BYTES;
    const to = block * Q4_BLOCK;
    const scale = halfValue(view.getUint16(at, true));
    for (let i = 0; i < Q4_BLOCK / 2; i++) {
      const pair = bytes[at + 2 + i];
      values[to + i] = scale * ((pair & 15) - 8);
      values[to + Q4_BLOCK / 2 + i] = scale * ((pair >> 4) - 8);
    }
  }
  return values;
}
