/**
 * Random numbers that need no generator state: any draw of any chain can be made again alone.
 *
 * Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3") turns a 128-bit
 * counter and a 64-bit key into four 32-bit words. We put into the counter *which* draw it is.
 */

import { ConfigError } from './errors.ts';

/** What a draw is for; draws for different purposes never share a number. */
export const PURPOSES = {
  token: 0,
  weights: 1,
  values: 2,
  problems: 3,
  subsets: 4,
  resamples: 5,
} as const;

/** Which random number is meant. Every field is a whole number in [0, 2³²), seed in [0, 2⁵³). */
export interface Draw {
  seed: number;
  /** Index of the prompt or problem. */
  problem: number;
  /** Index of the chain among those of one problem. */
  sample: number;
  /** Position in the sequence of the token that is drawn, counted from 0 with the prompt. */
  position: number;
  purpose?: keyof typeof PURPOSES;
}

/**
 * The uniform number in [0, 1) of one draw, with 53 random bits.
 * @throws ConfigError when a field is not a whole number in its range.
 */
export function uniform({ seed, problem, sample, position, purpose = 'token' }: Draw): number {
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new ConfigError(`seed: expected a whole number in [0, 2^53), got ${seed}`);
  }
  for (const [name, value] of Object.entries({ problem, sample, position })) {
    if (!Number.isInteger(value) || value < 0 || value >= 2 ** 32) {
      throw new ConfigError(`${name}: expected a whole number in [0, 2^32), got ${value}`);
    }
  }
  const key = [seed % 2 ** 32, Math.floor(seed / 2 ** 32)] as const;
  const [high, low] = philox4x32([problem, sample, position, PURPOSES[purpose]], key);
  return ((high >>> 5) * 2 ** 26 + (low >>> 6)) / 2 ** 53;
}

/**
 * Ten rounds of Philox on four 32-bit counter words and two 32-bit key words; each round multiplies two
 * of the words by constants and mixes the halves of the products into the others.
 *
 * @example philox4x32([0, 0, 0, 0], [0, 0]) // [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]
 */
export function philox4x32(
  counter: readonly [number, number, number, number],
  key: readonly [number, number],
): [number, number, number, number] {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < 10; round++) {
    const [low0, low1] = [Math.imul(0xd2511f53, c0), Math.imul(0xcd9e8d57, c2)];
    const next0 = highWord(0xcd9e8d57, c2) ^ c1 ^ k0;
    c2 = highWord(0xd2511f53, c0) ^ c3 ^ k1;
    [c0, c1, c3] = [next0, low1, low0];
    k0 = (k0 + 0x9e3779b9) | 0; // the golden ratio; all words count modulo 2³²
    k1 = (k1 + 0xbb67ae85) | 0; // √3 − 1
  }
  return [c0 >>> 0, c1 >>> 0, c2 >>> 0, c3 >>> 0];
}

/** The high 32 bits of a product of two 32-bit numbers, by 16-bit halves: every sum below is below 2³². */
function highWord(a: number, b: number): number {
  const [aHigh, aLow, bHigh, bLow] = [a >>> 16, a & 0xffff, b >>> 16, b & 0xffff];
  const cross = (Math.imul(aHigh, bLow) + (Math.imul(aLow, bLow) >>> 16)) | 0;
  const middle = (Math.imul(aLow, bHigh) + (cross & 0xffff)) | 0;
  return (Math.imul(aHigh, bHigh) + (cross >>> 16) + (middle >>> 16)) | 0;
}
