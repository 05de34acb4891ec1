/**
 * Sums of products with exact rational coefficients, in one form each.
 *
 *   Σ c · √r · a^i · b^j …   with c rational, r a whole number without small squares, a and b atoms: letters, or
 *                            expressions that are not looked into
 */

import {
  add,
  bitsOf,
  formatRational,
  invert,
  multiply,
  NO_VALUE,
  ONE,
  power,
  type Rational,
  ratio,
  takeOutSquares,
  ZERO,
} from './rational.ts';

/** One product; the sum's map has it by √r and its atoms. */
interface Term {
  readonly coefficient: Rational;
  readonly radicand: bigint;
  /** Whole powers, none of them 0, by atom. */
  readonly atoms: ReadonlyMap<string, number>;
}

/** A sum of terms, none of them 0. */
export type Sum = ReadonlyMap<string, Term>;

const MOST_TERMS = 64;
const MOST_POWER = 64;

export function constant(coefficient: Rational): Sum {
  return sumOf([{ coefficient, radicand: 1n, atoms: new Map() }]);
}

export function atom(name: string, exponent = 1): Sum {
  return sumOf([{ coefficient: ONE, radicand: 1n, atoms: new Map([[name, exponent]]) }]);
}

/** The number that a sum is; undefined when it is none. */
export function rationalOf(sum: Sum): Rational | undefined {
  if (sum.size === 0) return ZERO;
  const [term] = sum.values();
  return sum.size === 1 && term.radicand === 1n && term.atoms.size === 0
    ? term.coefficient
    : undefined;
}

export function addSums(a: Sum, b: Sum): Sum {
  return sumOf([...a.values(), ...b.values()]);
}

export function negate(a: Sum): Sum {
  return multiplySums(a, constant({ n: -1n, d: 1n }));
}

export function multiplySums(a: Sum, b: Sum): Sum {
  if (a.size * b.size > MOST_TERMS) throw NO_VALUE;
  const terms: Term[] = [];
  for (const x of a.values()) for (const y of b.values()) terms.push(multiplyTerms(x, y));
  return sumOf(terms);
}

/** a^k for a whole k. A sum of several terms is multiplied out, or is one atom when it divides. */
export function powerOfSum(a: Sum, exponent: number): Sum {
  const rational = rationalOf(a);
  if (rational) return constant(power(rational, exponent));
  if (Math.abs(exponent) > MOST_POWER) throw NO_VALUE;
  if (exponent === 0) return constant(ONE);
  if (exponent > 0) {
    let product = a;
    for (let i = 1; i < exponent; i++) product = multiplySums(product, a);
    return product;
  }
  if (a.size === 1) {
    const [term] = a.values();
    return powerOfSum(sumOf([invertTerm(term)]), -exponent);
  }
  // the first term of what is divided by has the coefficient 1
  const [lead] = sorted(a);
  const monic = multiplySums(a, constant(invert(lead.coefficient)));
  const scale = constant(power(lead.coefficient, exponent));
  return multiplySums(scale, atom(`(${formatSum(monic)})`, exponent));
}

/** √a where a is a number that is not negative; undefined for others. */
export function rootOfSum(a: Sum): Sum | undefined {
  const number = rationalOf(a);
  if (!number || number.n < 0n) return undefined;
  const { outside, inside } = takeOutSquares(number.n * number.d);
  return sumOf([{ coefficient: ratio(outside, number.d), radicand: inside, atoms: new Map() }]);
}

/** The one way in which a sum is written. Reading it gives the same sum. */
export function formatSum(sum: Sum): string {
  const number = rationalOf(sum);
  if (number) return formatRational(number);
  return sorted(sum)
    .map((term, i) => formatTerm(term, i === 0))
    .join('');
}

function formatTerm({ coefficient, radicand, atoms }: Term, isFirst: boolean): string {
  const factors = factorsOf(radicand, atoms);
  const isNegative = coefficient.n < 0n;
  const size = { n: isNegative ? -coefficient.n : coefficient.n, d: coefficient.d };
  const number = formatRational(size);
  const sign = isNegative ? '-' : isFirst ? '' : '+';
  return sign + (number === '1' && factors.length > 0 ? factors : [number, ...factors]).join('*');
}

function factorsOf(radicand: bigint, atoms: ReadonlyMap<string, number>): string[] {
  const names = [...atoms.keys()].sort();
  const powers = names.map((name) =>
    atoms.get(name) === 1 ? name : `${name}^{${atoms.get(name)}}`,
  );
  return radicand === 1n ? powers : [`\\sqrt{${radicand}}`, ...powers];
}

/** The terms of a sum, higher powers first, the number last; the same order for the same terms. */
function sorted(sum: Sum): Term[] {
  const keys = [...sum.keys()];
  const degrees = new Map(
    keys.map((key) => [key, [...(sum.get(key)?.atoms.values() ?? [])].reduce((a, b) => a + b, 0)]),
  );
  keys.sort((a, b) => (degrees.get(b) ?? 0) - (degrees.get(a) ?? 0) || (a < b ? -1 : 1));
  if (keys.includes('')) keys.push(...keys.splice(keys.indexOf(''), 1));
  return keys.flatMap((key) => sum.get(key) ?? []);
}

function sumOf(terms: readonly Term[]): Sum {
  const sum = new Map<string, Term>();
  for (const term of terms) {
    const key = factorsOf(term.radicand, term.atoms).join('*');
    const before = sum.get(key)?.coefficient ?? ZERO;
    const coefficient = add(before, term.coefficient);
    if (coefficient.n === 0n) sum.delete(key);
    else sum.set(key, { ...term, coefficient });
  }
  return sum;
}

function multiplyTerms(a: Term, b: Term): Term {
  const { outside, inside } = takeOutSquares(a.radicand * b.radicand);
  const atoms = new Map(a.atoms);
  for (const [name, exponent] of b.atoms) {
    const sum = (atoms.get(name) ?? 0) + exponent;
    if (Math.abs(sum) > MOST_POWER) throw NO_VALUE;
    if (sum === 0) atoms.delete(name);
    else atoms.set(name, sum);
  }
  const coefficient = multiply(multiply(a.coefficient, b.coefficient), ratio(outside, 1n));
  return { coefficient, radicand: inside, atoms };
}

/** 1/(c·√r·a) = √r/(c·r·a) */
function invertTerm({ coefficient, radicand, atoms }: Term): Term {
  if (bitsOf(radicand) > 512) throw NO_VALUE;
  return {
    coefficient: invert(multiply(coefficient, ratio(radicand, 1n))),
    radicand,
    atoms: new Map([...atoms].map(([name, exponent]) => [name, -exponent])),
  };
}
