/**
 * Exponentials of four numbers at once, and what is made of them. Errors in ulp over the whole range of float32 are
 * stated here and measured in spec/wasmElementary.spec.ts. NaN stays NaN.
 */

/** a·b + c: rounded once in the relaxed build where the processor can, else twice. */
// @ts-ignore: decorator
@inline
export function fma4(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(a, b, c);
  return f32x4.add(f32x4.mul(a, b), c);
}

/** The smaller; a where one is NaN. */
// @ts-ignore: decorator
@inline
export function atMost4(a: v128, most: f32): v128 {
  return f32x4.pmin(a, f32x4.splat(most));
}

/** The greater; a where one is NaN. */
// @ts-ignore: decorator
@inline
export function atLeast4(a: v128, least: f32): v128 {
  return f32x4.pmax(a, f32x4.splat(least));
}

/** e^r − 1 for |r| ≤ ln(2)/2: r + r²·p(r), p of degree 4 (fitted for the least greatest error, 6e-8 of r²). */
// @ts-ignore: decorator
@inline
function smallPower(r: v128): v128 {
  let p = fma4(f32x4.splat(0.0013941117795184255), r, f32x4.splat(0.008363179862499237));
  p = fma4(p, r, f32x4.splat(0.04166637361049652));
  p = fma4(p, r, f32x4.splat(0.16666576266288757));
  p = fma4(p, r, f32x4.splat(0.5));
  return fma4(f32x4.mul(r, r), p, r);
}

/** x − n·ln(2), ln(2) in two parts of which the first has 9 trailing zeros. */
// @ts-ignore: decorator
@inline
function reduced(x: v128, n: v128): v128 {
  const high = fma4(n, f32x4.splat(-0.693359375), x);
  return fma4(n, f32x4.splat(2.12194440e-4), high);
}

/**
 * 1.5·2²³: added to a number it leaves no bits for a fraction, so the sum is the number rounded, and its lowest bits are
 * that whole number. Two additions where rounding and converting take ten instructions.
 */
const ROUNDER: f32 = 12_582_912;
const ROUNDER_BITS: i32 = 0x4b400000;

/** x·2ⁿ, n from −126 to 127 in the lowest bits of a rounded number. A product, so that NaN stays NaN. */
// @ts-ignore: decorator
@inline
function scaledBy(x: v128, rounded: v128): v128 {
  return f32x4.mul(x, i32x4.add(i32x4.shl(rounded, 23), i32x4.splat(0x3f800000)));
}

/** x·2ⁿ for any n from −254 to 254: in two factors, n = 128 and n < −126 have no float32 of their own. */
// @ts-ignore: decorator
@inline
function scaledFar(x: v128, n: v128): v128 {
  const half = i32x4.shr_s(n, 1);
  const first = i32x4.shl(i32x4.add(half, i32x4.splat(127)), 23);
  const second = i32x4.shl(i32x4.add(i32x4.sub(n, half), i32x4.splat(127)), 23);
  return f32x4.mul(f32x4.mul(x, first), second);
}

/** eˣ, ≤ 1.5 ulp; subnormal results too, ∞ above 88.73, 0 below −103.98. */
// @ts-ignore: decorator
@inline
export function exp4(x: v128): v128 {
  const within = atLeast4(atMost4(x, 89), -104);
  const rounded = fma4(within, f32x4.splat(1.4426950408889634), f32x4.splat(ROUNDER));
  const r = reduced(within, f32x4.sub(rounded, f32x4.splat(ROUNDER)));
  const e = f32x4.add(smallPower(r), f32x4.splat(1));
  return scaledFar(e, i32x4.sub(rounded, i32x4.splat(ROUNDER_BITS)));
}

/** eˣ for x ≤ 0, ≤ 1.5 ulp; 0 where the result would be subnormal (x < −87.33). */
// @ts-ignore: decorator
@inline
export function expNegative4(x: v128): v128 {
  const rounded = fma4(x, f32x4.splat(1.4426950408889634), f32x4.splat(ROUNDER));
  const r = reduced(x, f32x4.sub(rounded, f32x4.splat(ROUNDER)));
  const e = f32x4.add(smallPower(r), f32x4.splat(1));
  // a comparison with NaN is false: NaN stays
  return v128.andnot(scaledBy(e, rounded), f32x4.lt(x, f32x4.splat(-87.33654)));
}

/** 2ᶠ for |f| ≤ ½: 1 + f·p(f), p of degree 4 (fitted for the least greatest relative error, 9.2e-8). */
// @ts-ignore: decorator
@inline
function smallPowerOfTwo(f: v128): v128 {
  let p = fma4(f32x4.splat(0.001326472731307149), f, f32x4.splat(0.009671512991189957));
  p = fma4(p, f, f32x4.splat(0.05550733581185341));
  p = fma4(p, f, f32x4.splat(0.24022242426872253));
  p = fma4(p, f, f32x4.splat(0.6931470036506653));
  return fma4(p, f, f32x4.splat(1));
}

/**
 * 2ˣ for x ≤ 0, ≤ 2.5 ulp; 0 where the result would be subnormal (x < −126). The decay of the scans, whose rates are
 * kept in powers of two: half the work of expNegative4.
 */
// @ts-ignore: decorator
@inline
export function powerOfTwo4(x: v128): v128 {
  const rounded = f32x4.add(x, f32x4.splat(ROUNDER));
  const f = f32x4.sub(x, f32x4.sub(rounded, f32x4.splat(ROUNDER)));
  return v128.andnot(scaledBy(smallPowerOfTwo(f), rounded), f32x4.lt(x, f32x4.splat(-126)));
}

/** 2ˣ of any x, ≤ 2.5 ulp; subnormal results too. */
// @ts-ignore: decorator
@inline
export function anyPowerOfTwo4(x: v128): v128 {
  const within = atLeast4(atMost4(x, 129), -151);
  const rounded = f32x4.add(within, f32x4.splat(ROUNDER));
  const f = f32x4.sub(within, f32x4.sub(rounded, f32x4.splat(ROUNDER)));
  return scaledFar(smallPowerOfTwo(f), i32x4.sub(rounded, i32x4.splat(ROUNDER_BITS)));
}

/** ln(1 + e) for 0 ≤ e ≤ 1: twice the artanh of s = e/(2 + e), which loses nothing however small e is. */
// @ts-ignore: decorator
@inline
function log1pOfFraction(e: v128): v128 {
  const s = f32x4.div(e, f32x4.add(e, f32x4.splat(2)));
  const u = f32x4.mul(s, s);
  let p = fma4(f32x4.splat(0.11626914143562317), u, f32x4.splat(0.1085001677274704));
  p = fma4(p, u, f32x4.splat(0.14296405017375946));
  p = fma4(p, u, f32x4.splat(0.19999848306179047));
  p = fma4(p, u, f32x4.splat(0.3333333432674408));
  const twice = f32x4.add(s, s);
  return fma4(f32x4.mul(twice, u), p, twice);
}

/** ln(1 + eˣ) = max(x, 0) + ln(1 + e^−|x|), ≤ 3 ulp. */
// @ts-ignore: decorator
@inline
export function softplus4(x: v128): v128 {
  return f32x4.add(atLeast4(x, 0), log1pOfFraction(exp4(f32x4.neg(f32x4.abs(x)))));
}

/** 1/(1 + e^−x) for x ≥ 0, else eˣ/(1 + eˣ): neither overflows. ≤ 3 ulp. */
// @ts-ignore: decorator
@inline
export function sigmoid4(x: v128): v128 {
  const one = f32x4.splat(1);
  const e = exp4(f32x4.neg(f32x4.abs(x)));
  // a comparison with NaN is false: e is NaN then
  return f32x4.div(v128.bitselect(e, one, f32x4.lt(x, f32x4.splat(0))), f32x4.add(one, e));
}

/** x·sigmoid(x), ≤ 4 ulp; below −87.33, where the sigmoid is subnormal, within 2e-43. */
// @ts-ignore: decorator
@inline
export function silu4(x: v128): v128 {
  return f32x4.mul(x, sigmoid4(x));
}
