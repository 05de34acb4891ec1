/**
 * One form for all spellings of an answer.
 *
 * Two answers are equivalent exactly when their forms are equal, so that answers are grouped in one pass and in any
 * order. Numbers are exact: `0.5`, `1/2`, `\frac12` and `50 / 100` have the form `1/2`, and `0.333` is no third.
 * An answer is read as an expression, then as a number with a unit, then as a list, and else as words.
 */

import { constant, formatSum, multiplySums, type Sum } from './algebra.ts';
import { isTooLong, plainCharacters } from './answerText.ts';
import { type Token, tokensOf } from './answerTokens.ts';
import { algebraOf } from './parseAlgebra.ts';
import { NO_VALUE, startWork } from './rational.ts';
import { numberInWords, unitOf } from './units.ts';

/** Brackets that may be open at once; an answer with more is compared part by part. */
const MOST_DEPTH = 20;
/** How often a form is read again until it stays the same. */
const MOST_READINGS = 8;

const OPENING = new Set(['(', '[', '{', '\\{']);
const CLOSING = new Set([')', ']', '}', '\\}']);
/** What separates the parts of an answer. */
const SEPARATORS = new Set([
  ...[',', ';', ':', '=', '<', '>', '&', '\\\\'],
  ...['\\le', '\\ge', '\\ne', '\\in', '\\to', '\\cup', '\\cap', '\\approx', '\\pm'],
]);
/** What is left out before and after an answer: emphasis, quotes, ends of sentences. */
const BEFORE = new Set(['^', '*', '`', '"', ':', '=', ',', ';', '.']);
const AFTER = new Set([...BEFORE, '/']);

/**
 * The form of an answer. Never throws. An answer of more than 1,000 characters is its own form, apart from spaces at
 * its ends. Currency signs, `%`, degrees and units after a number make no difference; `x = 4` is 4.
 */
export function canonicalAnswer(answer: string): string {
  let text = answer.trim();
  for (let i = 0; i < MOST_READINGS; i++) {
    if (isTooLong(text)) return text;
    const next = readOnce(text).trim();
    if (next === text) break;
    text = next;
  }
  return text;
}

/** Whether two answers are spellings of the same one. */
export function areSameAnswer(a: string, b: string): boolean {
  return canonicalAnswer(a) === canonicalAnswer(b);
}

function readOnce(text: string): string {
  startWork();
  const tokens = withoutName(trimmed(tokensOf(plainCharacters(text))));
  return isNestedDeeply(tokens) ? wordsOf(tokens) : formOf(tokens);
}

function isNestedDeeply(tokens: readonly Token[]): boolean {
  let open = 0;
  return tokens.some(({ text }) => {
    if (OPENING.has(text)) open++;
    if (CLOSING.has(text)) open--;
    return open > MOST_DEPTH;
  });
}

function trimmed(tokens: readonly Token[]): readonly Token[] {
  let [from, to] = [0, tokens.length];
  while (from < to && BEFORE.has(tokens[from].text)) from++;
  while (to > from && AFTER.has(tokens[to - 1].text)) to--;
  return tokens.slice(from, to);
}

/** What comes after `x =` or `x \in`, if there is no other such sign. */
function withoutName(tokens: readonly Token[]): readonly Token[] {
  const isSign = ({ text }: Token) => text === '=' || text === '\\in';
  const [name, sign] = tokens;
  if (tokens.length < 3 || name.kind !== 'word' || name.text.length > 2) return tokens;
  return isSign(sign) && tokens.filter(isSign).length === 1 ? tokens.slice(2) : tokens;
}

function formOf(tokens: readonly Token[]): string {
  if (tokens.length === 0) return '';
  const value = valueIn(tokens);
  if (value) return formatSum(value);
  const isWhole = OPENING.has(tokens[0].text) && closing(tokens) === tokens.length - 1;
  return isWhole ? bracketed(tokens) : (listOf(tokens) ?? wordsOf(tokens));
}

/** The number or expression that parts say, without its unit. */
function valueIn(tokens: readonly Token[]): Sum | undefined {
  const said = numberInWords(tokens);
  if (said !== undefined) return constant({ n: BigInt(said), d: 1n });
  const value = algebraOf(tokens);
  if (value) return value;
  const unit = unitOf(tokens);
  const before = unit && algebraOf(tokens.slice(0, unit.from));
  if (!unit || !before) return undefined;
  try {
    return multiplySums(before, constant(unit.scale));
  } catch (cause) {
    if (cause !== NO_VALUE) throw cause;
    return undefined;
  }
}

/** Index of the bracket that closes the first one, of whatever kind; −1 when none does. */
function closing(tokens: readonly Token[]): number {
  let open = 0;
  for (let i = 0; i < tokens.length; i++) {
    if (OPENING.has(tokens[i].text)) open++;
    if (CLOSING.has(tokens[i].text) && --open === 0) return i;
  }
  return -1;
}

function bracketed(tokens: readonly Token[]): string {
  const [open, close] = [tokens[0].text, tokens[tokens.length - 1].text];
  const inner = tokens.slice(1, -1);
  if (open === '{' && close === '}') return formOf(trimmed(inner));
  const { pieces, signs } = split(inner);
  const isList = signs.includes(',');
  if (open === '(' && close === ')' && !isList) return formOf(trimmed(inner));
  if (!isList || signs.some((sign) => sign !== ',')) {
    return `${open}${formOf(inner)}${close}`;
  }
  const forms = pieces.map((piece) => formOf(piece));
  // the order of a set is of no account
  const isSet = open === '\\{' && close === '\\}';
  return `${open}${(isSet ? [...new Set(forms)].sort() : forms).join(',')}${close}`;
}

/** The parts between separators; undefined when there is none. */
function listOf(tokens: readonly Token[]): string | undefined {
  const { pieces, signs } = split(tokens);
  if (signs.length === 0) return undefined;
  const forms = pieces.map((piece) => formOf(piece));
  // a space, or `12, 345` would become a number
  const spaced = signs.map((sign) => (sign === ',' ? ', ' : sign[0] === '\\' ? ` ${sign} ` : sign));
  return forms.map((form, i) => form + (spaced[i] ?? '')).join('');
}

/** Cuts at the separators outside brackets. */
function split(tokens: readonly Token[]): { pieces: Token[][]; signs: string[] } {
  const pieces: Token[][] = [[]];
  const signs: string[] = [];
  let open = 0;
  for (const token of tokens) {
    if (OPENING.has(token.text)) open++;
    if (CLOSING.has(token.text)) open--;
    if (open === 0 && SEPARATORS.has(token.text)) {
      signs.push(token.text);
      pieces.push([]);
    } else pieces[pieces.length - 1].push(token);
  }
  return { pieces, signs };
}

/** Parts as they stand, words in lower case, numbers without idle zeros. */
function wordsOf(tokens: readonly Token[]): string {
  let text = '';
  tokens.forEach((token, i) => {
    if (token.text === '"' || token.text === '`') return;
    const before = tokens[i - 1];
    const areJoined = before && before.kind !== 'symbol' && token.kind !== 'symbol';
    text += (text !== '' && token.isSpaced) || areJoined ? ` ${wordOf(token)}` : wordOf(token);
  });
  return text.trim();
}

function wordOf({ kind, text }: Token): string {
  if (kind === 'word') return text.length > 1 ? text.toLowerCase() : text;
  if (kind !== 'number' || text.includes('e')) return text;
  const [whole, part = ''] = text.split('.');
  const idle = part.length - trailingZeros(part);
  return `${whole}${idle > 0 ? `.${part.slice(0, idle)}` : ''}`;
}

function trailingZeros(digits: string): number {
  let count = 0;
  while (digits[digits.length - 1 - count] === '0') count++;
  return count;
}
