/**
 * An answer in the spelling that search-and-learn compares (`strip_string` of its qwen_math_parser.py at 6f81cac):
 * LaTeX without layout, no spaces, no unit, `1/2` as `\frac{1}{2}`. Unlike a canonical form it leaves decimals as
 * they are, so that `0.50` is not `1/2`.
 */

import { isTooLong, plainCharacters } from './answerText.ts';
import { type Token, tokensOf } from './answerTokens.ts';
import { isUnit } from './units.ts';

/** Never throws. An answer of more than 1,000 characters is left as it is, apart from spaces at its ends. */
export function stripAnswer(answer: string): string {
  const trimmed = answer.trim();
  if (isTooLong(trimmed)) return trimmed;
  const tokens = withoutUnits(withoutPeriods(tokensOf(plainCharacters(trimmed))));
  return withFractions(withoutName(tokens));
}

function withoutPeriods(tokens: readonly Token[]): readonly Token[] {
  let end = tokens.length;
  while (end > 0 && tokens[end - 1].text === '.') end--;
  return tokens.slice(0, end);
}

/** Without the text at the end, if something is before it, and without units anywhere. */
function withoutUnits(tokens: readonly Token[]): readonly Token[] {
  let end = tokens.length;
  while (end > 0 && tokens[end - 1].isText) end--;
  const kept = end > 0 ? tokens.slice(0, end) : tokens;
  return kept.filter(({ kind, text }) => kind !== 'word' || !isUnit(text));
}

/** What is right of the only `=`, if one or two characters are left of it. */
function withoutName(tokens: readonly Token[]): readonly Token[] {
  const at = tokens.findIndex(({ text }) => text === '=');
  if (at < 1 || tokens.slice(at + 1).some(({ text }) => text === '=')) return tokens;
  const name = tokens.slice(0, at).reduce((length, { written }) => length + written.length, 0);
  return name <= 2 ? tokens.slice(at + 1) : tokens;
}

function withFractions(tokens: readonly Token[]): string {
  const [top, slash, bottom] = tokens.slice(-3);
  const isNegative = tokens.length === 4 && tokens[0].text === '-';
  if (slash?.text === '/' && isDigits(top) && isDigits(bottom)) {
    if (tokens.length === 3 || isNegative) {
      return `\\frac{${isNegative ? '-' : ''}${top.text}}{${bottom.text}}`;
    }
  }
  let text = '';
  let bare = 0;
  for (const token of tokens) {
    // arguments of a \frac, and of a \sqrt, get their braces
    if (bare > 0 && token.kind !== 'symbol') text += `{${spelled(token)}}`;
    else text += needsSpace(text, token) ? ` ${spelled(token)}` : spelled(token);
    if (token.text === '\\frac') bare = 2;
    else if (token.text === '\\sqrt') bare = 1;
    else bare = token.kind === 'symbol' ? 0 : Math.max(0, bare - 1);
  }
  return text;
}

const isDigits = ({ kind, text }: Token) => kind === 'number' && !/[.e]/.test(text);

/** A command's name ends where letters end. */
function needsSpace(before: string, { kind }: Token): boolean {
  if (kind !== 'word') return false;
  const at = before.lastIndexOf('\\');
  return at >= 0 && /^[a-zA-Z]+$/.test(before.slice(at + 1));
}

/** A number as it was written, with a digit before its point and no idle point. */
function spelled({ kind, text, written }: Token): string {
  if (kind === 'symbol') return text === '\\{' || text === '\\}' ? text[1] : text;
  if (kind !== 'number') return text;
  const at = written.indexOf('.');
  const part = at < 0 ? '' : written.slice(at + 1);
  if (at >= 0 && /^0*$/.test(part)) return written.slice(0, at) || '0';
  return at === 0 ? `0${written}` : written;
}
