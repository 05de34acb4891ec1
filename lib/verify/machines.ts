/** Arithmetics and how much each of their operations may be off, as their own documents promise it. */

/** What a function loses: a share of its result, and a part that does not depend on the result. */
export interface Loss {
  /** Relative error in units of the machine. */
  readonly units: number;
  /** Absolute error. */
  readonly absolute?: number;
}

/** An arithmetic: how much its operations may be off. */
export interface Machine {
  readonly name: string;
  /** Relative error of +, − and ·. */
  readonly unit: number;
  /** Absolute error where a result may be subnormal. */
  readonly tiny: number;
  /** Whether subnormal operands and results may be taken as zero. */
  readonly flushes: boolean;
  /** Above this a result overflows. */
  readonly largest: number;
  /** Above this a divisor's reciprocal may be taken as zero. */
  readonly largestDivisor: number;
  /** Relative error of ÷ and √, in units. */
  readonly division: number;
  readonly sqrt: number;
  /** What the functions lose at an argument. */
  exp(x: number): Loss;
  log(x: number): Loss;
  log1p(x: number): Loss;
  sin(x: number): Loss;
  cos(x: number): Loss;
}

const LARGEST32 = 3.4028234663852886e38;

/** The same relative loss of every function everywhere. */
function everywhere(units: number) {
  const loss = () => ({ units });
  return { exp: loss, log: loss, log1p: loss, sin: loss, cos: loss };
}

/** Float32 with rounded operations, functions rounded from a better value: the reference. */
export const FLOAT32: Machine = {
  name: 'float32',
  unit: 2 ** -24 * (1 + 2 ** -20), // and what is lost in computing the bound itself
  tiny: 2 ** -149,
  flushes: false,
  largest: LARGEST32,
  largestDivisor: Infinity,
  division: 1,
  sqrt: 1,
  ...everywhere(1),
};

/** Float64. The value itself is no more exact than what is compared with it, so everything counts twice. */
export const FLOAT64: Machine = {
  name: 'float64',
  unit: 2 ** -52,
  tiny: 2 ** -1073,
  flushes: false,
  largest: Number.MAX_VALUE,
  largestDivisor: Infinity,
  division: 1,
  sqrt: 1,
  ...everywhere(2), // 1 ulp of ours, 1 of Math's
};

/**
 * e^x as 2^(x·log₂e): the constant and the product are rounded, and each rounding shifts the exponent by
 * |x| units. CUDA documents 2 + ⌊1.16·|x|⌋ ulp (2 units each) for its fast one.
 */
const byPowersOfTwo = (x: number) => 2.32 * Math.abs(x);

/**
 * Float32 as compilers and libraries give it: +, − and · rounded, fused or not; functions within the 4 ulp
 * (8 units) that NumPy documents for its vector forms; a/b as a·(1/b) (2 roundings and their product); √
 * within 1 ulp; subnormals flushed, as -ffast-math and most GPUs do. ln(1 + x) computed in double precision
 * loses 2^-52; computed in float32 it would lose 2^-24, which is wrong for small step sizes.
 */
export const IEEE32_KERNEL: Machine = {
  ...FLOAT32,
  name: 'float32 of a kernel',
  tiny: 2 ** -126,
  flushes: true,
  largestDivisor: 2 ** 126,
  division: 3,
  sqrt: 2,
  ...everywhere(8),
  exp: (x) => ({ units: 8 + byPowersOfTwo(x) }),
  log1p: () => ({ units: 8, absolute: 2 ** -52 }),
};

/** The same freedom in float64; ln(1 + x) must be as careful there, except for the last bits near 1. */
export const IEEE64_KERNEL: Machine = {
  ...FLOAT64,
  name: 'float64 of a kernel',
  largestDivisor: 2 ** 1022,
  division: 3,
  sqrt: 2,
  ...everywhere(8),
  exp: (x) => ({ units: 8 + byPowersOfTwo(x) }),
  log1p: () => ({ units: 8, absolute: 2 ** -52 }),
};

/**
 * sin and cos on a GPU: within 2^-11 for |x| ≤ π (WGSL, section 15.7.4); nothing is promised beyond, so a
 * kernel must take the turns off first, and a rounded 2π costs it |x| units.
 */
const turned = (x: number) => ({ units: 1, absolute: 2 ** -11 + Math.abs(x) * 2 ** -23 });

/**
 * WGSL's f32 (W3C, section 15.7.4.1 "Concrete floating point accuracy"). Rounding may go either way, so a
 * unit is a whole ulp; ÷ 2.5 ulp for divisors from 2^-126 to 2^126; √ is 1/inverseSqrt, 2 + 2.5 ulp; exp
 * 3 + 2·|x| ulp; log 3 ulp, 2^-21 between ½ and 2; there is no log1p, so ln(1 + x) also loses the rounding
 * of the sum. Subnormals may be flushed. Infinity and NaN may be assumed away: see `showsNaN`.
 */
export const WGSL32: Machine = {
  ...FLOAT32,
  name: 'WGSL f32',
  unit: 2 ** -23 * (1 + 2 ** -20),
  tiny: 2 ** -126,
  flushes: true,
  largestDivisor: 2 ** 126,
  division: 2.5,
  sqrt: 5,
  exp: (x) => ({ units: 3 + 2 * Math.abs(x) }),
  log: (x) => ({ units: 3, absolute: x >= 0.5 && x <= 2 ? 2 ** -21 : 0 }),
  log1p: (x) => ({ units: 3, absolute: 2 ** -23 + (x >= -0.5 && x <= 1 ? 2 ** -21 : 0) }),
  sin: turned,
  cos: turned,
};

/**
 * GLSL ES's highp float. Version 3.20 (section 4.7.1) promises what WGSL does, whose table comes from there;
 * version 3.00, which WebGL 2 runs, leaves functions to the driver. Measured (SwiftShader, single precision):
 * linear, convolution, norms and steps within 1 to 3 ulp of WGSL's results, exp overflows at 89, log(0) is
 * −88.03, subnormals are flushed.
 */
export const GLSL32: Machine = { ...WGSL32, name: 'GLSL highp float' };
