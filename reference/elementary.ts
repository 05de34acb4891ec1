/**
 * exp, log, log1p, sin, cos and pow in plain arithmetic.
 *
 * ECMAScript leaves the last bits of `Math.exp` and its kin to the engine, so a token drawn near the
 * edge of a distribution could differ between Node, Firefox and the next V8. These use only +, −, ·, ÷
 * and √, which IEEE 754 fixes to the bit: the same input gives the same output everywhere, within
 * 1 ulp of the true value (spec/elementary.spec.ts measures it against exact arithmetic).
 *
 * Each follows the classic plan: reduce the argument to a small interval with a constant split in a high
 * part (products with it are exact) and a low part, sum a Taylor series there, undo the reduction.
 */

// ln 2 = LN2_HIGH + LN2_LOW; the high part ends in 32 zero bits, so that k·LN2_HIGH is exact for |k| < 2048
const LN2_HIGH = 0.6931471803691238;
const LN2_LOW = 1.9082149292705877e-10;

/** 2^k for −1074 ≤ k ≤ 1023, at index k + 1074. */
const POWERS_OF_TWO = /* @__PURE__ */ powersOfTwo();

function powersOfTwo(): Float64Array {
  const table = new Float64Array(1074 + 1024);
  table[1074] = 1;
  for (let i = 1075; i < table.length; i++) table[i] = 2 * table[i - 1];
  for (let i = 1073; i >= 0; i--) table[i] = table[i + 1] / 2;
  return table;
}

/** e^x; 0 below −745.13, Infinity above 709.78. */
export function exp(x: number): number {
  if (x > 709.782712893384) return Number.POSITIVE_INFINITY;
  if (x < -745.1332191019412) return 0;
  if (Number.isNaN(x)) return x;
  // x = k·ln 2 + r with |r| ≤ ln 2 / 2, and r carried as r + tail
  const k = Math.round(x * Math.LOG2E);
  const high = x - k * LN2_HIGH;
  const low = k * LN2_LOW;
  const r = high - low;
  const tail = high - r - low;
  // e^r = 1 + r + r²/2! + … + r¹³/13!, even and odd powers apart so that two sums run at once
  const z = r * r;
  const even =
    1 / 2 + z * (1 / 24 + z * (1 / 720 + z * (1 / 40320 + z * (1 / 3628800 + z / 479001600))));
  const odd =
    1 / 6 + z * (1 / 120 + z * (1 / 5040 + z * (1 / 362880 + z * (1 / 39916800 + z / 6227020800))));
  const y = 1 + (r + (z * (even + r * odd) + tail));
  if (k >= -1021 && k <= 1023) return y * POWERS_OF_TWO[k + 1074];
  if (k > 1023) return y * 2 * POWERS_OF_TWO[1023 + 1074];
  return y * POWERS_OF_TWO[k + 1000 + 1074] * POWERS_OF_TWO[-1000 + 1074]; // subnormal result
}

/** ln x; −Infinity at 0, NaN below. */
export function log(x: number): number {
  if (!(x > 0) || x === Number.POSITIVE_INFINITY) {
    return x === 0 ? Number.NEGATIVE_INFINITY : x > 0 ? x : Number.NaN;
  }
  return logOfSum(x, 0);
}

/** ln(1 + x) without losing a small x; −Infinity at −1, NaN below. */
export function log1p(x: number): number {
  if (!(x > -1) || x === Number.POSITIVE_INFINITY) {
    return x === -1 ? Number.NEGATIVE_INFINITY : x > -1 ? x : Number.NaN;
  }
  if (x > -1e-17 && x < 1e-17) return x;
  // 1 + x = sum + error exactly (Knuth's two-sum)
  const sum = 1 + x;
  const shadow = sum - x;
  const error = 1 - shadow + (x - (sum - shadow));
  return logOfSum(sum, error);
}

const bits = new Float64Array(1);
const words = new Uint32Array(bits.buffer);
// index of the word that holds sign and exponent
const HIGH_WORD = /* @__PURE__ */ new Uint8Array(new Uint16Array([1]).buffer)[0] === 1 ? 1 : 0;

/** ln(x + error) for x > 0 and |error| ≤ ulp(x). */
function logOfSum(x: number, error: number): number {
  // x = 2^k · m with √½ ≤ m < √2
  let k = 0;
  let m = x;
  if (m < 2.2250738585072014e-308) {
    m *= 18014398509481984; // 2^54 lifts a subnormal
    k = -54;
  }
  bits[0] = m;
  const exponent = (words[HIGH_WORD] >>> 20) - 1023;
  k += exponent;
  words[HIGH_WORD] = words[HIGH_WORD] - (exponent << 20);
  m = bits[0];
  if (m > Math.SQRT2) {
    m /= 2;
    k += 1;
  }
  // ln m with f = m − 1 and s = f / (2 + f): ln m = 2·artanh(s) = f − s·(f − R), R = 2(s²/3 + s⁴/5 + …)
  const f = m - 1;
  const s = f / (2 + f);
  const z = s * s;
  const w = z * z;
  const even = 2 / 3 + w * (2 / 7 + w * (2 / 11 + w * (2 / 15 + w * (2 / 19 + w * (2 / 23)))));
  const odd = 2 / 5 + w * (2 / 9 + w * (2 / 13 + w * (2 / 17 + w * (2 / 21 + w * (2 / 25)))));
  const correction = s * (f - z * (even + z * odd));
  // k·ln 2 + f summed exactly, then everything small added once
  const large = k * LN2_HIGH;
  const sum = large + f;
  const lost = k === 0 ? 0 : large - (sum - f) + (f - (sum - (sum - f)));
  return sum + (lost - correction + k * LN2_LOW + error / x);
}

// π/2 in three parts of 33 bits (products with |n| < 2^20 are exact) and a remainder
const HALF_PI_1 = 1.5707963267341256;
const HALF_PI_2 = 6.077100506303966e-11;
const HALF_PI_3 = 2.0222662487111665e-21;
const HALF_PI_4 = 8.4784276603689e-32;

/** sin x for finite |x| < 2^60, x in radians; NaN for a non-finite x. */
export function sin(x: number): number {
  return sinOfTurns(x, 0);
}

/** cos x for finite |x| < 2^60, x in radians; NaN for a non-finite x. */
export function cos(x: number): number {
  return sinOfTurns(x, 1);
}

/** sin(x + quarterTurns·π/2). */
function sinOfTurns(x: number, quarterTurns: number): number {
  if (x - x !== 0) return Number.NaN;
  // x = n·π/2 + r, |r| ≤ π/4, with r carried as r + tail
  let n: number;
  let r: number;
  let tail: number;
  if (x > -1.6e6 && x < 1.6e6) {
    n = Math.round(x / (Math.PI / 2));
    const a = x - n * HALF_PI_1;
    const b = a - n * HALF_PI_2;
    const lostInB = a - b - n * HALF_PI_2;
    const c = n * HALF_PI_3 - lostInB;
    r = b - c;
    tail = b - r - c - n * HALF_PI_4;
  } else {
    [n, r, tail] = reduceExactly(x);
  }
  const quadrant = (((n % 4) + 4) % 4) + quarterTurns;
  const magnitude = quadrant % 2 === 0 ? sinSeries(r, tail) : cosSeries(r, tail);
  return quadrant % 4 >= 2 ? -magnitude : magnitude;
}

/** sin(r + tail) for |r| ≤ π/4: r − r³/3! + r⁵/5! − … */
function sinSeries(r: number, tail: number): number {
  const z = r * r;
  let series = -1 / 121645100408832000;
  series = 1 / 355687428096000 + z * series;
  series = -1 / 1307674368000 + z * series;
  series = 1 / 6227020800 + z * series;
  series = -1 / 39916800 + z * series;
  series = 1 / 362880 + z * series;
  series = -1 / 5040 + z * series;
  series = 1 / 120 + z * series;
  series = -1 / 6 + z * series;
  return r + (r * z * series + tail * (1 - z / 2));
}

/** cos(r + tail) for |r| ≤ π/4: 1 − r²/2! + r⁴/4! − … */
function cosSeries(r: number, tail: number): number {
  const z = r * r;
  let series = -1 / 6402373705728000;
  series = 1 / 20922789888000 + z * series;
  series = -1 / 87178291200 + z * series;
  series = 1 / 479001600 + z * series;
  series = -1 / 3628800 + z * series;
  series = 1 / 40320 + z * series;
  series = -1 / 720 + z * series;
  series = 1 / 24 + z * series;
  const half = z / 2;
  const head = 1 - half;
  return head + (1 - head - half + (z * z * series - r * tail));
}

// fixed point with 2^-FRACTION as its unit: exact enough that rounding once to a double is all that is lost
const FRACTION = 160n;
const ONE = 1n << FRACTION;

/** n and r with x = n·π/2 + r + tail, for angles too large for the split constants. */
function reduceExactly(x: number): [n: number, r: number, tail: number] {
  const halfPi = 2n * fixedQuarterPi();
  const value = fixedFromNumber(x);
  let n = value / halfPi;
  let rest = value - n * halfPi;
  if (rest * 2n > halfPi) {
    n += 1n;
    rest -= halfPi;
  } else if (rest * -2n > halfPi) {
    n -= 1n;
    rest += halfPi;
  }
  const r = numberFromFixed(rest);
  return [Number(n % 4n), r, numberFromFixed(rest - fixedFromNumber(r))];
}

/** π/4 in fixed point by Machin's formula, 4·arctan(1/5) − arctan(1/239). */
function fixedQuarterPi(): bigint {
  const arctanOfReciprocal = (k: bigint) => {
    let term = ONE / k;
    let sum = term;
    for (let i = 3n; term !== 0n; i += 2n) {
      term /= -k * k;
      sum += term / i;
    }
    return sum;
  };
  return 4n * arctanOfReciprocal(5n) - arctanOfReciprocal(239n);
}

/** base^exponent for base > 0 and a result within 2^±60, correctly rounded in all but contrived cases. */
export function pow(base: number, exponent: number): number {
  // through BigInt fixed point: slow (about 50 µs) and right, meant for tables made once
  const ln2 = fixedLog(2n * ONE);
  const power = (fixedFromNumber(exponent) * fixedLog(fixedFromNumber(base))) >> FRACTION;
  let k = power / ln2;
  const r = power - k * ln2;
  let term = ONE;
  let sum = ONE;
  for (let i = 1n; term !== 0n; i++) {
    term = (term * r) / (i << FRACTION);
    sum += term;
  }
  let scaled = numberFromFixed(sum);
  for (; k > 0n; k--) scaled *= 2;
  for (; k < 0n; k++) scaled /= 2;
  return scaled;
}

/** ln of a positive fixed-point number. */
function fixedLog(x: bigint): bigint {
  // x = 2^k·m with 1 ≤ m < 2, ln m = 2·artanh((m − 1)/(m + 1)); ln 2 is the same series at m = 2
  const artanhSeries = (m: bigint) => {
    const s = ((m - ONE) << FRACTION) / (m + ONE);
    const z = (s * s) >> FRACTION;
    let term = s;
    let sum = s;
    for (let i = 3n; term !== 0n; i += 2n) {
      term = (term * z) >> FRACTION;
      sum += term / i;
    }
    return 2n * sum;
  };
  const k = BigInt(x.toString(2).length - 1) - FRACTION;
  const m = k >= 0n ? x >> k : x << -k;
  return artanhSeries(m) + (k === 0n ? 0n : k * artanhSeries(2n * ONE));
}

function fixedFromNumber(x: number): bigint {
  const scale = 2 ** 52;
  // split so that both parts convert exactly: the integer part, and a fraction with at most 160 bits
  const whole = Math.trunc(x);
  let fraction = x - whole;
  let fixed = BigInt(whole) << FRACTION;
  for (let shift = FRACTION - 52n; shift > 0n && fraction !== 0; shift -= 52n) {
    const digit = Math.trunc(fraction * scale);
    fixed += BigInt(digit) << shift;
    fraction = fraction * scale - digit;
  }
  return fixed;
}

/** The double nearest to a fixed-point number (ties away from zero, which no irrational value meets). */
function numberFromFixed(x: bigint): number {
  const magnitude = x < 0n ? -x : x;
  if (magnitude === 0n) return 0;
  const excess = BigInt(magnitude.toString(2).length) - 53n;
  const rounded = excess > 0n ? (magnitude + (1n << (excess - 1n))) >> excess : magnitude;
  let value = Number(rounded);
  let k = (excess > 0n ? excess : 0n) - FRACTION;
  for (; k > 0n; k--) value *= 2;
  for (; k < 0n; k++) value /= 2;
  return x < 0n ? -value : value;
}
