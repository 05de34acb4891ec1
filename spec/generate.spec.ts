import { describe, expect, it } from 'vitest';
import { collect, type GenerateEvent, type Prompt } from '../lib/decode/events.ts';
import { generate } from '../lib/decode/generate.ts';
import type { GenerateOptions } from '../lib/decode/options.ts';
import { score } from '../lib/decode/score.ts';
import { StreamingText } from '../lib/decode/text.ts';
import { loadModel } from '../lib/loadModel.ts';
import { encodePrompt, type Tokenizer } from '../lib/tokenizer/tokenizer.ts';
import { TINY_STORIES } from './support.ts';

const model = await loadModel(TINY_STORIES);
const tokenizer = model.tokenizer as Tokenizer;
const STORY =
  'Once upon a time, there was a little girl named Lily. She loved to play outside in the park. ' +
  'One day, she saw a big, red ball.';

const run = (prompts: readonly Prompt[], options: GenerateOptions) =>
  collect(generate(model, prompts, options));
const one = async (prompt: Prompt, options: GenerateOptions) => (await run([prompt], options))[0];
const greedy = { temperature: 0, maxTokens: 40 };

async function eventsOf(prompt: Prompt, options: GenerateOptions): Promise<GenerateEvent[]> {
  const events: GenerateEvent[] = [];
  for await (const event of generate(model, [prompt], options)) events.push(event);
  return events;
}

it('at temperature 0 the model tells its published story', async () => {
  const { text, finishReason } = await one('', { temperature: 0, maxTokens: 90 });
  expect(text.slice(0, STORY.length)).toBe(STORY);
  expect(finishReason).toBe('length');
});

it('1,000 identical greedy prompts give 1 distinct answer', async () => {
  const prompts = new Array<string>(1000).fill('Once upon');
  const ends = await run(prompts, { temperature: 0, maxTokens: 3, maxRows: 64 });
  expect(ends.map(({ prompt }) => prompt)).toEqual(prompts.map((_, i) => i));
  expect(new Set(ends.map((end) => JSON.stringify([end.tokens, end.logprob]))).size).toBe(1);
});

describe('chains beside each other', () => {
  const prompts = ['', 'Lily went to the park with her mom. ', 'Once', [1, 300, 20]];
  const options = { seed: 9, samples: 2, maxTokens: 12, topP: 0.95 };

  it('a batch of ragged prompts gives the same chains as each sample made alone', async () => {
    const batch = await run(prompts, { ...options, maxRows: 3 });
    expect(batch.length).toBe(8);
    for (const end of batch) {
      const { prompt: firstPrompt, sample: firstSample } = end;
      const place = { firstPrompt, firstSample, samples: 1 };
      expect(await run([prompts[firstPrompt]], { ...options, ...place })).toEqual([end]);
    }
    expect(new Set(batch.map(({ tokens }) => tokens.join())).size).toBe(8);
  });

  it('the number of rows at a time changes nothing', async () => {
    const want = await run(prompts, options);
    for (const maxRows of [1, 5]) expect(await run(prompts, { ...options, maxRows })).toEqual(want);
  });
});

describe('what ends a chain', () => {
  it('a stop text that spans tokens ends it, and no part of it is shown', async () => {
    const stop = 'girl named';
    const events = await eventsOf('', { ...greedy, stop: ['never seen', stop] });
    const end = events[events.length - 1];
    if (end.kind !== 'end') throw new Error('expected an end');
    expect(tokenizer.encode(stop, { addSpecialTokens: false }).length).toBeGreaterThan(1);
    expect(end).toMatchObject({ finishReason: 'stop', stop, rest: '' });
    expect(end.text).toBe(STORY.slice(0, STORY.indexOf(stop)));
    const shown = events.map((event) => (event.kind === 'token' ? event.text : '')).join('');
    expect(shown).toBe(end.text);
  });

  it('a beginning of a stop text that does not go on is shown after all', async () => {
    const { text, finishReason } = await one('', { ...greedy, stop: ['girl nameless'] });
    expect(finishReason).toBe('length');
    expect(STORY.startsWith(text) && text.includes('girl named')).toBe(true);
  });

  it('a stop token ends it, is among its tokens and not in its text', async () => {
    const { tokens } = await one('', greedy);
    const at = tokens.indexOf(tokens[6]);
    const end = await one('', { ...greedy, stopTokens: [tokens[6]] });
    expect(end).toMatchObject({ finishReason: 'stop', tokens: tokens.slice(0, at + 1) });
    expect(end.stop).toBeUndefined();
    const before = await one('', { ...greedy, maxTokens: at });
    expect(end.text).toBe(before.text);
  });

  it('maxTokens ends it', async () => {
    const { tokens, finishReason } = await one('', { ...greedy, maxTokens: 7 });
    expect([tokens.length, finishReason]).toEqual([7, 'length']);
  });

  it('a full context ends it with one token more than the context takes in', async () => {
    const config = { ...model.config, contextLength: 8 };
    const short = { ...model, config, model: { ...model.model, config } };
    const [end] = await collect(generate(short, [[1, 300, 20]], greedy));
    expect(end.finishReason).toBe('context');
    expect(3 + end.tokens.length).toBe(9);
    const long = await one([1, 300, 20], greedy);
    expect(end.tokens).toEqual(long.tokens.slice(0, 6));
  });

  it('an AbortSignal ends it and keeps what it has', async () => {
    const whole = await one('', greedy);
    const controller = new AbortController();
    let count = 0;
    const ends: GenerateEvent[] = [];
    for await (const event of generate(model, ['', ''], { ...greedy, signal: controller.signal })) {
      if (event.kind === 'end') ends.push(event);
      else if (++count === 8) controller.abort();
    }
    expect(ends.length).toBe(2);
    for (const end of ends) {
      if (end.kind !== 'end') continue;
      expect(end).toMatchObject({ finishReason: 'aborted', tokens: whole.tokens.slice(0, 4) });
      expect(end.text.length).toBeGreaterThan(0);
      expect(whole.text.startsWith(end.text)).toBe(true);
    }
  });
});

describe('numbers and texts of events', () => {
  it.each([
    ['reference', 1e-10],
    // logits below 32 in float32: 30 tokens, each off by less than 2 ulp of 2^-19
    ['wasm', 30 * 2 ** -18],
  ])('the logprobs of a chain sum to what score gives its tokens on %s', async (backend, most) => {
    const prompt = 'Once upon a time';
    const end = await one(prompt, { seed: 4, maxTokens: 30, temperature: 0.8, backend });
    const before = encodePrompt(tokenizer, prompt);
    const { logprobs } = await score(model, [...before, ...end.tokens], { backend });
    const sum = logprobs.slice(before.length).reduce<number>((total, x) => total + Number(x), 0);
    expect(Math.abs(end.logprob - sum)).toBeLessThanOrEqual(most);
    expect(logprobs[0]).toBeNull();
  });

  it('the pieces of text and the rest are the whole text', async () => {
    for (const stop of [[], ['Lily!'], ['zebra', 'a little girl who']]) {
      const events = await eventsOf('Once', { seed: 3, maxTokens: 40, stop });
      const end = events[events.length - 1];
      if (end.kind !== 'end') throw new Error('expected an end');
      const pieces = events.map((event) =>
        event.kind === 'plan' ? '' : event.kind === 'token' ? event.text : event.rest,
      );
      expect(pieces.join('')).toBe(end.text);
      const all = tokenizer.decode([...encodePrompt(tokenizer, 'Once'), ...end.tokens]);
      expect(all).toBe(`Once${end.text}`);
    }
  });

  /** One token per byte of UTF-8. */
  const bytewise: Tokenizer = {
    size: 256,
    idOf: () => undefined,
    encode: (text) => [...new TextEncoder().encode(text)],
    decode: (tokens) => new TextDecoder().decode(Uint8Array.from(tokens)),
  };

  it('a character is never shown before its last byte', () => {
    const text = 'a😀é 😀😀z';
    for (const prompt of ['', 'x', 'Ä😀']) {
      const stream = new StreamingText(bytewise, bytewise.encode(prompt));
      const pieces = bytewise.encode(text).map((token) => stream.push(token));
      expect(pieces.filter((piece) => piece !== '')).toEqual([...text]);
      expect(stream.flush()).toBe('');
    }
  });

  it('bytes that never become a character are shown as U+FFFD at the end', () => {
    const stream = new StreamingText(bytewise, []);
    expect(
      bytewise
        .encode('a😀')
        .slice(0, 4)
        .map((token) => stream.push(token))
        .join(''),
    ).toBe('a');
    expect(stream.flush()).toBe('\ufffd');
  });

  it('a character that the prompt began is shown whole when its last byte comes', () => {
    for (const character of ['😀', 'é']) {
      const [first, ...others] = bytewise.encode(character);
      const stream = new StreamingText(bytewise, [120, first]);
      const pieces = [...others, 122].map((token) => stream.push(token));
      expect(pieces.join('')).toBe(`${character}z`);
    }
  });
});

describe('penalties', () => {
  it('a logit bias of −Infinity bans a token', async () => {
    const { tokens } = await one('', greedy);
    const banned = tokens[3];
    for (const temperature of [0, 1]) {
      const logitBias = { [banned]: Number.NEGATIVE_INFINITY };
      const end = await one('', { maxTokens: 40, temperature, logitBias });
      expect(end.tokens).not.toContain(banned);
      expect(end.tokens.slice(0, 3).length).toBe(3);
    }
  });

  it('a repetition penalty makes a chain repeat fewer tokens, and leaves its first as it was', async () => {
    const repeats = (tokens: number[]) => tokens.length - new Set(tokens).size;
    const plain = await one('', greedy);
    const end = await one('', { ...greedy, repetitionPenalty: 1e6 });
    expect(repeats(plain.tokens)).toBeGreaterThan(0);
    expect(repeats(end.tokens)).toBeLessThan(repeats(plain.tokens));
    expect(end.tokens[0]).toBe(plain.tokens[0]);
  });
});

describe('errors', () => {
  const failing = (prompt: Prompt, options: object) => one(prompt, options as GenerateOptions);

  it('an unknown option is refused with the name that was probably meant', async () => {
    const wrong = failing('', { temprature: 0.5 });
    await expect(wrong).rejects.toMatchObject({ name: 'UnsupportedError', code: 'Unsupported' });
    await expect(wrong).rejects.toThrow(/option "temprature" .* did you mean temperature\?/);
    await expect(failing('', { frequencyPenalty: 1 })).rejects.toThrow(/known are samples, /);
  });

  it.each([
    [{ temperature: -1 }, 'Option', /^temperature: expected a number ≥ 0, got -1/],
    [{ topP: 1.2 }, 'Option', /^topP: expected a number in \(0, 1\], got 1.2/],
    [{ logitBias: { 512: 1 } }, 'TokenRange', /^logitBias: expected token ids in \[0, 512\)/],
    [{ backend: 'gpu' }, 'UnknownBackend', /^backend: expected reference/],
  ])('%j is refused', async (options, code, message) => {
    await expect(failing('', options)).rejects.toMatchObject({ code });
    await expect(failing('', options)).rejects.toThrow(message);
  });

  it.each([
    [[1, 512], 'TokenRange', /^prompt 0: expected token ids in \[0, 512\), got 512/],
    [[-1], 'TokenRange', /^prompt 0: .* got -1/],
    [[1.5], 'TokenRange', /^prompt 0: .* got 1.5/],
    [[], 'EmptyPrompt', /^prompt 0: expected at least one token/],
    [new Array<number>(513).fill(5), 'ContextLength', /^prompt 0: expected at most 512 .* got 513/],
    [{ messages: [{ role: 'user', content: 'Hi' }] }, 'NoChatTemplate', /expected a chat template/],
  ] as [Prompt, string, RegExp][])('the prompt %o is refused', async (prompt, code, message) => {
    await expect(failing(prompt, {})).rejects.toMatchObject({ code });
    await expect(failing(prompt, {})).rejects.toThrow(message);
  });

  it('a bad prompt is refused before any other is decoded, and named by its index', async () => {
    const events = generate(model, ['', 'Once', [999]], greedy);
    await expect(events.next()).rejects.toThrow(/^prompt 2: /);
  });
});
