/**
 * One closed vocabulary for all tasks, and the tokenizer of models that are trained on them.
 *
 * A token is a word, a sign or a digit. A number is its digits, the first one as it is and the others as `##0` to
 * `##9`, joined to what stands before them: that is WordPiece with whole words, which Hugging Face's tokenizer
 * libraries know in every language.
 */

import { ConfigError } from '../../reference/errors.ts';
import { OPERATORS } from './expression.ts';
import { CONCLUSION, STEP_END, wordsOf } from './steps.ts';
import { GAINING, GLUE, LOSING, NAMES, OBJECTS } from './words.ts';

/** What marks the digits of a number after the first. */
const JOINED = '##';
const DIGITS = [...'0123456789'];
const SPECIAL = ['<pad>', '<s>', '</s>', '<unk>'];

/** Every token by its id. */
export const VOCABULARY: readonly string[] = [
  ...SPECIAL,
  ...DIGITS,
  ...DIGITS.map((digit) => `${JOINED}${digit}`),
  ...[STEP_END, CONCLUSION, ':', '=', '+', '-', '*', '/'],
  ...OPERATORS.map((operator) => `[${operator}`),
  ']',
  ...OPERATORS,
  ...NAMES,
  ...OBJECTS,
  ...GAINING,
  ...LOSING,
  ...GLUE,
];

/** Ids of the tokens that stand for no text: padding, begin, end, and any word outside the vocabulary. */
export const SPECIAL_IDS = { pad: 0, bos: 1, eos: 2, unk: 3 } as const;

const IDS: ReadonlyMap<string, number> = new Map(VOCABULARY.map((token, id) => [token, id]));

/**
 * Token ids of a text of any task, without begin and end. What the tokenizer of {@link tokenizerJson} gives, faster.
 * @throws ConfigError with code Vocabulary for a word outside the vocabulary.
 */
export function encodeText(text: string): number[] {
  const ids: number[] = [];
  for (const word of wordsOf(text)) {
    const id = word.startsWith(JOINED) || word.startsWith('<') ? undefined : IDS.get(word);
    if (id !== undefined) ids.push(id);
    else if (/^[0-9]+$/.test(word)) {
      for (let i = 0; i < word.length; i++) {
        ids.push(IDS.get(i === 0 ? word[i] : `${JOINED}${word[i]}`) as number);
      }
    } else {
      throw new ConfigError(
        `text: expected words of the vocabulary, got ${JSON.stringify(word.slice(0, 40))}`,
        'Vocabulary',
      );
    }
  }
  return ids;
}

/** Text of token ids, without the special ones and those that are none. */
export function decodeText(ids: readonly number[]): string {
  let text = '';
  for (const id of ids) {
    const token = VOCABULARY[id];
    if (token === undefined || id < SPECIAL.length) continue;
    if (text === '') text = token;
    else text += token.startsWith(JOINED) ? token.slice(JOINED.length) : ` ${token}`;
  }
  return text;
}

/** A tokenizer.json for the vocabulary: `<s>` before a text, words between spaces, digits one by one. */
export function tokenizerJson(): string {
  const bos = VOCABULARY[SPECIAL_IDS.bos];
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false };
  const template = (...sequences: string[]) =>
    sequences.flatMap((id, type_id) => [
      { SpecialToken: { id: bos, type_id } },
      { Sequence: { id, type_id } },
    ]);
  const tokenizer = {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: SPECIAL.map((content, id) => ({ id, content, ...flags, special: true })),
    normalizer: null,
    pre_tokenizer: { type: 'WhitespaceSplit' },
    post_processor: {
      type: 'TemplateProcessing',
      single: template('A'),
      pair: template('A', 'B'),
      special_tokens: { [bos]: { id: bos, ids: [SPECIAL_IDS.bos], tokens: [bos] } },
    },
    decoder: { type: 'WordPiece', prefix: JOINED, cleanup: false },
    model: {
      type: 'WordPiece',
      unk_token: VOCABULARY[SPECIAL_IDS.unk],
      continuing_subword_prefix: JOINED,
      max_input_chars_per_word: 100,
      vocab: Object.fromEntries(IDS),
    },
  };
  return `${JSON.stringify(tokenizer, null, 1)}\n`;
}
