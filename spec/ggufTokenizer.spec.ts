/** Tokenizers in GGUF files: the same ids and the same texts as the tokenizer.json that they are made of. */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { GgufValue } from '../lib/checkpoint/gguf.ts';
import type { GgufField } from '../lib/checkpoint/ggufFields.ts';
import { writeGguf } from '../lib/checkpoint/ggufWriter.ts';
import { inspect } from '../lib/inspect.ts';
import { loadModel } from '../lib/loadModel.ts';
import { weightNamed } from '../lib/plan/weights.ts';
import { readGgufText } from '../lib/tokenizer/ggufTokenizer.ts';
import { ggufVocabulary } from '../lib/tokenizer/toGguf.ts';
import { parseTokenizer } from '../lib/tokenizer/tokenizer.ts';
import { path, SEED, selscan, TINY_STORIES, temporaryFolder } from './support.ts';

const RUNS = { seed: SEED, numRuns: 300 };
const encode = (json: unknown) => new TextEncoder().encode(JSON.stringify(json));

/** The metadata as a file has them. */
const asRead = (fields: ReadonlyMap<string, GgufValue>) =>
  new Map(
    Array.from(fields, ([key, { type, value }]): [string, GgufField] => {
      const isNumbers = type === 'int32[]' || type === 'float32[]' || type === 'uint32[]';
      return [
        key,
        { type, value: isNumbers ? Float64Array.from(value as number[]) : (value as string) },
      ];
    }),
  );

/** GPT-2's 256 letters for the bytes. */
function byteLetters(): string[] {
  const isPlain = (b: number) => (b > 32 && b < 127) || (b > 160 && b !== 173 && b < 256);
  let others = 0;
  return Array.from({ length: 256 }, (_, b) =>
    String.fromCharCode(isPlain(b) ? b : 256 + others++),
  );
}

const MERGES = [
  'h e',
  'Ġ t',
  'Ġt he',
  'l l',
  'o Ġ',
  '1 2',
  '12 3',
  "' s",
  'Ġ Ġ',
  'Ċ Ċ',
  'i n',
  'in g',
];
const pattern = (digits: string) =>
  `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*` +
  '|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';
const byteLevel = (usesRegex: boolean) => ({
  ...{ type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: usesRegex },
});
const split = (digits: string) => ({
  type: 'Sequence',
  pretokenizers: [
    { type: 'Split', pattern: { Regex: pattern(digits) }, behavior: 'Isolated', invert: false },
    byteLevel(false),
  ],
});

/** A small byte-level tokenizer.json. */
function byteLevelJson(preTokenizer: object, ignoreMerges: boolean, template?: object) {
  const tokens = [...byteLetters(), ...MERGES.map((merge) => merge.replace(' ', ''))];
  const unique = [...new Set(tokens)];
  const vocab = Object.fromEntries(unique.map((token, id) => [token, id]));
  const added = ['<|begin|>', '<|end|>', '<tool>'].map((content, i) => ({
    ...{ id: unique.length + i, content, special: i < 2 },
    ...{ single_word: false, lstrip: false, rstrip: false, normalized: false },
  }));
  return {
    ...{ version: '1.0', added_tokens: added, normalizer: null, pre_tokenizer: preTokenizer },
    post_processor: template ?? null,
    decoder: byteLevel(true),
    model: { type: 'BPE', vocab, merges: MERGES, ignore_merges: ignoreMerges },
  };
}

const begins = {
  type: 'TemplateProcessing',
  single: [
    { SpecialToken: { id: '<|begin|>', type_id: 0 } },
    { Sequence: { id: 'A', type_id: 0 } },
  ],
  pair: [{ Sequence: { id: 'A', type_id: 0 } }, { Sequence: { id: 'B', type_id: 1 } }],
  special_tokens: { '<|begin|>': { id: '<|begin|>', ids: [268], tokens: ['<|begin|>'] } },
};
const digitByDigit = {
  type: 'Sequence',
  pretokenizers: [
    { type: 'Split', pattern: { Regex: '\\p{N}' }, behavior: 'Isolated', invert: false },
    byteLevel(true),
  ],
};

/** Texts of what the tokenizers treat apart: letters, digits, signs, spaces, line ends, special tokens, any Unicode. */
const texts = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        ' the',
        'hello',
        "'s",
        "'S",
        '123',
        '1234567',
        '  ',
        '\n\n',
        '\r\n ',
        '<|end|>',
        '<tool>',
      ),
      fc.string({ unit: 'grapheme', maxLength: 6 }),
    ),
    { maxLength: 8 },
  )
  .map((parts) => parts.join(''));

describe.each([
  ['gpt-2', byteLevelJson(byteLevel(true), false)],
  ['starcoder', byteLevelJson(digitByDigit, false)],
  ['llama-bpe', byteLevelJson(split('\\p{N}{1,3}'), true, begins)],
  ['dbrx', byteLevelJson(split('\\p{N}{1,3}'), false, begins)],
  ['qwen2', byteLevelJson(split('\\p{N}'), false)],
] as const)('a byte-level tokenizer with the pre-tokenizer %s', (pre, json) => {
  const fields = ggufVocabulary(encode(json), { vocabRows: 300 });
  const { tokenizer, warnings } = readGgufText(asRead(fields), 'x.gguf');

  it('is written under that name and gives the ids of a tokenizer.json, and its texts', () => {
    expect(fields.get('tokenizer.ggml.pre')?.value).toBe(pre);
    expect(warnings).toEqual([]);
    // Node 20 has no (?i:…): the pattern is spelt out, as the reader does
    const spelt = JSON.stringify(json).replace(
      /\(\?i:[^)]*\)/,
      "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])",
    );
    const original = parseTokenizer(new TextEncoder().encode(spelt));
    expect(tokenizer?.size).toBe(original.size);
    fc.assert(
      fc.property(texts, (text) => {
        const ids = original.encode(text);
        expect(tokenizer?.encode(text)).toEqual(ids);
        expect(tokenizer?.decode(ids)).toBe(original.decode(ids));
      }),
      RUNS,
    );
    expect(tokenizer?.encode(' the 123')).not.toEqual(tokenizer?.encode(' the 12 3'));
  });
});

it("Digits, one by one, are starcoder's pre-tokenizer as well; a Split of another kind is none", () => {
  const digits = (individual: boolean) =>
    byteLevelJson(
      {
        type: 'Sequence',
        pretokenizers: [{ type: 'Digits', individual_digits: individual }, byteLevel(true)],
      },
      false,
    );
  const fields = ggufVocabulary(encode(digits(true)), { vocabRows: 300 });
  expect(fields.get('tokenizer.ggml.pre')?.value).toBe('starcoder');
  expect(() => ggufVocabulary(encode(digits(false)), { vocabRows: 300 })).toThrow(
    expect.objectContaining({ code: 'UnsupportedTokenizer' }),
  );
});

describe('TinyStories-260K, a SentencePiece tokenizer', () => {
  it('as a GGUF file tells the story of its folder, from text to text', async () => {
    const loaded = await loadModel(TINY_STORIES, { precision: 'float32' });
    const { config, bosToken, eosTokens } = loaded;
    const folder = temporaryFolder();
    const file = join(folder, 'stories.gguf');
    const bytes = readFileSync(join(TINY_STORIES, 'tokenizer.json'));
    const vocabulary = ggufVocabulary(bytes, { vocabRows: config.vocabRows });
    const weight = (name: string) => weightNamed(loaded.model, name);
    await writeGguf(file, { config, weight }, { vocabulary, bosToken, eosTokens });
    const read = await loadModel(file, { precision: 'float32' });
    expect(read).toMatchObject({ bosToken, eosTokens, config });
    fc.assert(
      fc.property(fc.oneof(texts, fc.lorem({ maxCount: 20 })), (text) => {
        const ids = loaded.tokenizer?.encode(text) as number[];
        expect(read.tokenizer?.encode(text)).toEqual(ids);
        expect(read.tokenizer?.decode(ids)).toBe(loaded.tokenizer?.decode(ids));
      }),
      RUNS,
    );
    const story = [
      '--prompt',
      'Once upon a time, Lily',
      '--temperature',
      '0',
      '--max-tokens',
      '40',
    ];
    const [ours, theirs] = [
      await selscan(['generate', '--model', file, ...story]),
      await selscan(['generate', '--model', TINY_STORIES, ...story]),
    ];
    expect(ours.code).toBe(0);
    expect(ours.out).toBe(theirs.out);
    expect(ours.out.length).toBeGreaterThan(60);
    expect(await inspect(file)).toMatchObject({ tokenizerSize: 512, warnings: [] });
    const score = (model: string) =>
      selscan(['score', '--model', model, '--text', 'Once upon a time']);
    expect((await score(file)).out).toBe((await score(TINY_STORIES)).out);
    const [problems, run] = [join(folder, 'problems.jsonl'), join(folder, 'run')];
    writeFileSync(problems, '{"question":"Once upon","answer":"a time"}\n');
    const few = ['--samples', '2', '--max-tokens', '8', '--max-rows', '2'];
    const scaled = await selscan([
      'scale',
      '--model',
      file,
      '--problems',
      problems,
      '--run',
      run,
      ...few,
    ]);
    expect(scaled.out).toMatch(/stories\.gguf +2 of 2/);
    // a student on texts would have no tokenizer
    const recipe = join(folder, 'recipe.json');
    const stages = [{ stage: 'sft', steps: 1, learningRate: 0.001 }];
    const data = { kind: 'llamba', data: problems, seed: 1, batch: 1, seqlen: 8, stages };
    writeFileSync(recipe, JSON.stringify(data));
    const distil = ['distil', '--teacher', file, '--recipe', recipe, '--out', join(folder, 'out')];
    const refused = await selscan(distil);
    expect([refused.code, refused.err]).toEqual([
      2,
      expect.stringMatching(/teacher: expected a folder/),
    ]);
  });
});

describe('what is no tokenizer here', () => {
  const fields = ggufVocabulary(encode(byteLevelJson(byteLevel(true), false)), { vocabRows: 300 });
  const changed = (key: string, value: GgufField | undefined) => {
    const metadata = asRead(fields);
    if (value) metadata.set(`tokenizer.ggml.${key}`, value);
    else metadata.delete(`tokenizer.ggml.${key}`);
    return metadata;
  };
  const text = (value: string): GgufField => ({ type: 'string', value });

  it.each<[string, string, GgufField | undefined, RegExp]>([
    ['an unknown pre-tokenizer', 'pre', text('tekken'), /"tekken" is not known here/],
    ['none, which would be a guess', 'pre', undefined, /"default" is not known here/],
    ['another kind of model', 'model', text('bert'), /expected gpt2 or llama, got bert/],
    ['SentencePiece without scores', 'model', text('llama'), /scores: expected one for each token/],
  ])('%s: the model loads without, and says so', (_, key, value, warning) => {
    const { tokenizer, warnings } = readGgufText(changed(key, value), 'x.gguf');
    expect(tokenizer).toBeUndefined();
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(warning);
    expect(warnings[0]).toMatch(/^x\.gguf: [^\n]+; it is ignored, give token ids$/);
  });

  it.each<[string, string, GgufField]>([
    ['types of other tokens', 'token_type', { type: 'int32[]', value: Int32Array.of(1, 2) }],
    ['tokens that are numbers', 'tokens', { type: 'int32[]', value: Int32Array.of(1, 2) }],
    ['merges of tokens that are not there', 'merges', { type: 'string[]', value: ['zzz yyy'] }],
    ['a begin token outside', 'bos_token_id', { type: 'uint32', value: 300 }],
    ['a flag that is a text', 'add_bos_token', text('yes')],
  ])('%s: refused as TokenizerSchema', (_, key, value) => {
    expect(() => readGgufText(changed(key, value), 'x.gguf')).toThrow(
      expect.objectContaining({
        code: 'TokenizerSchema',
        message: expect.stringMatching(/^x\.gguf: /),
      }),
    );
  });

  it('a chat template is kept, with the tokens that it names', () => {
    const metadata = changed('bos_token_id', { type: 'uint32', value: 268 });
    metadata.set(
      'tokenizer.chat_template',
      text("{{ bos_token }}{% for m in messages %}[{{ m['content'] }}]{% endfor %}"),
    );
    const { chatTemplate } = readGgufText(metadata, 'x.gguf');
    expect(chatTemplate?.([{ role: 'user', content: 'hi' }])).toBe('<|begin|>[hi]');
    metadata.set('tokenizer.chat_template', text('{% if %}'));
    expect(() => readGgufText(metadata, 'x.gguf')).toThrow(
      /^x\.gguf: chat_template: does not parse/,
    );
  });

  it('words between spaces, which llama.cpp has not, are not written', () => {
    const words = readFileSync(path('fixtures/models/base-teacher/tokenizer.json'));
    expect(() => ggufVocabulary(words, { vocabRows: 82 })).toThrow(
      expect.objectContaining({ code: 'UnsupportedTokenizer' }),
    );
  });
});
