/**
 * Where an answer stands in a text: one scanner for each way of giving it. Each reads the text a bounded number of
 * times, whatever it says; none uses a pattern that could go back.
 */

import { isSpace } from './answerText.ts';

const isSpaceAt = (text: string, at: number) =>
  at < 0 || at >= text.length || isSpace(text.charCodeAt(at));
const isDigitAt = (text: string, at: number) => text[at] >= '0' && text[at] <= '9';
const isLetterAt = (text: string, at: number) => {
  const code = text.charCodeAt(at) | 32;
  return code >= 97 && code <= 122;
};

/** The end of the line that a place is in. */
function lineEnd(text: string, from: number): number {
  const end = text.indexOf('\n', from);
  return end < 0 ? text.length : end;
}

/**
 * `#### 42`, the answer of GSM8K: the last such sign that a number follows, or that opens the last line. Else
 * `# 42`, the conclusion of lib/tasks, as `answerOf` there: all words after the only `#`, on the last line.
 */
export function afterHash(text: string): string | null {
  return afterFourHashes(text) ?? afterOnlyHash(text);
}

function afterFourHashes(text: string): string | null {
  const written = text.trimEnd();
  for (let at = written.lastIndexOf('####'); at >= 0; at = written.lastIndexOf('####', at - 4)) {
    const end = lineEnd(written, at);
    const line = written.slice(at + 4, end).trim();
    if (line !== '' && (end === written.length || startsNumber(line))) return line;
    if (at < 4) return null;
  }
  return null;
}

function startsNumber(line: string): boolean {
  let at = 0;
  while (at < 3 && '-+$.(\u2212'.includes(line[at] ?? ' ')) at++;
  return isDigitAt(line, at);
}

function afterOnlyHash(text: string): string | null {
  let found = -1;
  for (let at = text.indexOf('#'); at >= 0; at = text.indexOf('#', at + 1)) {
    if (!isSpaceAt(text, at - 1) || !isSpaceAt(text, at + 1)) continue;
    if (found >= 0) return null;
    found = at;
  }
  if (found < 0) return null;
  const rest = text.slice(found + 1).trim();
  return rest.includes('\n') ? null : rest;
}

/** `A: 42` or `Answer: 42` at the beginning of a line, also in bold; the last such line that says something. */
export function afterAnswerLine(text: string): string | null {
  let end = text.length;
  while (end >= 0) {
    const start = end === 0 ? 0 : text.lastIndexOf('\n', end - 1) + 1;
    const answer = answerOfLine(text, start, end);
    if (answer) return answer;
    if (start === 0) return null;
    end = start - 1;
  }
  return null;
}

const LABELS = ['a', 'answer', 'final answer', 'the answer', 'the final answer'];
const LONGEST_LABEL = 40;

function answerOfLine(text: string, start: number, end: number): string | null {
  let from = start;
  while (from < end && (isSpaceAt(text, from) || '*_#'.includes(text[from]))) from++;
  const colon = text.slice(from, Math.min(end, from + LONGEST_LABEL)).indexOf(':');
  if (colon < 0) return null;
  const label = withoutEmphasis(text.slice(from, from + colon)).toLowerCase();
  return LABELS.includes(label) ? withoutEmphasis(text.slice(from + colon + 1, end)) : null;
}

/** Without asterisks and spaces at both ends. */
function withoutEmphasis(text: string): string {
  let [from, to] = [0, text.length];
  while (from < to && (text[from] === '*' || isSpaceAt(text, from))) from++;
  while (to > from && (text[to - 1] === '*' || isSpaceAt(text, to - 1))) to--;
  return text.slice(from, to);
}

/** What the last `\boxed{…}` or `\fbox{…}` holds, whose braces close; without braces, what is up to `$` or the line's end. */
export function lastBoxed(text: string): string | null {
  let best: { from: number; to: number } | undefined;
  /** For each open brace, where a box begins; −1 for other braces. */
  const open: number[] = [];
  let box = nextBox(text, 0);
  let brace = nextBrace(text, 0);
  while (brace < text.length || box) {
    if (box && !box.isBraced && box.from <= brace) {
      const to = Math.min(lineEnd(text, box.from), endAt(text.indexOf('$', box.from), text));
      best = { from: box.from, to };
      box = nextBox(text, to);
      continue;
    }
    if (brace >= text.length) break;
    if (text[brace] === '{') {
      open.push(box?.from === brace ? brace : -1);
      if (box?.from === brace) box = nextBox(text, brace);
    } else {
      const from = open.pop() ?? -1;
      if (from >= 0 && (!best || from > best.from)) best = { from: from + 1, to: brace };
    }
    brace = nextBrace(text, brace + 1);
  }
  return best ? text.slice(best.from, best.to).trim() : null;
}

const endAt = (at: number, text: string) => (at < 0 ? text.length : at);

interface Box {
  /** Of its brace, or of what follows the command. */
  from: number;
  isBraced: boolean;
}

function nextBox(text: string, from: number): Box | undefined {
  for (let at = text.indexOf('\\', from); at >= 0; at = text.indexOf('\\', at + 1)) {
    const name = text.startsWith('boxed', at + 1) ? 6 : text.startsWith('fbox', at + 1) ? 5 : 0;
    if (name === 0 || isLetterAt(text, at + name)) continue;
    let next = at + name;
    while (text[next] === ' ') next++;
    return { from: next, isBraced: text[next] === '{' };
  }
  return undefined;
}

/** The next brace that no backslash makes a sign. */
function nextBrace(text: string, from: number): number {
  for (let at = from; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 92) at++;
    else if (code === 123 || code === 125) return at;
  }
  return text.length;
}
