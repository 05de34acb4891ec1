/** Text to token ids and back, by Hugging Face's tokenizer library behind our checks. */

import { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers';
import { ConfigError } from '../../reference/errors.ts';
import { CheckpointError } from '../checkpoint/errors.ts';
import { type ModelFiles, readWhole } from '../checkpoint/files.ts';
import { type Json, parseJson, toPlain } from '../checkpoint/json.ts';
import { exponentialRisk } from './regexSafety.ts';
import { checkTokenizer } from './validate.ts';

/** Turns text into token ids and back. */
export interface Tokenizer {
  /** One more than the largest id. */
  readonly size: number;
  /** The id of a token by its exact text, special or not. */
  idOf(token: string): number | undefined;
  /**
   * Token ids of a text. `addSpecialTokens` (default true) puts before and after it what the tokenizer's
   * template says, e.g. a begin token.
   */
  encode(text: string, options?: { addSpecialTokens?: boolean }): number[];
  /** Text of token ids; special tokens and ids without a token give nothing. */
  decode(tokens: readonly number[]): string;
}

const MAX_TOKENIZER_BYTES = 100_000_000;
export const TOKENIZER_FILE = 'tokenizer.json';

/**
 * Reads a folder's tokenizer.json; undefined when there is none.
 * @throws CheckpointError for a file that is damaged, unsafe or of a kind that is not supported.
 */
export async function readTokenizer(
  files: ModelFiles,
  config: ReadonlyMap<string, Json> = new Map(),
): Promise<Tokenizer | undefined> {
  if (!(await files.list()).includes(TOKENIZER_FILE)) return undefined;
  const bytes = await readWhole(files, TOKENIZER_FILE, MAX_TOKENIZER_BYTES);
  return parseTokenizer(bytes, TOKENIZER_FILE, config);
}

/**
 * A tokenizer from the bytes of a tokenizer.json, and the fields of a tokenizer_config.json.
 * @throws CheckpointError for a file that is damaged, unsafe or of a kind that is not supported.
 */
export function parseTokenizer(
  bytes: Uint8Array,
  file = TOKENIZER_FILE,
  config: ReadonlyMap<string, Json> = new Map(),
): Tokenizer {
  const json = parseJson(bytes, { file, syntax: 'TokenizerJson', hasExactIntegers: true });
  return tokenizerFrom(json, file, config);
}

/** {@link parseTokenizer} of what is parsed already; integers are exact. */
export function tokenizerFrom(
  json: Json,
  file: string,
  config: ReadonlyMap<string, Json> = new Map(),
): Tokenizer {
  const vocab = checkTokenizer(json, file);
  const library = construct(json, file);
  let size = 0;
  for (const id of vocab.values()) size = Math.max(size, id + 1);
  const known = new Set(vocab.values());
  const begin = beginToken(config, vocab);
  const tokenizer: Tokenizer = {
    size,
    idOf: (token) => vocab.get(token),
    encode: (text, { addSpecialTokens = true } = {}) => {
      const { ids } = library.encode(text, { add_special_tokens: addSpecialTokens });
      const needsBegin = addSpecialTokens && begin !== undefined && ids[0] !== begin;
      return needsBegin ? [begin, ...ids] : ids;
    },
    decode: (tokens) => {
      const ids = tokens.filter((id) => known.has(id));
      if (ids.length === 0) return '';
      const options = { skip_special_tokens: true, clean_up_tokenization_spaces: false };
      return library.decode(ids, options);
    },
  };
  tryOut(tokenizer, file);
  return tokenizer;
}

function construct(json: Json, file: string): HuggingFaceTokenizer {
  const definition = toPlain(json) as Record<string, unknown>;
  for (const part of ['normalizer', 'pre_tokenizer', 'post_processor', 'decoder']) {
    definition[part] ??= null;
  }
  definition.added_tokens ??= [];
  const model = definition.model as Record<string, unknown>;
  model.type ??= 'BPE';
  let library: HuggingFaceTokenizer;
  try {
    library = new HuggingFaceTokenizer(definition, {});
  } catch (cause) {
    const isRegex = cause instanceof SyntaxError;
    const what = isRegex ? 'a pattern does not compile' : 'the tokenizer library refused it';
    const code = isRegex ? 'TokenizerRegex' : 'TokenizerSchema';
    throw new CheckpointError(code, file, `${what}: ${(cause as Error).message}`, { cause });
  }
  for (const pattern of patternsIn([library.normalizer, library.pre_tokenizer, library.decoder])) {
    const risk = exponentialRisk(pattern);
    if (risk) {
      throw new CheckpointError(
        'TokenizerRegex',
        file,
        `a pattern can take exponential time: ${risk}`,
      );
    }
  }
  return library;
}

/** All regular expressions that the library will run, found where it keeps them. */
function patternsIn(root: unknown): RegExp[] {
  const found: RegExp[] = [];
  const seen = new Set<unknown>();
  const visit = (value: unknown, depth: number): void => {
    const isNode = typeof value === 'object' || typeof value === 'function';
    if (!isNode || value === null || seen.has(value) || depth > 12) return;
    seen.add(value);
    if (value instanceof RegExp) found.push(value);
    else if (!ArrayBuffer.isView(value))
      for (const child of Object.values(value)) visit(child, depth + 1);
  };
  visit(root, 0);
  return found;
}

/** The begin token, where tokenizer_config.json wants one added that the template may not add. */
function beginToken(
  config: ReadonlyMap<string, Json>,
  vocab: ReadonlyMap<string, number>,
): number | undefined {
  if (config.get('add_bos_token') !== true) return undefined;
  const bos = config.get('bos_token');
  const text = bos instanceof Map ? bos.get('content') : bos;
  return typeof text === 'string' ? vocab.get(text) : undefined;
}

/** A tokenizer that fails on plain text must fail when it is loaded, not in the middle of a run. */
function tryOut(tokenizer: Tokenizer, file: string): void {
  try {
    tokenizer.decode(tokenizer.encode('Once upon a time, 12 + 34 = 46.\n\tÄ'));
  } catch (cause) {
    const problem = `fails on a plain sentence: ${(cause as Error).message}`;
    throw new CheckpointError('TokenizerSchema', file, problem, { cause });
  }
}

/** @throws ConfigError with code EmptyPrompt when a text encodes to no token at all. */
export function encodePrompt(tokenizer: Tokenizer, text: string): number[] {
  const tokens = tokenizer.encode(text);
  if (tokens.length > 0) return tokens;
  throw new ConfigError(
    'prompt: expected some text, got an empty one and a model without a begin token; give it a first word',
    'EmptyPrompt',
  );
}
