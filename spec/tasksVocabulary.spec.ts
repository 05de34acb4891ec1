/** One vocabulary for all tasks: every text comes back from its tokens, here and in the tokenizer of a checkpoint. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  createTask,
  decodeText,
  encodeText,
  SPECIAL_IDS,
  TASKS,
  tokenizerJson,
  VOCABULARY,
} from '../lib/tasks/index.ts';
import { parseTokenizer } from '../lib/tokenizer/tokenizer.ts';
import { RUNS, SEED } from './support.ts';

const tokenizer = parseTokenizer(new TextEncoder().encode(tokenizerJson()));
const plain = (text: string) => tokenizer.encode(text, { addSpecialTokens: false });

it('has fewer than 128 tokens, all different, the special ones first', () => {
  expect(VOCABULARY.length).toBeLessThan(128);
  expect(new Set(VOCABULARY).size).toBe(VOCABULARY.length);
  expect(tokenizer.size).toBe(VOCABULARY.length);
  expect(VOCABULARY.map((token) => tokenizer.idOf(token))).toEqual([...VOCABULARY.keys()]);
  expect(SPECIAL_IDS).toEqual({
    pad: tokenizer.idOf('<pad>'),
    bos: tokenizer.idOf('<s>'),
    eos: tokenizer.idOf('</s>'),
    unk: tokenizer.idOf('<unk>'),
  });
});

const CASES = Object.entries(TASKS).flatMap(([name, { presets }]) =>
  presets
    .filter((preset) => !['lra', 'far', 'paper'].includes(preset))
    .map((preset) => [name, preset] as const),
);

describe.each(CASES)('texts of %s %s', (name, preset) => {
  const task = createTask(name, preset);

  it('are the same after encode and decode, with and without the tokenizer', () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(), (seed, index) => {
        const { prompt, chain } = task.problem(seed, index);
        const text = `${prompt} ${chain}`;
        const tokens = encodeText(text);
        expect(plain(text)).toEqual(tokens);
        expect(tokenizer.encode(text)).toEqual([SPECIAL_IDS.bos, ...tokens]);
        expect(tokens).not.toContain(SPECIAL_IDS.unk);
        expect(decodeText(tokens)).toBe(text);
        expect(tokenizer.decode([SPECIAL_IDS.bos, ...tokens, SPECIAL_IDS.eos])).toBe(text);
        // a chain is encoded alike alone and after its prompt
        expect([...encodeText(prompt), ...encodeText(chain)]).toEqual(tokens);
      }),
      { seed: SEED, numRuns: Math.ceil(RUNS / 10) },
    );
  });
});

it('digits are single tokens', () => {
  const tokens = encodeText('47 + 1305 = 1352 ;');
  const shown = tokens.map((id) => VOCABULARY[id]).join(' ');
  expect(shown).toBe('4 ##7 + 1 ##3 ##0 ##5 = 1 ##3 ##5 ##2 ;');
});

it('any tokens decode alike here and in the tokenizer', () => {
  const ids = fc.array(fc.integer({ min: -2, max: VOCABULARY.length + 2 }), { minLength: 1 });
  fc.assert(
    fc.property(ids, (tokens) => {
      expect(decodeText(tokens)).toBe(tokenizer.decode(tokens));
    }),
    { seed: SEED, numRuns: 4 * RUNS },
  );
});

it('words outside the vocabulary are refused by name here, and <unk> in the tokenizer', () => {
  expect(() => encodeText('Tom has 3 zebras .')).toThrow(
    expect.objectContaining({
      code: 'Vocabulary',
      message: 'text: expected words of the vocabulary, got "zebras"',
    }),
  );
  for (const word of ['<s>', '##3', '<pad>']) expect(() => encodeText(word)).toThrow(/^text: /);
  expect(plain('zebras')).toEqual([SPECIAL_IDS.unk]);
});
