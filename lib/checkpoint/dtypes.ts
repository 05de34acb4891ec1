/** The number formats of checkpoints: their widths, and how their bytes become numbers. */

import { widenHalf } from './halves.ts';

/** Bits of one element of every safetensors dtype. */
export const DTYPE_BITS: ReadonlyMap<string, number> = new Map([
  ['BOOL', 8],
  ['U8', 8],
  ['I8', 8],
  ['I16', 16],
  ['U16', 16],
  ['I32', 32],
  ['U32', 32],
  ['I64', 64],
  ['U64', 64],
  ['F16', 16],
  ['BF16', 16],
  ['F32', 32],
  ['F64', 64],
  ['C64', 64],
  ['F8_E5M2', 8],
  ['F8_E4M3', 8],
  ['F8_E8M0', 8],
  ['F8_E5M2FNUZ', 8],
  ['F8_E4M3FNUZ', 8],
  ['F6_E2M3', 6],
  ['F6_E3M2', 6],
  ['F4', 4],
]);

/** Formats that hold a model's numbers. */
export type FloatDtype = 'F64' | 'F32' | 'F16' | 'BF16';

export function isFloatDtype(dtype: string): dtype is FloatDtype {
  return dtype === 'F64' || dtype === 'F32' || dtype === 'F16' || dtype === 'BF16';
}

/**
 * Little-endian bytes as numbers, exactly: F64 as doubles, the others as floats, which hold all of theirs.
 * The bytes may start anywhere: published files are not aligned.
 */
export function decodeFloats(bytes: Uint8Array, dtype: FloatDtype): Float64Array | Float32Array {
  switch (dtype) {
    case 'F64':
      return new Float64Array(aligned(bytes));
    case 'F32':
      return new Float32Array(aligned(bytes));
    case 'BF16': {
      // bfloat16 is the upper half of a float32
      const halves = new Uint16Array(aligned(bytes));
      const words = new Uint32Array(halves.length);
      for (let i = 0; i < halves.length; i++) words[i] = halves[i] << 16;
      return new Float32Array(words.buffer);
    }
    case 'F16': {
      const halves = new Uint16Array(aligned(bytes));
      const words = new Uint32Array(halves.length);
      for (let i = 0; i < halves.length; i++) words[i] = widenHalf(halves[i]);
      return new Float32Array(words.buffer);
    }
  }
}

/** Formats that models are written in. */
export type WrittenDtype = 'F32' | 'BF16';

/** Numbers as little-endian bytes of a narrower or equal format, each the nearest there is, halves to even. */
export function encodeFloats(data: Float64Array | Float32Array, dtype: WrittenDtype): Uint8Array {
  const floats = new Float32Array(data);
  const words = new Uint32Array(floats.buffer);
  if (dtype === 'F32') return new Uint8Array(floats.buffer);
  const halves = new Uint16Array(floats.length);
  for (let i = 0; i < floats.length; i++) {
    let word = words[i];
    // what looks like a half now may have been less or more before it became a float32
    if ((word & 0xffff) === 0x8000 && floats[i] !== data[i]) {
      word += Math.abs(data[i]) > Math.abs(floats[i]) ? 1 : -1;
    }
    halves[i] = Number.isNaN(floats[i]) ? 0x7fc0 : (word + 0x7fff + ((word >>> 16) & 1)) >>> 16;
  }
  return new Uint8Array(halves.buffer);
}

/** Little-endian bytes as whole numbers; 64-bit integers keep all their bits. */
export function decodeIntegers(bytes: Uint8Array, dtype: string): bigint[] | number[] {
  const buffer = aligned(bytes);
  switch (dtype) {
    case 'I64':
      return [...new BigInt64Array(buffer)];
    case 'U64':
      return [...new BigUint64Array(buffer)];
    case 'I32':
      return [...new Int32Array(buffer)];
    case 'U32':
      return [...new Uint32Array(buffer)];
    case 'I16':
      return [...new Int16Array(buffer)];
    case 'U16':
      return [...new Uint16Array(buffer)];
    case 'I8':
      return [...new Int8Array(buffer)];
    default:
      return [...bytes];
  }
}

/** The bytes in a buffer of their own, where every typed array may start. */
function aligned(bytes: Uint8Array): ArrayBuffer {
  const { buffer, byteOffset, byteLength } = bytes;
  const isWhole = byteOffset === 0 && byteLength === buffer.byteLength;
  return isWhole && buffer instanceof ArrayBuffer ? buffer : (bytes.slice().buffer as ArrayBuffer);
}
