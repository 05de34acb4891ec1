/** Sampling in turns: one seed, one result, whatever the order, the budget, the rows, and what was there before. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { localEngine } from '../lib/decode/localEngine.ts';
import type { ReasoningProblem } from '../lib/reasoning/problems.ts';
import {
  placesInTurn,
  type SampleChainsOptions,
  type SampledChain,
  sampleChains,
} from '../lib/reasoning/sampleChains.ts';
import { type Fake, type FakeOptions, fake, ragged } from './fakeExecutor.ts';
import { RUNS, SEED } from './support.ts';

const PROBLEMS = ragged(3, 1, 4, 3, 2).map(
  (prompt, id): ReasoningProblem => ({
    ...{ id, question: '', prompt },
    judge: () => ({ answer: null }),
  }),
);

async function sampled(
  options: Partial<SampleChainsOptions>,
  from: Fake | FakeOptions = {},
): Promise<SampledChain[]> {
  const { loaded, executor } = 'executor' in from ? from : fake(from);
  const chains: SampledChain[] = [];
  const engine = localEngine(loaded, executor);
  const own = { samples: 6, maxTokens: 7, stopTokens: [2, 5], seed: 4, ...options };
  for await (const chain of sampleChains(engine, PROBLEMS, own)) chains.push(chain);
  return chains;
}

/** Without what a clock says, in one order. */
const contents = (chains: readonly SampledChain[]) =>
  chains
    .map(({ seconds: _, ...rest }) => rest)
    .sort((a, b) => a.problem - b.problem || a.sample - b.sample);

const doneOf = (chains: readonly SampledChain[]): NonNullable<SampleChainsOptions['done']> => ({
  has: (problem, sample) => chains.some((one) => one.problem === problem && one.sample === sample),
  spent: (problem) => {
    const own = chains.filter((one) => problem === undefined || one.problem === problem);
    return {
      seconds: Math.max(0, ...own.map(({ seconds }) => seconds)),
      tokens: own.reduce((sum, { tokens }) => sum + tokens, 0),
      samples: own.length,
    };
  },
});

const WHOLE = contents(await sampled({}));

describe('chains', () => {
  it('are the same whatever the turns, the rows and the kind of budget', async () => {
    expect(WHOLE).toHaveLength(30);
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          turn: fc.integer({ min: 1, max: 9 }),
          maxRows: fc.integer({ min: 1, max: 40 }),
          budgetPer: fc.constantFrom('run', 'problem'),
        }),
        async (how) => {
          expect(contents(await sampled(how))).toEqual(WHOLE);
        },
      ),
      { seed: SEED, numRuns: Math.ceil(RUNS / 3) },
    );
  });

  it('that are there are not made again, and the others are those of an uninterrupted run', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.shuffledSubarray(WHOLE),
        fc.constantFrom('run' as const, 'problem' as const),
        async (kept, budgetPer) => {
          const before = kept.map((chain) => ({ ...chain, seconds: 3 }));
          const after = await sampled({ done: doneOf(before), budgetPer });
          expect(contents([...before, ...after])).toEqual(WHOLE);
          const isLater = ({ problem, seconds }: SampledChain) =>
            seconds >=
            (budgetPer === 'run' || before.some((one) => one.problem === problem) ? 3 : 0);
          if (before.length > 0) expect(after.every(isLater)).toBe(true);
        },
      ),
      { seed: SEED, numRuns: Math.ceil(RUNS / 3) },
    );
  });

  it('begin in turns: some samples of each problem, then some more', () => {
    const places = placesInTurn(2, 5, 2, (problem, sample) => problem === 1 && sample === 2);
    expect(places.map(({ prompt, sample }) => `${prompt}.${sample}`).join(' ')).toBe(
      '0.0 0.1 1.0 1.1 0.2 0.3 1.3 0.4 1.4',
    );
  });

  it('of 1,000 samples take a problem in once a turn', async () => {
    const one = fake();
    await sampled({ samples: 40, turn: 10, maxTokens: 2 }, one);
    expect(one.counts.prefills.flat()).toHaveLength(4 * PROBLEMS.length);
  });
});

describe('a budget', () => {
  const tokens = (chains: readonly { tokens: number }[]) =>
    chains.reduce((sum, chain) => sum + chain.tokens, 0);

  it('of tokens ends the run with whole chains alone, each of them as ever', async () => {
    const chains = await sampled({ budget: { tokens: 40 }, maxRows: 3 });
    expect(tokens(chains)).toBeGreaterThan(40 - 3 * 7);
    expect(tokens(chains)).toBeLessThanOrEqual(40);
    for (const chain of contents(chains)) expect(WHOLE).toContainEqual(chain);
  });

  it('of samples is counted on from what was there before', async () => {
    const before = await sampled({ budget: { samples: 8 }, maxRows: 1 });
    expect(before).toHaveLength(8);
    const after = await sampled({ budget: { samples: 11 }, maxRows: 1, done: doneOf(before) });
    expect(after).toHaveLength(3);
    const none = await sampled({ budget: { samples: 8 }, done: doneOf(before) });
    expect(none).toEqual([]);
  });

  it('for each problem is that problem’s alone', async () => {
    const chains = await sampled({ budget: { samples: 2 }, budgetPer: 'problem', maxRows: 1 });
    expect(chains.map(({ problem, sample }) => [problem, sample])).toEqual(
      PROBLEMS.flatMap((_, i) => [
        [i, 0],
        [i, 1],
      ]),
    );
    const times = chains.filter(({ sample }) => sample === 0).map(({ seconds }) => seconds);
    expect(Math.max(...times)).toBeLessThan(1); // from the start of the problem, not of the run
  });

  it('of seconds ends a run whose chains would take longer', async () => {
    const slow = { beforeStep: () => new Promise<void>((resolve) => setTimeout(resolve, 20)) };
    const chains = await sampled({ budget: { seconds: 0.1 }, maxRows: 1, samples: 500 }, slow);
    expect(chains.length).toBeLessThan(500 * PROBLEMS.length);
  });
});

it('a signal ends the sampling, and what was cut off is no chain', async () => {
  const abort = new AbortController();
  let steps = 0;
  const one = fake({
    beforeStep: () => {
      if (++steps === 4) abort.abort();
    },
  });
  const chains = await sampled({ signal: abort.signal, budgetPer: 'problem' }, one);
  for (const chain of contents(chains)) expect(WHOLE).toContainEqual(chain);
  expect(chains.length).toBeLessThan(WHOLE.length);
  expect(one.counts.live).toBe(0);
});

it('a chain that breaks is told as failed, and the others go on', async () => {
  const chains = await sampled({}, { breaks: (tokens) => tokens.length === 6 });
  expect(chains).toHaveLength(30);
  const reasons = new Set(chains.map(({ finishReason }) => finishReason));
  expect(reasons).toContain('failed');
  expect(reasons).toContain('stop');
});

it.each([
  [{ samples: 0 }, /^samples: expected a whole number from 1 to 2\^24, got 0$/],
  [{ turn: 1.5 }, /^turn: expected a whole number from 1 to 2\^24, got 1.5$/],
  [{ budget: { seconds: 0 } }, /^budget.seconds: expected a number > 0, got 0$/],
  [{ budget: { hours: 1 } as object }, /^budget: "hours" is not supported/],
  [{ temperature: -1 }, /^temperature: /],
])('%o is refused', async (options, message) => {
  await expect(sampled(options)).rejects.toThrow(message);
});
