/** The elementary functions against exact arithmetic: BigInt fixed point with 1,400 binary places. */

import { describe, expect, it } from 'vitest';
import * as elementary from '../reference/elementary.ts';
import { SEED } from './support.ts';

// every double is a whole multiple of 2^-1074, so all are exact here, with 98 decimal digits to spare
const PLACES = 1400n;
const ONE = 1n << PLACES;
const times = (a: bigint, b: bigint) => (a * b) >> PLACES;

const view = new DataView(new ArrayBuffer(8));

function fixed(x: number): bigint {
  view.setFloat64(0, x);
  const bits = view.getBigUint64(0);
  const exponent = (bits >> 52n) & 0x7ffn;
  const mantissa = (bits & ((1n << 52n) - 1n)) | (exponent > 0n ? 1n << 52n : 0n);
  const value = mantissa << (PLACES - 1074n + (exponent > 0n ? exponent - 1n : 0n));
  return x < 0 ? -value : value;
}

const bitLength = (x: bigint) => {
  const digits = x.toString(16);
  return BigInt(4 * (digits.length - 1) + 32 - Math.clz32(Number.parseInt(digits[0], 16)));
};

/** 2·artanh((m − 1)/(m + 1)) = ln m. */
function series(m: bigint): bigint {
  const s = ((m - ONE) << PLACES) / (m + ONE);
  const z = times(s, s);
  let sum = 0n;
  for (let [term, i] = [s, 1n]; term !== 0n && term !== -1n; i += 2n) {
    sum += term / i;
    term = times(term, z);
  }
  return 2n * sum;
}

const LN2 = series(2n * ONE);
const PI = machin();

/** π = 16·arctan(1/5) − 4·arctan(1/239). */
function machin(): bigint {
  const arctan = (k: bigint) => {
    let sum = 0n;
    for (let [term, i] = [ONE / k, 1n]; term !== 0n; i += 2n) {
      sum += term / i;
      term = -term / (k * k);
    }
    return sum;
  };
  return 16n * arctan(5n) - 4n * arctan(239n);
}

function exactExp(x: bigint): bigint {
  const k = x / LN2;
  const r = x - k * LN2;
  let sum = 0n;
  for (let [term, i] = [ONE, 1n]; term !== 0n && term !== -1n; i++) {
    sum += term;
    term = times(term, r) / i;
  }
  return k >= 0n ? sum << k : sum >> -k;
}

function exactLog(x: bigint): bigint {
  const k = bitLength(x) - PLACES;
  return k * LN2 + series(k >= 0n ? x >> k : x << -k);
}

/** sin(x + quarters·π/2). */
function exactSin(x: bigint, quarters = 0n): bigint {
  const turned = x + (quarters * PI) / 2n;
  const turns = (2n * turned + PI) / (2n * PI);
  const r = turned - turns * PI;
  const z = times(r, r);
  let sum = 0n;
  for (let [term, i] = [r, 1n]; term !== 0n && term !== -1n; i += 2n) {
    sum += term;
    term = -times(term, z) / ((i + 1n) * (i + 2n));
  }
  return turns % 2n === 0n ? sum : -sum;
}

/** How far a double is from the truth, in units of the last place of the truth. */
function ulps(got: number, truth: bigint): number {
  if (!Number.isFinite(got)) return Number.POSITIVE_INFINITY;
  const off = fixed(got) - truth;
  const size = bitLength(truth < 0n ? -truth : truth) - 53n;
  const least = PLACES - 1074n;
  const ulp = 1n << (size > least ? size : least);
  return Number(((off < 0n ? -off : off) * 1_000_000n) / ulp) / 1e6;
}

/** Numbers in [0, 1) from the seed (mulberry32, twice for 53 bits). */
function draws(seed: number): () => number {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  };
  return () => ((next() >>> 5) * 2 ** 26 + (next() >>> 6)) / 2 ** 53;
}

const POINTS = 2200;

/** The point that is off most, over points made from two draws each. */
function worst(off: (x: number) => number, point: (u: number, v: number) => number) {
  const draw = draws(SEED);
  let found = { x: Number.NaN, ulps: -1 };
  for (let i = 0; i < POINTS; i++) {
    const x = point(draw(), draw());
    const here = off(x);
    if (!(here <= found.ulps)) found = { x, ulps: here };
  }
  return found;
}

/** Both signs, every size from 2^low to 2^high. */
const sized = (low: number, high: number) => (u: number, v: number) =>
  (v < 0.5 ? -1 : 1) * (1 + ((2 * v) % 1)) * 2 ** Math.floor(low + u * (high - low));

describe('exact arithmetic', () => {
  it('knows digits of e, ln 10, π and sin 1', () => {
    const digits = (x: bigint) => ((x * 10n ** 40n) >> PLACES).toString();
    expect(digits(exactExp(ONE))).toBe('27182818284590452353602874713526624977572');
    expect(digits(exactLog(10n * ONE))).toBe('23025850929940456840179914546843642076011');
    expect(digits(PI)).toBe('31415926535897932384626433832795028841971');
    expect(digits(exactSin(ONE))).toBe('8414709848078965066525023216302989996225');
  });

  it('measures the distance of neighbouring doubles as one ulp', () => {
    for (const x of [1, 1.5, 3e-300, 5e-324, 7e300, -1.25]) {
      view.setFloat64(0, x);
      view.setBigUint64(0, view.getBigUint64(0) + 1n);
      expect(ulps(view.getFloat64(0), fixed(x))).toBe(1);
      expect(ulps(x, fixed(x))).toBe(0);
    }
  });
});

describe(`at ${POINTS} points`, () => {
  const { exp, log, log1p, sin, cos, pow } = elementary;
  const expOff = (x: number) => ulps(exp(x), exactExp(fixed(x)));
  const sinOff = (x: number) => ulps(sin(x), exactSin(fixed(x)));
  const cosOff = (x: number) => ulps(cos(x), exactSin(fixed(x), 1n));
  const logOff = (x: number) => ulps(log(x), exactLog(fixed(x)));
  const log1pOff = (x: number) => ulps(log1p(x), exactLog(ONE + fixed(x)));

  it.each([
    ['exp from −745 to 709, subnormal results included', expOff, (u: number) => -745 + 1454.7 * u],
    ['exp of small numbers', expOff, sized(-60, 3)],
    ['log of every size', logOff, (u: number, v: number) => Math.abs(sized(-1074, 1023)(u, v))],
    ['log near one', logOff, (u: number, v: number) => 1 + sized(-52, -2)(u, v)],
    ['log1p of small numbers of either sign', log1pOff, sized(-300, 0)],
    ['log1p of large numbers', log1pOff, (u: number, v: number) => Math.abs(sized(0, 1000)(u, v))],
    ['sin of every size up to 2^59', sinOff, sized(-100, 59)],
    ['sin up to 2,000 turns', sinOff, (u: number) => (u - 0.5) * 25_000],
    ['cos of every size up to 2^59', cosOff, sized(-100, 59)],
    ['cos up to 2,000 turns', cosOff, (u: number) => (u - 0.5) * 25_000],
  ])('%s is within 1 ulp of the truth', (_, off, point) => {
    const { x, ulps: distance } = worst(off, point);
    expect(distance, `at ${x}`).toBeLessThanOrEqual(1);
  });

  it('sin and cos next to multiples of π/2 are within 1 ulp of the truth', () => {
    const near = (u: number) => Math.round((u - 0.5) * 2e6) * (Math.PI / 2);
    expect(worst(sinOff, near).ulps).toBeLessThanOrEqual(1);
    expect(worst(cosOff, near).ulps).toBeLessThanOrEqual(1);
  });

  it('pow from 2^−58 to 2^58 is within 1 ulp of the truth', () => {
    const draw = draws(SEED);
    for (let i = 0; i < POINTS; i++) {
      const base = 2 ** (-20 + 40 * draw());
      const exponent = ((2 * draw() - 1) * 58) / Math.max(1, Math.abs(Math.log2(base)));
      const truth = exactExp(times(fixed(exponent), exactLog(fixed(base))));
      expect(ulps(pow(base, exponent), truth), `${base}^${exponent}`).toBeLessThanOrEqual(1);
    }
  });
});

describe('special values', () => {
  const { exp, log, log1p, sin, cos, pow } = elementary;
  const { NaN: nan, POSITIVE_INFINITY: inf } = Number;
  it.each([
    ['exp(0)', exp(0), 1],
    ['exp(−0)', exp(-0), 1],
    ['exp(∞)', exp(inf), inf],
    ['exp(−∞)', exp(-inf), 0],
    ['exp(NaN)', exp(nan), nan],
    ['exp(710)', exp(710), inf],
    ['exp(−746)', exp(-746), 0],
    ['exp(−745)', exp(-745), 5e-324],
    ['log(0)', log(0), -inf],
    ['log(−0)', log(-0), -inf],
    ['log(1)', log(1), 0],
    ['log(−1)', log(-1), nan],
    ['log(∞)', log(inf), inf],
    ['log(NaN)', log(nan), nan],
    ['log1p(0)', log1p(0), 0],
    ['log1p(−0)', log1p(-0), -0],
    ['log1p(−1)', log1p(-1), -inf],
    ['log1p(−2)', log1p(-2), nan],
    ['log1p(∞)', log1p(inf), inf],
    ['log1p(NaN)', log1p(nan), nan],
    ['sin(0)', sin(0), 0],
    ['sin(∞)', sin(inf), nan],
    ['sin(NaN)', sin(nan), nan],
    ['cos(0)', cos(0), 1],
    ['cos(−∞)', cos(-inf), nan],
    ['cos(NaN)', cos(nan), nan],
    ['pow(7, 0)', pow(7, 0), 1],
    ['pow(1, 5.5)', pow(1, 5.5), 1],
    ['pow(2, 10)', pow(2, 10), 1024],
    ['pow(2, −10)', pow(2, -10), 2 ** -10],
    ['pow(10000, 0.5)', pow(10_000, 0.5), 100],
  ])('%s is right', (_, got, want) => {
    expect(got).toBe(want);
  });
});
