/** Drawing quickly is drawing: every bit of drawToken, for every step, precision and tie. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Distribution, Drawer } from '../lib/decode/distribution.ts';
import { drawToken } from '../lib/decode/drawToken.ts';
import { fromLargest, kthLargest } from '../lib/decode/largest.ts';
import { type DecodePlan, type GenerateOptions, planDecoding } from '../lib/decode/options.ts';
import { Draws } from '../lib/verify/values.ts';
import { chooseToken, filterLogits } from '../reference/sampling.ts';
import type { Vector } from '../reference/tensor.ts';
import { RUNS, SEED } from './support.ts';

/** Logits with ties, far outliers and both signs. */
function someLogits(draws: Draws, length: number, isSingle: boolean): Vector {
  const wide = [1, 8, 60][draws.below(3)];
  const step = [0, 0.5, 4][draws.below(3)];
  const data = Float64Array.from({ length }, () => {
    const x = draws.between(-wide, wide);
    return step === 0 ? x : step * Math.round(x / step);
  });
  return isSingle ? Float32Array.from(data) : data;
}

function someOptions(draws: Draws, vocabSize: number): GenerateOptions {
  const maybe = (share: number) => draws.uniform() < share;
  return {
    seed: draws.below(1000),
    temperature: [0, 1, 0.3, 2.5, 1e-3][draws.below(5)],
    ...(maybe(0.3) && {
      logitBias: { [draws.below(vocabSize)]: [3, -2, Number.NEGATIVE_INFINITY][draws.below(3)] },
    }),
    ...(maybe(0.3) && { repetitionPenalty: [0.8, 1.7][draws.below(2)] }),
    ...(maybe(0.4) && { topK: 1 + draws.below(vocabSize + 3) }),
    ...(maybe(0.4) && { topP: [1e-6, 0.5, 0.9, 1 - 1e-7][draws.below(4)] }),
    ...(maybe(0.3) && { minP: [1e-4, 0.1, 1][draws.below(3)] }),
  };
}

/** What a draw gives, or the message that it throws. */
function outcome(draw: () => object): string {
  try {
    const { token, logprob, filteredLogprob } = draw() as ReturnType<typeof drawToken>;
    return JSON.stringify([token, bitsOf(logprob), bitsOf(filteredLogprob)]);
  } catch (error) {
    return (error as Error).message;
  }
}

const bitsOf = (x: number) => new BigUint64Array(Float64Array.of(x).buffer)[0].toString(16);

function expectSame(
  drawer: Drawer,
  plan: DecodePlan,
  vocabSize: number,
  draws: Draws,
  logits: Vector,
) {
  const isShared = draws.below(2) === 0;
  for (let sample = 0; sample < 4; sample++) {
    const seen = Array.from({ length: 3 }, () => draws.below(vocabSize));
    // shared logits have the same tokens before them
    const before = isShared ? [1 % vocabSize] : seen;
    const place = { prompt: 2, sample, position: 5, seen: before, logits };
    const got = outcome(() => drawer.draw(place, isShared));
    expect(got).toBe(outcome(() => drawToken(place, plan, vocabSize)));
  }
}

it.each([true, false])('draws the bits of drawToken (float32: %s)', (isSingle) => {
  fc.assert(
    fc.property(fc.nat(0x7fffffff), fc.integer({ min: 1, max: 40 }), (seed, vocabSize) => {
      const draws = new Draws(seed);
      const plan = planDecoding(someOptions(draws, vocabSize), vocabSize);
      const drawer = new Drawer(plan, vocabSize);
      const rows = vocabSize + draws.below(4);
      // one after another from the same memory
      for (let i = 0; i < 3; i++) {
        expectSame(drawer, plan, vocabSize, draws, someLogits(draws, rows, isSingle));
      }
    }),
    { seed: SEED, numRuns: 10 * RUNS },
  );
});

it.each([true, false])('of a large vocabulary too (float32: %s)', (isSingle) => {
  const draws = new Draws(SEED);
  const vocabSize = 5000;
  for (const options of [{ topK: 1500 }, { topK: 40 }, { topP: 0.999 }, { minP: 1e-9 }, {}]) {
    const plan = planDecoding({ temperature: 0.9, ...options }, vocabSize);
    const drawer = new Drawer(plan, vocabSize);
    expectSame(drawer, plan, vocabSize, draws, someLogits(draws, vocabSize + 8, isSingle));
  }
});

it.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
  'a logit of %d is refused as drawToken refuses it, wherever it stands',
  (bad) => {
    for (const isShared of [true, false]) {
      for (let at = 0; at < 6; at++) {
        const plan = planDecoding({ temperature: 1 }, 4);
        const logits = new Float32Array(6).fill(1);
        logits[at] = bad;
        const place = { prompt: 0, sample: 0, position: 9, seen: [], logits };
        const drawer = new Drawer(plan, 4);
        const want = outcome(() => drawToken(place, plan, 4));
        expect(want).toMatch(/^logits: expected finite numbers, got .* at position 9/);
        for (let again = 0; again < 2; again++) {
          expect(outcome(() => drawer.draw(place, isShared))).toBe(want);
        }
      }
    }
  },
);

it('u at its ends never draws a token that was removed', () => {
  const vocabSize = 6;
  const plan = planDecoding({ topK: 2 }, vocabSize);
  const logits = Float64Array.of(-9, -8, 3, -7, 3, -6);
  const distribution = new Distribution();
  distribution.fill({ prompt: 0, sample: 0, position: 1, seen: [], logits }, plan, vocabSize);
  const row = { data: logits, shape: [1, vocabSize] };
  const filtered = filterLogits({ logits: row, steps: plan.steps });
  for (const u of [0, 0.5 - 2 ** -53, 0.5, 1 - 2 ** -53]) {
    const want = chooseToken({ ...filtered, u: [u] });
    const { token, filteredLogprob } = distribution.choose(u);
    expect([token, filteredLogprob]).toEqual([want.tokens[0], want.logprobs[0]]);
  }
});

it('shared logits that were refused do not spoil those before', () => {
  const plan = planDecoding({ temperature: 1e-310 }, 3);
  const drawer = new Drawer(plan, 3);
  const place = (logits: Vector) => ({ prompt: 0, sample: 0, position: 1, seen: [], logits });
  const good = place(Float64Array.of(0, 0, 0));
  const want = drawer.draw(good, true);
  // they overflow when they are divided, after memory was written to
  expect(() => drawer.draw(place(Float64Array.of(1, 5, 2)), true)).toThrow(/got Infinity/);
  expect(drawer.draw(good, true)).toEqual(want);
});

describe('the largest of a row', () => {
  it('come in order, of equals the lower index first, and as the k-th', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -5, max: 5 }), { minLength: 1 }), (values) => {
        const row = Float64Array.from(values);
        const want = [...row.keys()].sort((a, b) => row[b] - row[a] || a - b);
        expect([...fromLargest(row)]).toEqual(want);
        want.forEach((index, i) => {
          expect(kthLargest(row, i + 1)).toBe(row[index]);
        });
      }),
      { seed: SEED, numRuns: RUNS },
    );
  });
});
