/** Half-precision numbers by their bits. */

/** The largest finite half-precision number is 0x7bff. */
export const HALF_INFINITY = 0x7c00;

const single = new Float32Array(1);
const singleBits = new Uint32Array(single.buffer);

/** The bits of a number ≥ 0 in half precision, halves to even; infinity where it is too large. */
export function halfBits(x: number): number {
  if (x < 2 ** -14) {
    // below the normal numbers: a multiple of 2⁻²⁴
    const units = x * 2 ** 24;
    const floor = Math.floor(units);
    const rest = units - floor;
    return floor + (rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? 1 : 0);
  }
  single[0] = x;
  const bits = singleBits[0];
  // exponents are biased by 127 there and 15 here; 13 bits of the mantissa are dropped
  const rounded = bits - ((127 - 15) << 23) + 0xfff + ((bits >> 13) & 1);
  return Math.min(rounded >> 13, HALF_INFINITY);
}

/** The bits of any number in half precision; undefined for one that is not finite there. */
export function signedHalfBits(x: number): number | undefined {
  const bits = Number.isFinite(x) ? halfBits(Math.abs(x)) : HALF_INFINITY;
  if (bits >= HALF_INFINITY) return undefined;
  return x < 0 || Object.is(x, -0) ? bits | 0x8000 : bits;
}

/** The number that bits in half precision stand for, exactly. */
export function halfValue(bits: number): number {
  singleBits[0] = widenHalf(bits);
  return single[0];
}

/** The bits of the float32 equal to a float16 given by its bits. */
export function widenHalf(half: number): number {
  const sign = (half & 0x8000) << 16;
  const exponent = (half >> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 31) return sign | 0x7f800000 | (fraction << 13); // infinity, or NaN with its payload
  if (exponent !== 0) return sign | ((exponent + 112) << 23) | (fraction << 13);
  if (fraction === 0) return sign;
  // subnormal: fraction · 2^-24, normal as a float32
  const shift = Math.clz32(fraction) - 21; // brings the leading bit to bit 10
  return sign | ((113 - shift) << 23) | (((fraction << shift) & 0x3ff) << 13);
}
