/** A model that writes as a judge: how probably it would have written a chain, step by step. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { collect } from '../lib/decode/events.ts';
import { generate } from '../lib/decode/generate.ts';
import { score } from '../lib/decode/score.ts';
import { loadModel } from '../lib/loadModel.ts';
import { loadJudge, loadReward, scoreChains } from '../lib/reward/index.ts';
import { likelihoods } from '../lib/reward/likelihoods.ts';
import { tasksNamed } from '../lib/train/taskData.ts';
import { path, RUNS, SEED, TINY_STORIES } from './support.ts';

const TEACHER = path('fixtures/models/base-teacher');
const prompt = '[MAX 3 [MIN 7 5 ] ]';

describe('a chain is as probable', () => {
  it('as its tokens one after the other, to the end of each step and to its end', async () => {
    const [judge, model] = [await loadJudge(TEACHER), await loadModel(TEACHER)];
    const chains = await collect(generate(model, [prompt], { samples: 6, seed: 1, maxTokens: 60 }));
    const given = model.tokenizer?.encode(prompt) ?? [];
    const scored = await scoreChains(
      judge,
      chains.map(({ tokens }) => ({ prompt, tokens })),
    );
    for (const [i, { tokens, text }] of chains.entries()) {
      const { logprobs } = await score(model, [...given, ...tokens], { backend: 'reference' });
      const own = logprobs.slice(given.length).map(Number);
      const upTo = (end: number) => Math.exp(own.slice(0, end).reduce((sum, x) => sum + x, 0));
      const ends = tokens.flatMap((token, k) =>
        model.tokenizer?.decode([token]).trim() === ';' ? [k + 1] : [],
      );
      expect(ends).toHaveLength(text.split(';').length - 1);
      const want = [...ends, tokens.length].map(upTo);
      expect(scored[i].steps).toHaveLength(want.length);
      // float32 logits of about 20: each ln p is off by some 20 ulp, and so is their sum by as many as there are
      const off = tokens.length * 20 * 2 ** -20;
      scored[i].steps.forEach((got, k) => {
        expect(Math.abs(got / want[k] - 1)).toBeLessThan(off);
      });
      expect(scored[i].outcome).toBe(scored[i].steps.at(-1));
    }
  });

  it('as any other if all logits are alike, the prompt and padded rows of no weight', () => {
    const places = fc.record({
      begin: fc.integer({ min: 1, max: 5 }),
      own: fc.array(fc.nat(6), { minLength: 1, maxLength: 9 }),
      isEnded: fc.boolean(),
    });
    fc.assert(
      fc.property(places, ({ begin, own, isEnded }) => {
        const tokens = [...new Array<number>(begin).fill(0), ...own];
        const stepEnds = own.flatMap((token, i) => (token === 6 ? [begin + i] : []));
        const logits = new Float64Array(tokens.length * 9)
          .fill(3)
          .map((x, i) => (i % 9 > 6 ? 99 : x));
        const chain = { tokens, begin, stepEnds, isEnded };
        const { outcome, steps } = likelihoods(chain, { logits, vocabSize: 7, vocabRows: 9 }, 0);
        const want = [
          ...stepEnds.map((end) => 7 ** (begin - end - 1)),
          isEnded ? 7 ** -own.length : 0,
        ];
        expect(steps).toHaveLength(want.length);
        steps.forEach((got, i) => {
          expect(Math.abs(got - want[i])).toBeLessThanOrEqual(1e-12 * want[i]);
        });
        expect(outcome).toBe(steps.at(-1));
      }),
      { seed: SEED, numRuns: RUNS },
    );
  });
});

it('a right chain is more probable to the bundled verifier than one with a wrong digit', async () => {
  const judge = await loadJudge(path('fixtures/models/base-verifier'));
  const [task] = tasksNamed(['listops-cot:base']);
  const problems = Array.from({ length: 12 }, (_, i) => task.problem(77, i, 'test'));
  const wrongly = (chain: string) => chain.replace(/= (\d)/, (_, n) => `= ${(Number(n) + 3) % 10}`);
  const asked = problems.flatMap(({ prompt: given, chain }) => [
    { prompt: given, text: ` ${chain}` },
    { prompt: given, text: ` ${wrongly(chain)}` },
    { prompt: given, text: ` ${chain}`.slice(0, -2), finishReason: 'length' },
  ]);
  const scores = await scoreChains(judge, asked);
  problems.forEach((_, i) => {
    const [right, wrong, cut] = scores.slice(3 * i, 3 * i + 3);
    expect(right.steps[0]).toBeGreaterThan(20 * wrong.steps[0]);
    expect(right.outcome).toBeGreaterThan(wrong.outcome);
    expect(cut.outcome).toBe(0);
    expect(cut.steps.slice(0, -1)).toEqual(right.steps.slice(0, -1));
  });
});

it('a model of other words has an outcome alone, and is no reward model', async () => {
  const judge = await loadJudge(TINY_STORIES);
  const [{ outcome, steps }] = await scoreChains(judge, [
    { prompt: 'Once upon a time', text: ', there was ; a' },
  ]);
  expect(steps).toEqual([outcome]);
  expect(outcome).toBeGreaterThan(0);
  await expect(loadReward(TINY_STORIES)).rejects.toMatchObject({ code: 'UnsupportedModel' });
});

it('weights that are not finite end it with a code', () => {
  const logits = new Float32Array(4).fill(Number.NaN);
  const chain = { tokens: [0, 1], begin: 1, stepEnds: [], isEnded: true };
  expect(() => likelihoods(chain, { logits, vocabSize: 2, vocabRows: 2 }, 3)).toThrow(
    expect.objectContaining({ code: 'NonFiniteScore', message: expect.stringMatching(/chain 3/) }),
  );
});
