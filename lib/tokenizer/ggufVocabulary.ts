/** The vocabulary of a GGUF file: its tokens, what kind each is, which of them begin and end a text. */

import { CheckpointError } from '../checkpoint/errors.ts';
import type { GgufHeader } from '../checkpoint/ggufHeader.ts';
import { TOKEN_TYPES } from '../checkpoint/ggufMetadata.ts';

export interface GgufVocabulary {
  /** `gpt2` or `llama`, among others. */
  readonly model: string;
  /** How `gpt2` cuts a text into words. */
  readonly preTokenizer: string;
  readonly tokens: readonly string[];
  /** Of every token, see {@link TOKEN_TYPES}. */
  readonly types: ArrayLike<number>;
  /** Of every token, for `llama`. */
  readonly scores?: ArrayLike<number>;
  readonly merges: readonly string[];
  readonly bos?: number;
  readonly eos?: number;
  readonly unknown?: number;
  /** Undefined where the file says nothing. */
  readonly addsBos?: boolean;
  readonly addsEos?: boolean;
  readonly addsSpace?: boolean;
  readonly chatTemplate?: string;
}

const PREFIX = 'tokenizer.ggml.';

/**
 * What a file's metadata say of its tokenizer; undefined where they name no tokens.
 * @throws CheckpointError with code TokenizerSchema for lists that do not fit each other, or values of wrong types.
 */
export function vocabularyOf(
  metadata: GgufHeader['metadata'],
  file: string,
): GgufVocabulary | undefined {
  const fail = (key: string, problem: string): never => {
    throw new CheckpointError('TokenizerSchema', file, `${key}: ${problem}`);
  };
  const at = (name: string) => metadata.get(`${PREFIX}${name}`);
  const texts = (name: string): readonly string[] => {
    const field = at(name);
    if (field && field.type !== 'string[]')
      fail(PREFIX + name, `expected texts, got ${field.type}`);
    return (field?.value ?? []) as readonly string[];
  };
  const text = (key: string, fallback = ''): string => {
    const { type, value } = metadata.get(key) ?? { type: 'string', value: fallback };
    return typeof value === 'string' ? value : fail(key, `expected a text, got ${type}`);
  };
  const flag = (name: string): boolean | undefined => {
    const field = at(name);
    if (!field || typeof field.value === 'boolean') return field?.value as boolean | undefined;
    return fail(PREFIX + name, `expected a bool, got ${field.type}`);
  };
  const tokens = texts('tokens');
  const numbers = (name: string): ArrayLike<number> | undefined => {
    const field = at(name);
    if (!field) return undefined;
    const { type, value } = field;
    if (!ArrayBuffer.isView(value)) return fail(PREFIX + name, `expected numbers, got ${type}`);
    const { length } = value as Int32Array;
    if (length !== tokens.length) {
      fail(PREFIX + name, `expected one for each of ${tokens.length} tokens, got ${length}`);
    }
    return Array.from(value as ArrayLike<number | bigint>, Number);
  };
  const id = (name: string): number | undefined => {
    const field = at(name);
    if (!field) return undefined;
    const value = Number(field.value);
    if (!Number.isInteger(value) || value < 0 || (tokens.length > 0 && value >= tokens.length)) {
      fail(PREFIX + name, `expected an id below ${tokens.length}, got ${String(field.value)}`);
    }
    return value;
  };
  const types = numbers('token_type');
  const scores = numbers('scores');
  const vocabulary = {
    model: text(`${PREFIX}model`, 'no model'),
    preTokenizer: text(`${PREFIX}pre`, 'default'),
    tokens,
    types: types ?? tokens.map(() => TOKEN_TYPES.normal),
    ...(scores && { scores }),
    merges: texts('merges'),
    ...{ bos: id('bos_token_id'), eos: id('eos_token_id'), unknown: id('unknown_token_id') },
    ...{ addsBos: flag('add_bos_token'), addsEos: flag('add_eos_token') },
    addsSpace: flag('add_space_prefix'),
    ...(metadata.has('tokenizer.chat_template') && {
      chatTemplate: text('tokenizer.chat_template'),
    }),
  };
  return tokens.length > 0 ? vocabulary : undefined;
}
