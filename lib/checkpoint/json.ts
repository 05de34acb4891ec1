/**
 * A JSON parser for files that nobody vouches for.
 *
 * JSON.parse keeps the last of two equal keys, lets `__proto__` into objects, rounds integers above 2⁵³,
 * cannot tell 4.0 from 4, takes lone surrogates, and refuses the bare `Infinity` that Python writes into
 * published configs. This one refuses the first five by name, and takes the last where the caller allows it.
 */

import { type CheckpointCode, CheckpointError } from './errors.ts';

/** Parsed JSON. Objects are Maps, so that no key means anything but itself. */
export type Json = null | boolean | number | JsonInteger | string | Json[] | JsonObject;
export type JsonObject = Map<string, Json>;

/** An integer as it was written, when the parser was asked for exact integers. */
export class JsonInteger {
  readonly value: bigint;
  constructor(value: bigint) {
    this.value = value;
  }
}

export interface JsonRules {
  /** File name for messages. */
  file: string;
  /** Code of an error for text that is not JSON, or is nested too deeply. */
  syntax: CheckpointCode;
  /** Code of an error for bytes that are not UTF-8. Default: the same. */
  utf8?: CheckpointCode;
  /** Whether NaN, Infinity and −Infinity are numbers, as in Python's json. Default false. */
  allowsNonFinite?: boolean;
  /** Whether keys that JavaScript objects treat specially are refused. Default false. */
  refusesUnsafeKeys?: boolean;
  /** Whether integers become {@link JsonInteger}; then 4.0 and 1e1 stay plain numbers. Default false. */
  hasExactIntegers?: boolean;
}

const MAX_DEPTH = 128;
const UNSAFE_KEYS: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);

/**
 * Parses bytes under the given rules.
 * @throws CheckpointError with the codes of `rules`, or DuplicateKey, or UnsafeKey.
 */
export function parseJson(bytes: Uint8Array, rules: JsonRules): Json {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new CheckpointError(rules.utf8 ?? rules.syntax, rules.file, 'expected UTF-8 text');
  }
  return new Parser(text, rules).document();
}

const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const WHITESPACE = /[ \t\n\r]*/y;
const PLAIN_CHARACTERS = /[^"\\\u0000-\u001f]*/y;
const ESCAPES: ReadonlyMap<string, string> = new Map([
  ['"', '"'],
  ['\\', '\\'],
  ['/', '/'],
  ['b', '\b'],
  ['f', '\f'],
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
]);

class Parser {
  readonly #text: string;
  readonly #rules: JsonRules;
  #at = 0;

  constructor(text: string, rules: JsonRules) {
    this.#text = text;
    this.#rules = rules;
  }

  document(): Json {
    const value = this.#value(0);
    this.#skipWhitespace();
    if (this.#at < this.#text.length) this.#fail('expected the end of the text');
    return value;
  }

  #fail(problem: string): never {
    const found = this.#at < this.#text.length ? JSON.stringify(this.#text[this.#at]) : 'the end';
    throw new CheckpointError(
      this.#rules.syntax,
      this.#rules.file,
      `not valid JSON: ${problem}, got ${found} at character ${this.#at}`,
    );
  }

  /** Matches a sticky expression here and moves past it. */
  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    if (found) this.#at += found.length;
    return found;
  }

  #skipWhitespace(): void {
    this.#match(WHITESPACE);
  }

  #take(token: string): boolean {
    if (!this.#text.startsWith(token, this.#at)) return false;
    this.#at += token.length;
    return true;
  }

  #value(depth: number): Json {
    this.#skipWhitespace();
    if (this.#take('{')) return this.#object(depth);
    if (this.#take('[')) return this.#array(depth);
    if (this.#take('"')) return this.#string();
    if (this.#take('true')) return true;
    if (this.#take('false')) return false;
    if (this.#take('null')) return null;
    if (this.#rules.allowsNonFinite) {
      if (this.#take('NaN')) return Number.NaN;
      if (this.#take('Infinity')) return Number.POSITIVE_INFINITY;
      if (this.#take('-Infinity')) return Number.NEGATIVE_INFINITY;
    }
    const number = this.#match(NUMBER);
    if (number === undefined) this.#fail('expected a value');
    if (this.#rules.hasExactIntegers && /^-?[0-9]+$/.test(number)) {
      if (number.length > 40) this.#fail('expected an integer of at most 40 digits');
      return new JsonInteger(BigInt(number));
    }
    return Number(number);
  }

  #expectDepth(depth: number): void {
    if (depth >= MAX_DEPTH) this.#fail(`expected at most ${MAX_DEPTH} levels of nesting`);
  }

  #object(depth: number): JsonObject {
    this.#expectDepth(depth);
    const object: JsonObject = new Map();
    this.#skipWhitespace();
    if (this.#take('}')) return object;
    do {
      this.#skipWhitespace();
      if (!this.#take('"')) this.#fail('expected a key in double quotes');
      const key = this.#string();
      if (object.has(key)) {
        throw new CheckpointError('DuplicateKey', this.#rules.file, `key "${key}" stands twice`);
      }
      if (this.#rules.refusesUnsafeKeys && UNSAFE_KEYS.has(key)) {
        throw new CheckpointError('UnsafeKey', this.#rules.file, `key "${key}" is refused`);
      }
      this.#skipWhitespace();
      if (!this.#take(':')) this.#fail('expected ":"');
      object.set(key, this.#value(depth + 1));
      this.#skipWhitespace();
    } while (this.#take(','));
    if (!this.#take('}')) this.#fail('expected "," or "}"');
    return object;
  }

  #array(depth: number): Json[] {
    this.#expectDepth(depth);
    const array: Json[] = [];
    this.#skipWhitespace();
    if (this.#take(']')) return array;
    do {
      array.push(this.#value(depth + 1));
      this.#skipWhitespace();
    } while (this.#take(','));
    if (!this.#take(']')) this.#fail('expected "," or "]"');
    return array;
  }

  /** The rest of a string whose opening quote has been taken. */
  #string(): string {
    let value = '';
    for (;;) {
      value += this.#match(PLAIN_CHARACTERS) ?? '';
      if (this.#take('"')) return value;
      if (!this.#take('\\')) this.#fail('expected a character or the end of the string');
      value += this.#escape();
    }
  }

  #escape(): string {
    const letter = this.#text[this.#at] ?? '';
    const simple = ESCAPES.get(letter);
    if (simple !== undefined) {
      this.#at++;
      return simple;
    }
    const unit = this.#unicodeUnit();
    if (unit < 0xd800 || unit > 0xdfff) return String.fromCharCode(unit);
    // half of a surrogate pair: the other half must follow at once
    if (unit > 0xdbff || !this.#text.startsWith('\\u', this.#at)) this.#fail('lone surrogate');
    this.#at++;
    const low = this.#unicodeUnit();
    if (low < 0xdc00 || low > 0xdfff) this.#fail('lone surrogate');
    return String.fromCharCode(unit, low);
  }

  #unicodeUnit(): number {
    const digits = /^u([0-9a-fA-F]{4})/.exec(this.#text.slice(this.#at, this.#at + 5))?.[1];
    if (digits === undefined) this.#fail('unknown escape');
    this.#at += 5;
    return Number.parseInt(digits, 16);
  }
}

/** Parsed JSON as plain objects without a prototype, for libraries that want objects. */
export function toPlain(json: Json): unknown {
  if (json instanceof JsonInteger) return Number(json.value);
  if (Array.isArray(json)) return json.map(toPlain);
  if (!(json instanceof Map)) return json;
  const object = Object.create(null) as Record<string, unknown>;
  for (const [key, value] of json) object[key] = toPlain(value);
  return object;
}
