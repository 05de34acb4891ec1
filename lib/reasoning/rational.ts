/** Exact rational numbers, no larger than an answer needs. */

/** Lowest terms, d > 0. */
export interface Rational {
  readonly n: bigint;
  readonly d: bigint;
}

/** What is thrown, and caught where parsing began, when an answer is no expression or a number grows too large. */
export const NO_VALUE = Symbol('no value');

/** Work for one answer, about a microsecond each, before it is called no expression. */
const MOST_WORK = 4000;
/** Bits of a numerator or denominator: about 1,200 decimal digits. */
const MOST_BITS = 4096;
/** Decimal digits of a written number, and the largest written power of ten. */
const MOST_DIGITS = 1000;

export const ZERO: Rational = { n: 0n, d: 1n };
export const ONE: Rational = { n: 1n, d: 1n };

/** Bits of a whole number. */
export function bitsOf(n: bigint): number {
  return 4 * (n < 0n ? -n : n).toString(16).length;
}

/** Work done since `startWork`: a count of operations, so that it comes out the same on every machine. */
let work = 0;

/** To be called before each answer. */
export function startWork(): void {
  work = 0;
}

function spend(cost: number): void {
  work += cost;
  if (work > MOST_WORK) throw NO_VALUE;
}

/** n/d in lowest terms; throws NO_VALUE for d = 0, for numbers too large, and when the work is too much. */
export function ratio(n: bigint, d: bigint): Rational {
  const [bits, otherBits] = [bitsOf(n), bitsOf(d)];
  if (d === 0n || bits > MOST_BITS || otherBits > MOST_BITS) throw NO_VALUE;
  // Euclid takes steps in proportion to the shorter number, each in proportion to the longer one
  spend(1 + (bits * otherBits) / 50_000);
  const common = commonDivisor(n < 0n ? -n : n, d < 0n ? -d : d);
  const sign = d < 0n ? -1n : 1n;
  return { n: (sign * n) / common, d: (sign * d) / common };
}

export const add = (a: Rational, b: Rational) => ratio(a.n * b.d + b.n * a.d, a.d * b.d);
export const multiply = (a: Rational, b: Rational) => ratio(a.n * b.n, a.d * b.d);
export const invert = (a: Rational) => ratio(a.d, a.n);

/** a to a whole power; sized before it is computed, so that 10^10^10 costs nothing. */
export function power(a: Rational, exponent: number): Rational {
  const times = Math.abs(exponent);
  if (a.d === 1n && (a.n === 0n || a.n === 1n)) {
    if (a.n === 0n && exponent <= 0) throw NO_VALUE;
    return a;
  }
  if (times * Math.max(bitsOf(a.n), bitsOf(a.d)) > 2 * MOST_BITS) throw NO_VALUE;
  const raised = ratio(a.n ** BigInt(times), a.d ** BigInt(times));
  return exponent < 0 ? invert(raised) : raised;
}

/** The number that digits say: `12`, `0.50`, `.5`, `1.5e-3`. Throws NO_VALUE for too many digits. */
export function parseDecimal(text: string): Rational {
  const [mantissa, exponent = '0'] = text.toLowerCase().split('e');
  const [whole, part = ''] = mantissa.split('.');
  if (whole.length + part.length > MOST_DIGITS || exponent.length > 5) throw NO_VALUE;
  const shift = Number(exponent) - part.length;
  if (Math.abs(shift) > MOST_DIGITS) throw NO_VALUE;
  const digits = BigInt(`${whole}${part}` || '0');
  const scale = 10n ** BigInt(Math.abs(shift));
  return shift < 0 ? ratio(digits, scale) : ratio(digits * scale, 1n);
}

/** `3`, `-3` or `-3/4`. */
export function formatRational({ n, d }: Rational): string {
  return d === 1n ? String(n) : `${n}/${d}`;
}

/** √n = outside·√inside for n ≥ 0. Squares of primes below 1,000 are taken out, and a whole square entirely. */
export function takeOutSquares(n: bigint): { outside: bigint; inside: bigint } {
  if (bitsOf(n) > 512) throw NO_VALUE;
  if (n === 0n) return { outside: 0n, inside: 1n };
  if (n > 1n) spend(100);
  let [outside, inside] = [1n, n];
  for (let p = 2n; p < 1000n && p * p <= inside; p++) {
    while (inside % (p * p) === 0n) {
      inside /= p * p;
      outside *= p;
    }
  }
  const root = wholeRoot(inside);
  return root * root === inside ? { outside: outside * root, inside: 1n } : { outside, inside };
}

/** ⌊√n⌋ by Newton's method from above. */
function wholeRoot(n: bigint): bigint {
  let root = 1n << BigInt(Math.ceil(bitsOf(n) / 2) + 1);
  for (;;) {
    const next = (root + n / root) >> 1n;
    if (next >= root) return root;
    root = next;
  }
}

function commonDivisor(a: bigint, b: bigint): bigint {
  while (b !== 0n) [a, b] = [b, a % b];
  return a;
}
