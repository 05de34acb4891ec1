import { expect, it } from 'vitest';
import { type Draw, PURPOSES, philox4x32, uniform } from '../reference/philox.ts';

const ONES = 0xffffffff;
const DRAW: Draw = { seed: 5, problem: 3, sample: 2, position: 7 };

/** kat_vectors of Random123, philox4x32 with 10 rounds. */
it.each([
  [[0, 0, 0, 0], [0, 0], '6627e8d5 e169c58d bc57ac4c 9b00dbd8'],
  [[ONES, ONES, ONES, ONES], [ONES, ONES], '408f276d 41c83b0e a20bc7c6 6d5451fd'],
  [
    [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
    [0xa4093822, 0x299f31d0],
    'd16cfe09 94fdcceb 5001e420 24126ea1',
  ],
] as const)('philox4x32 of %j under key %j is what Random123 publishes', (counter, key, want) => {
  const words = philox4x32(counter, key).map((word) => word.toString(16).padStart(8, '0'));
  expect(words.join(' ')).toBe(want);
});

it('a draw puts its place into the counter and its seed into the key', () => {
  const key = [0x9abcdef0, 0x12345] as const;
  const [high, low] = philox4x32([3, 2, 7, PURPOSES.values], key);
  const seed = key[1] * 2 ** 32 + key[0];
  const want = (BigInt(high >>> 5) << 26n) + BigInt(low >>> 6);
  expect(uniform({ ...DRAW, seed, purpose: 'values' }) * 2 ** 53).toBe(Number(want));
});

it('uniform numbers lie in [0, 1) and fill it evenly', () => {
  const counts = new Array<number>(16).fill(0);
  for (let sample = 0; sample < 32_000; sample++) {
    const u = uniform({ ...DRAW, sample });
    expect(u >= 0 && u < 1).toBe(true);
    counts[Math.floor(16 * u)]++;
  }
  const chiSquare = counts.reduce((sum, n) => sum + (n - 2000) ** 2 / 2000, 0);
  expect(chiSquare).toBeLessThan(44.3); // 0.9999 of the distribution with 15 degrees of freedom
});

it('uniform numbers are multiples of 2⁻⁵³ in which every bit varies', () => {
  let ones = 0n;
  let zeros = 0n;
  for (let position = 0; position < 1000; position++) {
    const scaled = uniform({ ...DRAW, position }) * 2 ** 53;
    expect(Number.isInteger(scaled)).toBe(true);
    ones |= BigInt(scaled);
    zeros |= ~BigInt(scaled) & ((1n << 53n) - 1n);
  }
  expect(ones).toBe((1n << 53n) - 1n);
  expect(zeros).toBe((1n << 53n) - 1n);
});

it('another value of any field is another number', () => {
  const places: Draw[] = [DRAW];
  for (const delta of [1, 2 ** 31]) {
    places.push({ ...DRAW, seed: DRAW.seed + delta });
    places.push({ ...DRAW, problem: DRAW.problem + delta });
    places.push({ ...DRAW, sample: DRAW.sample + delta });
    places.push({ ...DRAW, position: DRAW.position + delta });
  }
  places.push({ ...DRAW, seed: DRAW.seed + 2 ** 32 }, { ...DRAW, seed: 2 ** 53 - 1 });
  places.push({ ...DRAW, purpose: 'weights' }, { ...DRAW, purpose: 'values' });
  expect(new Set(places.map(uniform)).size).toBe(places.length);
});

it('the same draw is the same number, and its purpose is token unless said otherwise', () => {
  expect(uniform(DRAW)).toBe(uniform({ ...DRAW, purpose: 'token' }));
});

const BAD = [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY];

it.each(BAD)('a seed of %d is refused', (seed) => {
  expect(() => uniform({ ...DRAW, seed })).toThrow(
    /^seed: expected a whole number in \[0, 2\^53\)/,
  );
});

it('a seed of 2⁵³ is refused', () => {
  expect(() => uniform({ ...DRAW, seed: 2 ** 53 })).toThrow(
    /^seed: expected .* got 9007199254740992/,
  );
});

it.each(['problem', 'sample', 'position'] as const)(
  'a %s that is no whole number below 2³² is refused by name',
  (field) => {
    for (const value of [...BAD, 2 ** 32]) {
      expect(() => uniform({ ...DRAW, [field]: value })).toThrow(
        new RegExp(`^${field}: expected a whole number in \\[0, 2\\^32\\), got`),
      );
    }
    expect(() => uniform({ ...DRAW, [field]: 2 ** 32 - 1 })).not.toThrow();
  },
);
