/** The choices that make a problem, by counter: any problem can be made alone, in any order. */

import { ConfigError } from '../../reference/errors.ts';
import { PURPOSES, philox4x32 } from '../../reference/philox.ts';
import { hashOf } from './split.ts';

/** Where choices are drawn: the same place gives the same choices. */
export interface Place {
  /** Whole number in [0, 2⁵³). */
  seed: number;
  /** Name of the task; tasks share no draws. */
  task: string;
  /** Index of the problem, a whole number in [0, 2³²). */
  index: number;
  /** How many problems were drawn at this index and not kept. */
  attempt: number;
}

/** The choices of one place, one after another. */
export class Draws {
  readonly #key: readonly [number, number];
  readonly #index: number;
  readonly #attempt: number;
  readonly #purpose: number;
  #words: readonly number[] = [];
  #used = 4;
  #block = 0;

  constructor({ seed, task, index, attempt }: Place) {
    this.#key = [seed % 2 ** 32, Math.floor(seed / 2 ** 32)];
    this.#index = index;
    this.#attempt = attempt;
    this.#purpose = (PURPOSES.problems | (hashOf(task) << 8)) >>> 0;
  }

  /** A whole number in [0, below), where below ≤ 2²⁰; off by less than 2⁻¹² of its probability. */
  below(below: number): number {
    return Math.floor((this.#word() * below) / 2 ** 32);
  }

  /** A whole number from low to high, both included. */
  between(low: number, high: number): number {
    return low + this.below(high - low + 1);
  }

  /** True with the given probability, to 2⁻³². */
  chance(probability: number): boolean {
    return this.#word() < probability * 2 ** 32;
  }

  /** One of some things, all alike in probability. */
  pick<Thing>(things: readonly Thing[]): Thing {
    return things[this.below(things.length)];
  }

  /** Some different ones of some things, in a random order. */
  pickSome<Thing>(things: readonly Thing[], count: number): Thing[] {
    const left = [...things];
    return Array.from({ length: count }, () => left.splice(this.below(left.length), 1)[0]);
  }

  /** 32 random bits. */
  #word(): number {
    if (this.#used === 4) {
      this.#words = philox4x32(
        [this.#index, this.#attempt, this.#block++, this.#purpose],
        this.#key,
      );
      this.#used = 0;
    }
    return this.#words[this.#used++];
  }
}

/** @throws ConfigError when a seed or an index is not a whole number in its range. */
export function checkPlace(seed: number, index: number): void {
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new ConfigError(`seed: expected a whole number in [0, 2^53), got ${seed}`);
  }
  if (!Number.isInteger(index) || index < 0 || index >= 2 ** 32) {
    throw new ConfigError(`index: expected a whole number in [0, 2^32), got ${index}`);
  }
}
