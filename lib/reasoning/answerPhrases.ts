/** Answers that a sentence gives, and the last number of a text. Read as in answerScanners.ts. */

import { isSpace, LONGEST_ANSWER } from './answerText.ts';

/** "answer is" without its first letter, which may be a capital, and the same in Chinese. */
const PHRASES = ['nswer is', 'nswer Is', 'NSWER IS', '答案是'];

/** What follows the last "answer is": a formula between dollar signs whole, else to the end of the sentence. */
export function afterPhrase(text: string): string | null {
  let from = -1;
  for (const phrase of PHRASES) {
    const at = text.lastIndexOf(phrase);
    if (at >= 0) from = Math.max(from, at + phrase.length);
  }
  if (from < 0) return null;
  while (from < text.length && (isSpace(text.charCodeAt(from)) || ':*'.includes(text[from])))
    from++;
  // what is longer is no answer
  const rest = text.slice(from, from + LONGEST_ANSWER + 2);
  const end = rest.indexOf('\n');
  const line = end < 0 ? rest : rest.slice(0, end);
  return formula(line) ?? sentence(line);
}

/** `$…$` at the beginning. As in Markdown the closing sign follows no space, and no digit follows it. */
function formula(line: string): string | null {
  if (line[0] !== '$' || line[1] === ' ') return null;
  const from = line[1] === '$' ? 2 : 1;
  for (let at = line.indexOf('$', from); at >= 0; at = line.indexOf('$', at + 1)) {
    const isDigit = line[at + 1] >= '0' && line[at + 1] <= '9';
    if (at > from && line[at - 1] !== ' ' && line[at - 1] !== '\\' && !isDigit) {
      return line.slice(from, at).trim();
    }
  }
  return null;
}

/** Up to a full stop, exclamation or question mark that a space or the end follows; emphasis is left out. */
function sentence(line: string): string {
  let end = 0;
  while (end < line.length && !endsSentence(line, end)) end++;
  let from = 0;
  while (from < end && '* '.includes(line[from])) from++;
  while (end > from && '* '.includes(line[end - 1])) end--;
  return line.slice(from, end);
}

function endsSentence(line: string, at: number): boolean {
  if (!'.!?'.includes(line[at])) return false;
  const isLast = at + 1 === line.length;
  // `5!` at the end is a factorial
  if (line[at] === '!' && isLast) return line[at - 1] === '*';
  return isLast || ' *'.includes(line[at + 1]);
}

/** The last number: `-1,234.5`, `3/4`, `1e-3`. A `-` after a digit, a letter or a bracket is no sign. */
export function lastNumber(text: string): string | null {
  let end = text.length;
  while (end > 0 && !isDigit(text, end - 1)) end--;
  if (end === 0) return null;
  let from = decimalBefore(text, end);
  const before = text[from - 1];
  const sign = before === '-' || before === '+' ? 1 : 0;
  const letter = text[from - 1 - sign];
  if ((letter === 'e' || letter === 'E') && isDigit(text, from - 2 - sign)) {
    from = decimalBefore(text, from - 1 - sign);
  } else if (before === '/' && isDigit(text, from - 2)) {
    const top = wholeBefore(text, from - 1);
    // 10/12/2020 is no fraction
    if (text[top - 1] !== '/' && text[top - 1] !== '.') from = top;
  }
  const isMinus = from > 0 && '-\u2212'.includes(text[from - 1]);
  return text.slice(isMinus && !isOperand(text, from - 2) ? from - 1 : from, end);
}

const isDigit = (text: string, at: number) => text[at] >= '0' && text[at] <= '9';

function isOperand(text: string, at: number): boolean {
  const code = text.charCodeAt(at) | 32;
  return isDigit(text, at) || (code >= 97 && code <= 122) || ')]}'.includes(text[at] ?? ' ');
}

function wholeBefore(text: string, end: number): number {
  let from = end;
  while (from > 0 && isDigit(text, from - 1)) from--;
  return from;
}

/** Where the decimal begins that ends here, separators of thousands included. */
function decimalBefore(text: string, end: number): number {
  let from = wholeBefore(text, end);
  let isGroup = end - from === 3;
  if (text[from - 1] === '.') {
    const whole = wholeBefore(text, from - 1);
    // .5, but not the end of a sentence that a number follows
    from = whole < from - 1 || !isOperand(text, from - 2) ? whole : from;
    isGroup = from === whole && whole < end - 1 && digitsOf(text, whole) === 3;
  }
  while (isGroup && text[from - 1] === ',' && isDigit(text, from - 2)) {
    const next = wholeBefore(text, from - 1);
    const width = from - 1 - next;
    if (width > 3) break;
    from = next;
    isGroup = width === 3;
  }
  return from;
}

function digitsOf(text: string, from: number): number {
  let at = from;
  while (isDigit(text, at) && at - from < 4) at++;
  return at - from;
}
