import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Json } from '../lib/checkpoint/json.ts';
import { loadModel } from '../lib/loadModel.ts';
import { chatTemplateOf } from '../lib/tokenizer/chatTemplate.ts';
import { encodePrompt, parseTokenizer, type Tokenizer } from '../lib/tokenizer/tokenizer.ts';
import { path, TINY_STORIES } from './support.ts';

const FILE = path('fixtures/models/tinystories-260k/tokenizer.json');
const tokenizer = (await loadModel(TINY_STORIES)).tokenizer as Tokenizer;
const bytesOf = (text: string) => new TextEncoder().encode(text);

describe('the tokenizer of a real model', () => {
  it.each([
    'Once upon a time, there was a little girl named Lily.',
    'She said, "Mom, can I have 3 apples?" - yes!',
    '  two spaces  and a line\nwith \t tab',
    '~`!@#$%^&*()_+{}|[]\\:;<>?,./',
    'a',
    ' ',
  ])('%j is the same after encode and decode', (text) => {
    const tokens = tokenizer.encode(text);
    expect(tokens[0]).toBe(1);
    expect(Math.max(...tokens)).toBeLessThan(tokenizer.size);
    expect(tokenizer.decode(tokens)).toBe(text);
  });

  it('the empty text is the begin token alone, or nothing without special tokens', () => {
    expect(encodePrompt(tokenizer, '')).toEqual([1]);
    expect(tokenizer.encode('', { addSpecialTokens: false })).toEqual([]);
  });

  it('special tokens and ids without a token decode to nothing', () => {
    expect(tokenizer.idOf('<s>')).toBe(1);
    expect(tokenizer.decode([1, 2, 100_000, -1])).toBe('');
  });
});

describe('hostile tokenizer files', () => {
  const withSplit = (Regex: string) => {
    const definition = JSON.parse(readFileSync(FILE, 'utf8'));
    definition.pre_tokenizer = { type: 'Split', pattern: { Regex }, behavior: 'Isolated' };
    return () => parseTokenizer(bytesOf(JSON.stringify(definition)));
  };

  it.each(['(a+)+$', '(a|ab)*c', '(a?)*b', '(?:x*y*)+z'])(
    'the pattern %s, which can take exponential time, is refused',
    (pattern) => {
      expect(withSplit(pattern)).toThrow(
        expect.objectContaining({
          code: 'TokenizerRegex',
          message: expect.stringMatching(/a pattern can take exponential time: /),
        }),
      );
    },
  );

  it('a pattern without that risk is taken', () => {
    expect(withSplit('\\s+|[a-z]+')().encode('a').length).toBeGreaterThan(0);
  });

  it('tokens named like parts of JavaScript objects are tokens', () => {
    const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty'];
    const letters = ['<unk>', 'a', 'b', ...names];
    const vocab = letters.map((token, id) => `${JSON.stringify(token)}: ${id}`).join(', ');
    const added = names.map((content, i) => ({ id: 3 + i, content, special: false }));
    const odd = parseTokenizer(
      bytesOf(
        `{"added_tokens": ${JSON.stringify(added)}, ` +
          `"model": {"type": "BPE", "unk_token": "<unk>", "vocab": {${vocab}}, "merges": []}}`,
      ),
    );
    names.forEach((name, i) => {
      expect(odd.idOf(name)).toBe(3 + i);
      expect(odd.encode(name)).toEqual([3 + i]);
      expect(odd.decode([3 + i])).toBe(name);
    });
    expect(odd.encode('ab')).toEqual([1, 2]);
    expect(odd.idOf('valueOf')).toBeUndefined();
    expect(tokenizer.idOf('__proto__')).toBeUndefined();
  });
});

describe('chat templates', () => {
  const messages = [
    { role: 'user', content: 'Hi' },
    { role: 'assistant', content: '{{ 1 }}' },
  ];
  const templateOf = (source: Json) => {
    const template = chatTemplateOf(
      new Map<string, Json>([
        ['chat_template', source],
        ['bos_token', '<s>'],
      ]),
    );
    if (!template) throw new Error('expected a template');
    return template;
  };

  it('a template sees messages, special tokens and add_generation_prompt', () => {
    const template = templateOf(
      '{{ bos_token }}{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}' +
        '{% if add_generation_prompt %}[assistant]{% endif %}',
    );
    expect(template(messages)).toBe('<s>[user]Hi[assistant]{{ 1 }}[assistant]');
    expect(template(messages, { addGenerationPrompt: false })).toBe(
      '<s>[user]Hi[assistant]{{ 1 }}',
    );
    expect(templateOf("{{ messages[0]['content'] }}{{ range(3) | length }}")(messages)).toBe('Hi3');
  });

  it('a config without a template has none', () => {
    expect(chatTemplateOf(new Map())).toBeUndefined();
  });

  it.each([
    [
      'nested loops',
      '{% for i in range(9999) %}{% for j in range(9999) %}x{% endfor %}{% endfor %}',
      /more than 200000 steps/,
    ],
    [
      'a huge range',
      '{% for i in range(10000000000) %}x{% endfor %}',
      /range of 10000000000 numbers/,
    ],
    [
      'a range without an end',
      '{% for i in range(0, 5, 0) %}x{% endfor %}',
      /range of Infinity numbers/,
    ],
    [
      'a text that doubles',
      "{% set n = namespace(s='aaaa') %}{% for i in range(60) %}{% set n.s = n.s ~ n.s %}{% endfor %}{{ n.s }}",
      /more than 10000000 characters/,
    ],
    ['an exception of its own', "{{ raise_exception('no system role') }}", /no system role/],
    ['a syntax error', '{% for %}', /does not parse/],
    ['too much text', 'x'.repeat(200_001), /at most 200000 characters, got 200001/],
  ])('%s ends with an error of code ChatTemplate', (_, source, message) => {
    expect(() => templateOf(source)(messages)).toThrow(
      expect.objectContaining({ code: 'ChatTemplate', message: expect.stringMatching(message) }),
    );
  });
});
