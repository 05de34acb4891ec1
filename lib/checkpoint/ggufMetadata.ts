/** GGUF metadata as the fields of a config. */

import type { Fields } from './fields.ts';
import type { GgufField } from './ggufFields.ts';
import type { GgufHeader } from './ggufHeader.ts';
import type { Json } from './json.ts';

/** llama.cpp's numbers for the kinds of tokens of a vocabulary. */
export const TOKEN_TYPES = {
  normal: 1,
  unknown: 2,
  control: 3,
  userDefined: 4,
  unused: 5,
  byte: 6,
};
/** Lists for every layer are no longer than this. */
const MAX_LIST = 2 ** 16;

/** The values under a prefix as a config's: numbers, texts, lists of numbers. */
export function jsonOf(metadata: GgufHeader['metadata'], prefix: string): Map<string, Json> {
  const json = new Map<string, Json>();
  for (const [key, field] of metadata) {
    const value = key.startsWith(prefix) ? plain(field) : undefined;
    if (value !== undefined) json.set(key.slice(prefix.length), value);
  }
  return json;
}

function plain({ type, value }: GgufField): Json | undefined {
  if (typeof value === 'bigint') return Number(value);
  if (typeof value === 'number') return type === 'float32' ? decimalOf(value) : value;
  if (typeof value !== 'object') return value;
  if (value.length > MAX_LIST) return undefined;
  return Array.from(value as ArrayLike<number | bigint>).every((item) => typeof item !== 'object')
    ? Array.from(value as ArrayLike<number | bigint>, Number)
    : undefined;
}

/** The shortest decimal that a float32 can stand for: 0.00001 where a config said so, not 0.0000099999997… */
export function decimalOf(single: number): number {
  for (let digits = 1; digits < 9; digits++) {
    const decimal = Number(single.toPrecision(digits));
    if (Math.fround(decimal) === single) return decimal;
  }
  return single;
}

/** Tokens of the vocabulary without those that pad it at its end. */
export function usedTokens(metadata: GgufHeader['metadata']): number | undefined {
  const tokens = metadata.get('tokenizer.ggml.tokens')?.value;
  if (!Array.isArray(tokens) || tokens.length === 0) return undefined;
  const types = metadata.get('tokenizer.ggml.token_type')?.value;
  let used = tokens.length;
  while (ArrayBuffer.isView(types) && used > 1 && Number(types[used - 1]) === TOKEN_TYPES.unused)
    used--;
  return used;
}

export function tokenIds(fields: Fields, names: readonly string[], vocabRows: number): number[] {
  return names
    .filter((name) => fields.has(name))
    .map((name) => fields.integer(name, { min: 0, max: vocabRows - 1 }));
}
