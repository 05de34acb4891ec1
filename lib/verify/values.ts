/** Numbers for tests: made from a seed, so that a counterexample is a few dimensions and one number. */

import { exp, log } from '../../reference/elementary.ts';
import { philox4x32 } from '../../reference/philox.ts';
import { sizeOf, type Tensor } from '../../reference/tensor.ts';

/** What kind of numbers fill the tensors of a test case. */
export const VALUE_FAMILIES = [
  'usual', // around −2 to 2
  'wide', // magnitudes from 1e-30 to 1e30
  'cancelling', // pairs that nearly cancel
  'sparse', // mostly zeros, some subnormal in float32
  'oneHot', // a single 1
  'dyadic', // small multiples of 1/8: sums and products of a few are exact in float32
] as const;
export type ValueFamily = (typeof VALUE_FAMILIES)[number];

/** Draws uniform numbers from a seed: the same calls in the same order give the same numbers. */
export class Draws {
  readonly #key: readonly [number, number];
  #count = 0;

  constructor(seed: number) {
    this.#key = [seed >>> 0, 0x5e15ca4];
  }

  /** A number in [0, 1). */
  uniform(): number {
    const [high, low] = philox4x32([this.#count++, 0, 0, 2], this.#key);
    return ((high >>> 5) * 2 ** 26 + (low >>> 6)) / 2 ** 53;
  }

  between(low: number, high: number): number {
    return low + (high - low) * this.uniform();
  }

  /** A whole number in [0, below). */
  below(below: number): number {
    return Math.floor(this.uniform() * below);
  }

  /** A tensor of one family. All values are float32 numbers, so that both precisions get the same. */
  tensor(family: ValueFamily, ...shape: number[]): Tensor {
    const data = new Float64Array(sizeOf(shape));
    const hot = this.below(Math.max(data.length, 1));
    for (let i = 0; i < data.length; i++) {
      data[i] = Math.fround(this.#value(family, i === hot, i % 2 === 1 ? data[i - 1] : undefined));
    }
    return { data, shape };
  }

  /** A tensor of numbers in a range, float32 all of them. */
  tensorBetween(low: number, high: number, ...shape: number[]): Tensor {
    const data = new Float64Array(sizeOf(shape));
    for (let i = 0; i < data.length; i++) data[i] = Math.fround(this.between(low, high));
    return { data, shape };
  }

  #value(family: ValueFamily, isHot: boolean, before: number | undefined): number {
    const sign = this.uniform() < 0.5 ? -1 : 1;
    switch (family) {
      case 'usual':
        return this.between(-2, 2);
      case 'wide':
        return sign * exp(this.between(-30, 30) * log(10));
      case 'cancelling':
        return before === undefined ? this.between(-2, 2) : -before * (1 + 1e-6 * this.uniform());
      case 'sparse': {
        const kind = this.uniform();
        return kind < 0.7 ? 0 : kind < 0.8 ? sign * 1e-40 : this.between(-2, 2);
      }
      case 'oneHot':
        return isHot ? 1 : 0;
      case 'dyadic':
        return (this.below(17) - 8) / 8;
    }
  }
}
