/**
 * Where an answer stands in a text: one scanner for each way of giving it. Each reads the text a bounded number of
 * times, whatever it says; none uses a pattern that could go back.
 */

import { isSpace, LONGEST_ANSWER } from './answerText.ts';

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
  let left = MOST_LABELS;
  for (let at = text.lastIndexOf(':'); at > 0 && left > 0; at = text.lastIndexOf(':', at - 1)) {
    if (!endsLabel(text, at)) continue;
    left--;
    if (!isLabelled(text, at)) continue;
    const end = Math.min(lineEnd(text, at), at + LONGEST_ANSWER + 2);
    const answer = withoutEmphasis(text.slice(at + 1, end));
    if (answer !== '') return answer;
  }
  return null;
}

/** Places that look like the end of a label, from the end of the text, that are looked at. */
const MOST_LABELS = 5000;
const LABELS = ['a', 'answer', 'final answer', 'the answer', 'the final answer'];
const LONGEST_LABEL = 40;

function endsLabel(text: string, colon: number): boolean {
  let last = colon - 1;
  while (last > 0 && colon - last < 4 && (text[last] === '*' || text[last] === ' ')) last--;
  return 'aArR'.includes(text[last]);
}

/** Whether a label is all that a line has before its colon. */
function isLabelled(text: string, colon: number): boolean {
  let start = colon;
  while (start > 0 && text[start - 1] !== '\n') {
    if (colon - start === LONGEST_LABEL) return false;
    start--;
  }
  while (start < colon && (isSpaceAt(text, start) || '*_#'.includes(text[start]))) start++;
  return LABELS.includes(withoutEmphasis(text.slice(start, colon)).toLowerCase());
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
  const first = text.indexOf('box');
  if (first < 0) return null;
  let [from, to] = [-1, -1];
  /** Boxes that are open: where each begins, and how many braces were open before it. */
  const boxes: number[] = [];
  const depths: number[] = [];
  let depth = 0;
  for (let at = Math.max(0, first - 2); at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === BACKSLASH) {
      const after = boxNameEnd(text, at + 1);
      if (after < 0) {
        // \{ and \} are signs
        const next = text.charCodeAt(at + 1);
        if (next === OPEN || next === CLOSE) at++;
      } else if (text[after] === '{') {
        boxes.push(after + 1);
        depths.push(depth++);
        at = after;
      } else {
        const dollar = text.indexOf('$', after);
        const end = lineEnd(text, after);
        [from, to] = [after, dollar < 0 ? end : Math.min(dollar, end)];
        at = to - 1;
      }
    } else if (code === OPEN) depth++;
    else if (code === CLOSE && depth > 0) {
      depth--;
      if (depths[depths.length - 1] !== depth) continue;
      depths.pop();
      const box = boxes.pop() ?? -1;
      if (box > from) {
        from = box;
        to = at;
      }
    }
  }
  return from < 0 ? null : text.slice(from, to).trim();
}

const BACKSLASH = 92;
const OPEN = 123;
const CLOSE = 125;

/** Where what is boxed begins, if a command that boxes has its name here; else −1. */
function boxNameEnd(text: string, at: number): number {
  const code = text.charCodeAt(at);
  if (code !== 98 && code !== 102) return -1; // b, f
  const length = text.startsWith('boxed', at) ? 5 : text.startsWith('fbox', at) ? 4 : 0;
  if (length === 0 || isLetterAt(text, at + length)) return -1;
  let end = at + length;
  while (text[end] === ' ') end++;
  return end;
}
