/** Subsets: all of a size, or random ones that a seed makes, whoever asks and in whatever order. */

import { PURPOSES, philox4x32 } from '../../reference/philox.ts';

/** Which random numbers are meant. */
export interface Stream {
  /** A whole number in [0, 2⁵³). */
  readonly seed: number;
  /** Which of the things that need numbers; in [0, 2³²). */
  readonly index: number;
  readonly purpose: 'subsets' | 'resamples';
}

/** Random whole numbers, 128 bits of one counter after the other. */
export class Words {
  readonly #key: readonly [number, number];
  readonly #stream: Stream;
  #block = 0;
  #words: readonly number[] = [];
  #at = 0;

  constructor(stream: Stream) {
    this.#stream = stream;
    this.#key = [stream.seed % 2 ** 32, Math.floor(stream.seed / 2 ** 32)];
  }

  /** A whole number in [0, n), each as likely as the others (Lemire 2019, arXiv 1805.10941). 1 ≤ n ≤ 2²⁰. */
  below(n: number): number {
    for (;;) {
      const word = this.#next();
      const high = Math.floor((word * n) / 2 ** 32); // the product is below 2⁵³: exact
      const low = Math.imul(word, n) >>> 0;
      // 2³² % n of the 2³² words would make some numbers likelier than others
      if (low >= n || low >= 2 ** 32 % n) return high;
    }
  }

  #next(): number {
    if (this.#at === this.#words.length) {
      const { index, purpose } = this.#stream;
      const high = Math.floor(this.#block / 2 ** 32);
      this.#words = philox4x32([index, this.#block, high, PURPOSES[purpose]], this.#key);
      this.#block++;
      this.#at = 0;
    }
    return this.#words[this.#at++];
  }
}

/** Puts `count` of the items, drawn without replacement, in front (Fisher and Yates 1938). In place. */
export function drawInFront(items: Int32Array, count: number, words: Words): void {
  for (let i = 0; i < count; i++) {
    const j = i + words.below(items.length - i);
    const item = items[i];
    items[i] = items[j];
    items[j] = item;
  }
}

/** How many subsets of k of n there are; Infinity where there are more than `most`. */
export function subsetCount(n: number, k: number, most: number): number {
  let count = 1;
  for (let i = 0; i < Math.min(k, n - k); i++) {
    count = (count * (n - i)) / (i + 1); // whole at each step
    if (count > most) return Number.POSITIVE_INFINITY;
  }
  return count;
}

/** Visits every subset of k of the numbers 0 … n − 1, each in ascending order. The array is used again. */
export function eachSubset(n: number, k: number, visit: (subset: Int32Array) => void): void {
  const subset = Int32Array.from({ length: k }, (_, i) => i);
  for (;;) {
    visit(subset);
    let i = k - 1;
    while (i >= 0 && subset[i] === n - k + i) i--;
    if (i < 0) return;
    subset[i]++;
    for (let j = i + 1; j < k; j++) subset[j] = subset[j - 1] + 1;
  }
}
