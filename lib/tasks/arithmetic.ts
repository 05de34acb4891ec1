/**
 * Sums and products of long numbers, written out as on paper.
 *
 *   47 + 85 ?   7 + 5 + 0 = 12 ; 4 + 8 + 1 = 13 ; # 132
 *               digit, digit and carry from the right; the tens of each sum are the next carry
 *   47 * 85 ?   7 * 5 + 0 = 35 ; 4 * 5 + 3 = 23 ; 47 * 5 = 235 ; …  a partial product for each digit,
 *               and each is added to those before it, digit by digit
 */

import type { Draws } from './draws.ts';
import { chainOf, equation, formOfEquation } from './equations.ts';
import { checkWhole, type Dial, defineTask, dialled, type Task } from './task.ts';

export interface AdditionOptions {
  /** Digits of each number, at least and at most. */
  minDigits: number;
  maxDigits: number;
}

export const ADDITION_PRESETS = {
  tiny: { minDigits: 1, maxDigits: 2 },
  small: { minDigits: 2, maxDigits: 4 },
  base: { minDigits: 4, maxDigits: 8 },
  long: { minDigits: 60, maxDigits: 99 },
} as const satisfies Record<string, AdditionOptions>;

export interface MultiplicationOptions {
  /** Digits of the first number, at least and at most. */
  minDigits: number;
  maxDigits: number;
  /** Digits of the second number, at least and at most: the partial products. */
  minFactorDigits: number;
  maxFactorDigits: number;
  /** Whether products and sums are written digit by digit, with their carries. */
  hasCarries: boolean;
}

export const MULTIPLICATION_PRESETS = {
  tiny: { ...digits(1, 2, 1, 1), hasCarries: true },
  small: { ...digits(2, 2, 2, 2), hasCarries: false },
  base: { ...digits(2, 3, 2, 2), hasCarries: true },
  /** Of 2,000 chains: 532 to 1,052 words, median 822. */
  long: { ...digits(5, 6, 5, 6), hasCarries: true },
} as const satisfies Record<string, MultiplicationOptions>;

function digits(minDigits: number, maxDigits: number, minFactor: number, maxFactor: number) {
  return { minDigits, maxDigits, minFactorDigits: minFactor, maxFactorDigits: maxFactor };
}

/** So that no number of a chain has more than 100 digits, the longest word that the tokenizer takes. */
const MOST_DIGITS = 99;
const MOST_FACTOR_DIGITS = 50;

/** @throws ConfigError for options out of range. */
export function addition(dial: Dial<AdditionOptions, keyof typeof ADDITION_PRESETS> = {}): Task {
  const { preset, options } = dialled<AdditionOptions, keyof typeof ADDITION_PRESETS>(
    'addition',
    ADDITION_PRESETS,
    dial,
    'base',
  );
  const { minDigits, maxDigits } = options;
  checkWhole('maxDigits', maxDigits, 1, MOST_DIGITS);
  checkWhole('minDigits', minDigits, 1, maxDigits);
  return defineTask({
    name: 'addition',
    preset,
    draw: (draws) => {
      const a = drawNumber(draws, minDigits, maxDigits);
      const b = drawNumber(draws, minDigits, maxDigits);
      const steps: string[] = [];
      const answer = add(a, b, steps);
      return { prompt: `${a} + ${b} ?`, chain: chainOf(steps, answer), answer };
    },
    formOf: formOfEquation,
  });
}

/** @throws ConfigError for options out of range. */
export function multiplication(
  dial: Dial<MultiplicationOptions, keyof typeof MULTIPLICATION_PRESETS> = {},
): Task {
  const { preset, options } = dialled<MultiplicationOptions, keyof typeof MULTIPLICATION_PRESETS>(
    'multiplication',
    MULTIPLICATION_PRESETS,
    dial,
    'base',
  );
  const { minDigits, maxDigits, minFactorDigits, maxFactorDigits, hasCarries } = options;
  checkWhole('maxDigits', maxDigits, 1, MOST_FACTOR_DIGITS);
  checkWhole('minDigits', minDigits, 1, maxDigits);
  checkWhole('maxFactorDigits', maxFactorDigits, 1, MOST_FACTOR_DIGITS);
  checkWhole('minFactorDigits', minFactorDigits, 1, maxFactorDigits);
  return defineTask({
    name: 'multiplication',
    preset,
    draw: (draws) => {
      const a = drawNumber(draws, minDigits, maxDigits);
      const b = drawNumber(draws, minFactorDigits, maxFactorDigits);
      const steps: string[] = [];
      const answer = multiply(a, b, steps, hasCarries);
      return { prompt: `${a} * ${b} ?`, chain: chainOf(steps, answer), answer };
    },
    formOf: formOfEquation,
  });
}

/** A number of some length, all lengths alike in probability, without leading zeros. */
function drawNumber(draws: Draws, minDigits: number, maxDigits: number): string {
  const length = draws.between(minDigits, maxDigits);
  return Array.from({ length }, (_, i) => draws.between(i === 0 && length > 1 ? 1 : 0, 9)).join('');
}

/** The digit of a number at a place counted from the right; 0 beyond its left end. */
function digitAt(number: string, place: number): number {
  return Number(number[number.length - 1 - place] ?? '0');
}

/** Adds from the right, a step for each place. */
function add(a: string, b: string, steps: string[]): string {
  let carry = 0;
  let sum = '';
  for (let place = 0; place < Math.max(a.length, b.length); place++) {
    const [x, y] = [digitAt(a, place), digitAt(b, place)];
    const value = x + y + carry;
    steps.push(equation(`${x} + ${y} + ${carry}`, value));
    carry = value >= 10 ? 1 : 0;
    sum = `${value % 10}${sum}`;
  }
  return carry > 0 ? `${carry}${sum}` : sum;
}

/** Multiplies by one digit from the right, a step for each place. */
function multiplyByDigit(a: string, digit: number, steps: string[]): string {
  let carry = 0;
  let product = '';
  for (let place = 0; place < a.length; place++) {
    const x = digitAt(a, place);
    const value = x * digit + carry;
    steps.push(equation(`${x} * ${digit} + ${carry}`, value));
    carry = Math.floor(value / 10);
    product = `${value % 10}${product}`;
  }
  return withoutZeros(carry > 0 ? `${carry}${product}` : product);
}

/** A partial product for each digit of `b` from the right, added to those before it. */
function multiply(a: string, b: string, steps: string[], hasCarries: boolean): string {
  let total = '0';
  for (let place = 0; place < b.length; place++) {
    const digit = digitAt(b, place);
    const zeros = '0'.repeat(place);
    const partial = withoutZeros(`${multiplyByDigit(a, digit, hasCarries ? steps : [])}${zeros}`);
    steps.push(equation(`${a} * ${withoutZeros(`${digit}${zeros}`)}`, partial));
    if (place === 0) total = partial;
    else {
      const sum = add(total, partial, hasCarries ? steps : []);
      steps.push(equation(`${total} + ${partial}`, sum));
      total = sum;
    }
  }
  return total;
}

function withoutZeros(number: string): string {
  return number.replace(/^0+(?=[0-9])/, '');
}
