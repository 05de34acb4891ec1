/** Memory, planned before a run: what fits is taken, what does not is said. */

import { describe, expect, it } from 'vitest';
import { collect, type GenerateEvent } from '../lib/decode/events.ts';
import { generate } from '../lib/decode/generate.ts';
import { ends, eventsOf, fake, ragged, run } from './fakeExecutor.ts';

describe('memory', () => {
  it('fewer rows than wanted: says how many fit, takes that many, and gives the same chains', async () => {
    const options = { samples: 5, maxTokens: 6, seed: 4, temperature: 1 };
    const prompts = ragged(3, 1, 5);
    const want = await ends(fake(), prompts, options);
    for (const rows of [1, 2, 3, 9]) {
      const one = fake({ rows });
      const events = await eventsOf(one, prompts, options);
      const plans = events.filter((event) => event.kind === 'plan');
      const fit = rows === 1 ? 1 : rows - 1; // a prompt that waits for its later samples takes a row
      // longest prompt 5 and 5 of 6 new tokens; 3 + 4·10 numbers of 8 bytes
      const bytesPerRow = 8 * (3 + 4 * 10);
      expect(plans).toEqual([{ kind: 'plan', rows: fit, wanted: 15, tokens: 10, bytesPerRow }]);
      expect(events[0].kind).toBe('plan');
      expect(one.counts.mostLive).toBeLessThanOrEqual(rows);
      const got = await collect(run(fake({ rows }), prompts, options));
      expect(got).toEqual(want);
    }
  });

  it('room enough: nothing is said', async () => {
    for (const rows of [15, 16, 1000]) {
      const events = await eventsOf(fake({ rows }), ragged(3, 1, 5), { samples: 5, maxTokens: 6 });
      expect(events.filter(({ kind }) => kind === 'plan')).toEqual([]);
    }
  });

  it('no room at all is an error that says what to do', async () => {
    const nothing = ends(fake({ rows: 0 }), ragged(3), { maxTokens: 6 });
    await expect(nothing).rejects.toMatchObject({ name: 'BackendError', code: 'OutOfMemory' });
    await expect(nothing).rejects.toThrow(
      /^memory: expected room for one sequence of 8 tokens .* found none; give fewer maxTokens/,
    );
  });

  it('what chains have in common counts once, and has to be there first', async () => {
    const one = fake();
    const asked: number[][] = [];
    const room = (tokens: number, shared = 0) => {
      asked.push([tokens, shared]);
      return Math.floor(4300 / (3 + 4 * (tokens - shared)));
    };
    const events: GenerateEvent[] = [];
    const backend = { ...one.executor, room };
    const options = { samples: 1000, maxRows: 1000, maxTokens: 11, backend };
    for await (const event of generate(one.loaded, [new Array<number>(90).fill(1)], options)) {
      events.push(event);
    }
    expect(asked).toContainEqual([100, 90]);
    // 43 numbers each: 100 rows, less ⌈4·90 / 43⌉ = 9 for the prompt and one for the prompt's row
    expect(events[0]).toMatchObject({ kind: 'plan', rows: 90, wanted: 1000 });
  });
});
