/** The decode loop on an executor that counts: what it costs, what it shares, what ends it, what it survives. */

import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { Spending } from '../lib/decode/budget.ts';
import { collect, type EndEvent } from '../lib/decode/events.ts';
import { generate } from '../lib/decode/generate.ts';
import type { GenerateOptions } from '../lib/decode/options.ts';
import { ends, eventsOf, fake, ragged, run } from './fakeExecutor.ts';
import { RUNS, SEED } from './support.ts';

describe('continuous batching', () => {
  it('finished rows cost nothing: every step has only rows that go on, and all that there is room for', async () => {
    const { loaded, executor, counts } = fake();
    const maxTokens = 9;
    const stopTokens = [2, 5]; // ends about a fifth of all chains at every token
    const options = { samples: 40, maxTokens, stopTokens, maxRows: 8, seed: 3 };
    const all = await ends({ loaded, executor, counts }, ragged(3), options);
    const stepped = all.reduce((sum, { tokens }) => sum + tokens.length - 1, 0);
    expect(counts.steps.reduce((sum, rows) => sum + rows, 0)).toBe(stepped);
    // while chains wait, every step is full
    const full = counts.steps.filter((rows) => rows === 8).length;
    expect(counts.steps.slice(0, full).every((rows) => rows === 8)).toBe(true);
    expect(counts.steps.length - full).toBeLessThan(maxTokens);
    expect(new Set(all.map(({ tokens }) => tokens.length)).size).toBeGreaterThan(5);
  });

  it('a chain of one token is never stepped, and waits for no step of others', async () => {
    const one = fake();
    const all = await ends(one, ragged(4), { samples: 50, maxTokens: 1, maxRows: 4 });
    expect(all.length).toBe(50);
    expect(one.counts.steps).toEqual([]);
  });

  it('each distinct prompt is taken in once, and several by one call', async () => {
    const one = fake();
    const prompts = ragged(3, 1, 5);
    const given = [...prompts, prompts[0], prompts[2], prompts[0]];
    const all = await ends(one, given, { samples: 2, maxTokens: 3, maxRows: 64 });
    expect(all.length).toBe(12);
    expect(one.counts.prefills).toEqual([prompts]);
    expect(one.counts.forks).toBe(12 - 3); // the last chain of a prompt takes the prompt's own row
  });

  it('rows are forked when they are due, so that no more live than are decoded and one', async () => {
    const one = fake();
    await ends(one, ragged(3, 1, 5), { samples: 30, maxTokens: 4, maxRows: 7 });
    expect(one.counts.prefills.flat().length).toBe(3);
    expect(one.counts.mostLive).toBeLessThanOrEqual(8);
    expect(one.counts.live).toBe(0);
  });

  it('chains in any order are the same chains, and those of one prompt in a row take it in once', async () => {
    const prompts = ragged(3, 1, 5, 3);
    const options = { samples: 4, maxTokens: 5, seed: 7 };
    const all = await ends(fake(), prompts, options);
    await fc.assert(
      fc.asyncProperty(
        fc.shuffledSubarray(all.map(({ prompt, sample }) => ({ prompt, sample }))),
        fc.integer({ min: 1, max: 9 }),
        async (chains, maxRows) => {
          const one = fake();
          const got = await ends(one, prompts, { ...options, maxRows, samples: 1, chains });
          const isWanted = (end: EndEvent) =>
            chains.some(({ prompt, sample }) => prompt === end.prompt && sample === end.sample);
          expect(got).toEqual(all.filter(isWanted));
          const turns = chains.filter(({ prompt }, i) => prompt !== chains[i - 1]?.prompt);
          expect(one.counts.prefills.flat()).toEqual(turns.map(({ prompt }) => prompts[prompt]));
          expect(one.counts.live).toBe(0);
        },
      ),
      { seed: SEED, numRuns: RUNS },
    );
  });

  it.each([
    [{ prompt: 3, sample: 0 }, /^chains: prompt: expected a whole number from 0 to 2, got 3$/],
    [{ prompt: 0, sample: -1 }, /^chains: sample: expected a whole number from 0 to .*, got -1$/],
  ])('the chain %o of three prompts is refused', async (place, message) => {
    const chains = [{ prompt: 0, sample: 0 }, place];
    await expect(ends(fake(), ragged(1, 2, 3), { chains })).rejects.toThrow(message);
  });

  it('prompts are packed up to a limit, so that no call takes long', async () => {
    const one = fake();
    await ends(one, ragged(1500, 500, 300, 3000, 10), { maxTokens: 2 });
    const lengths = one.counts.prefills.map((call) => call.map(({ length }) => length));
    expect(lengths).toEqual([[1500, 500], [300], [3000], [10]]);
  });

  it('10,000 chains leave no row and no memory behind', async () => {
    const one = fake({ drawsTokens: true });
    const gc = await garbageCollector();
    const sizes: number[] = [];
    let count = 0;
    const options = { samples: 10_000, maxTokens: 4, maxRows: 32 };
    for await (const event of run(one, ragged(5), options)) {
      if (event.kind !== 'end' || ++count % 2000 !== 0) continue;
      one.counts.steps.length = 0;
      gc();
      sizes.push(process.memoryUsage().heapUsed);
    }
    expect(count).toBe(10_000);
    expect(one.counts).toMatchObject({ live: 0, mostLive: 33 });
    expect(sizes[4] - sizes[0]).toBeLessThan(500_000);
  });
});

async function garbageCollector(): Promise<() => void> {
  const [v8, vm] = await Promise.all([import('node:v8'), import('node:vm')]);
  v8.setFlagsFromString('--expose-gc');
  return vm.runInNewContext('gc') as () => void;
}

describe('tokens drawn where the logits are', () => {
  const prompts = ragged(3, 1, 5);

  it.each([0, 0.7, 1])('are the tokens drawn here, at temperature %d', async (temperature) => {
    const options = { samples: 5, maxTokens: 12, temperature, stopTokens: [4], seed: 8 };
    const [there, here] = [fake({ drawsTokens: true }), fake()];
    expect(await ends(there, prompts, options)).toEqual(await ends(here, prompts, options));
  });

  it('are asked for only where nothing but a temperature happens to the logits', async () => {
    const one = fake({ drawsTokens: true });
    const refused = { ...one.executor, step: () => Promise.reject(new Error('step was asked')) };
    const asks = (options: GenerateOptions) =>
      collect(generate(one.loaded, prompts, { maxTokens: 4, ...options, backend: refused }));
    await asks({ temperature: 0.5 });
    await asks({ temperature: 0, topK: 3 }); // a filter cannot change the likeliest token
    for (const options of [{ topK: 3 }, { topP: 0.9 }, { minP: 0.1 }, { repetitionPenalty: 2 }]) {
      await expect(asks(options)).rejects.toThrow('step was asked');
    }
    await expect(asks({ trace: () => {} })).rejects.toThrow('step was asked');
    expect(one.counts.live).toBe(0);
  });
});

describe('budgets', () => {
  const options = { samples: 6, maxTokens: 20, maxRows: 4, seed: 2 };

  it('of tokens: exactly so many, and what chains have is kept', async () => {
    for (const tokens of [1, 3, 4, 5, 30, 79]) {
      const one = fake();
      const got = await eventsOf(one, ragged(3), { ...options, budget: { tokens } });
      expect(got.filter(({ kind }) => kind === 'token').length).toBe(tokens);
      const all = got.filter((event) => event.kind === 'end');
      expect(all.reduce((sum, end) => sum + end.tokens.length, 0)).toBe(tokens);
      expect(all.at(-1)?.finishReason).toBe('budget');
      expect(one.counts.live).toBe(0);
    }
  });

  it('of tokens: a step is not computed when nothing may be drawn from it', async () => {
    const one = fake();
    await ends(one, ragged(3), { ...options, budget: { tokens: 8 } });
    expect(one.counts.steps).toEqual([4]);
  });

  it('of tokens: more than there are changes nothing', async () => {
    const all = await ends(fake(), ragged(3), { ...options, budget: { tokens: 121 } });
    expect(all).toEqual(await ends(fake(), ragged(3), options));
  });

  it('of samples: so many end of their own, the others with it', async () => {
    const all = await ends(fake(), ragged(3), {
      ...options,
      samples: 50,
      stopTokens: [1],
      budget: { samples: 7 },
    });
    const own = all.filter(({ finishReason }) => finishReason !== 'budget');
    expect(own.length).toBe(7);
    expect(all.length).toBeLessThanOrEqual(7 + 4);
  });

  it('of seconds: the step that is under way is the last', async () => {
    let seconds = 0;
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => 1000 * seconds);
    try {
      const one = fake({
        beforeStep: () => {
          seconds += 20;
        },
      });
      const all = await ends(one, ragged(3), { ...options, budget: { seconds: 50 } });
      expect(one.counts.steps).toEqual([4, 4, 4]);
      expect(all.map(({ finishReason }) => finishReason)).toEqual(new Array(4).fill('budget'));
      expect(all.map(({ tokens }) => tokens.length)).toEqual([3, 3, 3, 3]);
    } finally {
      clock.mockRestore();
    }
  });

  it('of seconds: time is read from a clock that cannot be set', () => {
    let now = 5000;
    const spending = new Spending({ seconds: 2 }, () => now);
    expect(spending.isUsedUp()).toBe(false);
    now = 6999;
    expect(spending.isUsedUp()).toBe(false);
    now = 7000;
    expect(spending.isUsedUp()).toBe(true);
  });

  it.each([
    [{ seconds: 0 }, /^budget\.seconds: expected a number > 0, got 0/],
    [{ tokens: 1.5 }, /^budget\.tokens: expected a whole number ≥ 1, got 1\.5/],
    [{ samples: 0 }, /^budget\.samples: /],
    [{ minutes: 1 }, /^budget: "minutes" is not supported; known are seconds, tokens, samples/],
  ])('%j is refused', async (budget, message) => {
    await expect(ends(fake(), ragged(3), { budget } as GenerateOptions)).rejects.toThrow(message);
  });
});

describe('a chain that breaks', () => {
  const breaks = (tokens: readonly number[]) => tokens.length > 5 && tokens.at(-1) === 7;

  it.each([true, false])('ends alone, the others go on (drawn there: %s)', async (drawsTokens) => {
    const options = { samples: 30, maxTokens: 10, seed: 1, maxRows: 16 };
    const one = fake({ drawsTokens, breaks });
    const got = await ends(one, ragged(3, 1), options);
    const want = await ends(fake(), ragged(3, 1), options);
    const failed = got.filter(({ finishReason }) => finishReason === 'failed');
    expect(failed.length).toBeGreaterThan(5);
    expect(failed.length).toBeLessThan(55);
    for (const [i, end] of got.entries()) {
      if (!failed.includes(end)) expect(end).toEqual(want[i]);
      else {
        expect(end.error).toMatchObject({ code: 'NonFiniteLogits' });
        expect(end.error?.message).toMatch(/^logits: expected finite numbers/);
        expect(end.tokens.at(-1)).toBe(7);
        expect(want[i].tokens.slice(0, end.tokens.length)).toEqual(end.tokens);
      }
    }
    expect(one.counts.live).toBe(0);
  });

  it('nothing is thrown even if all chains fail', async () => {
    const got = await ends(fake({ breaks: () => true }), ragged(3), { samples: 3 });
    expect(got.map(({ finishReason, tokens }) => [finishReason, tokens])).toEqual(
      new Array(3).fill(['failed', []]),
    );
  });
});

describe('whoever stops listening', () => {
  it('leaves no row behind, wherever it stops', async () => {
    for (let stop = 1; stop <= 40; stop += 3) {
      const one = fake();
      let seen = 0;
      const options = { samples: 3, maxTokens: 6, maxRows: 2 };
      for await (const _ of run(one, ragged(3, 1), options)) if (++seen === stop) break;
      expect(one.counts.live).toBe(0);
    }
  });

  it('an executor that fails leaves none either, and its error is what is thrown', async () => {
    for (let nth = 1; nth <= 6; nth++) {
      let step = 0;
      const one = fake({
        beforeStep: () => {
          if (++step === nth) throw new Error(`step ${nth} broke`);
        },
      });
      const failing = ends(one, ragged(3, 1), { samples: 3, maxTokens: 8, maxRows: 4 });
      await expect(failing).rejects.toThrow(`step ${nth} broke`);
      expect(one.counts.live).toBe(0);
    }
  });
});
