/** What the specs of the losses share: logits of a known reach, how wrong a loss of them may be, rows. */

import fc from 'fast-check';
import { Draws } from '../fixtures/arbitraries.ts';
import type { Tensor } from '../reference/tensor.ts';
import { SEED } from './support.ts';

export const UNIT = 2 ** -53;
/** Logits are drawn from −REACH to REACH and divided by temperatures of ½ or more. */
export const REACH = 4;
/** ln p of a token and the sum of such sums over tokens, for the at most 6 tokens that are drawn. */
const LOG_P = 2 * (2 * REACH) + Math.log(6);
/**
 * How far a computed loss may be from the true one. Summing at most 6 exponentials and taking the logarithm
 * rounds some 16 times, what is left over then some 16 times more, each time by a unit of LOG_P at most; a
 * mean over at most 6 places, whose sum has the size of its terms, by 6 units more.
 */
export const NOISE = 40 * UNIT * LOG_P;
/** Tries a law on what a seed draws; a failure prints the seed. */
export function forAll(runs: number, law: (draws: Draws) => void) {
  const property = fc.property(fc.nat(0x7fffffff), (seed) => law(new Draws(seed)));
  fc.assert(property, { seed: SEED, numRuns: runs });
}

export const logits = (draws: Draws, ...shape: number[]) =>
  draws.tensorBetween(-REACH, REACH, ...shape);

export const row = (t: Tensor, i: number) => {
  const width = t.shape[t.shape.length - 1];
  return Array.from(t.data.subarray(i * width, (i + 1) * width));
};

/** The same tensor with one row filled. */
export function withRow(t: Tensor, i: number, value: number): Tensor {
  const width = t.shape[t.shape.length - 1];
  const data = t.data.slice().fill(value, i * width, (i + 1) * width);
  return { data, shape: t.shape };
}

export const zerosOf = (t: Tensor) => Array.from(t.data, () => 0);
