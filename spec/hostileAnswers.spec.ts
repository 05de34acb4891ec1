/** Hostile texts: nothing throws, and a million characters cost less than 50 ms. */

import { describe, expect, it } from 'vitest';
import { canonicalAnswer } from '../lib/reasoning/canonicalAnswer.ts';
import { ANSWER_RULES, extractAnswer } from '../lib/reasoning/extractAnswer.ts';
import { stripAnswer } from '../lib/reasoning/stripAnswer.ts';
import { HOSTILE, MILLION } from './hostileAnswers.ts';

const MOST_MILLISECONDS = 50;
const MOST_TRIES = 20;

/** The least time of a few runs, so that a busy machine fails nothing; as soon as it is little enough. */
function leastMilliseconds(run: () => unknown): number {
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < MOST_TRIES && least >= MOST_MILLISECONDS; i++) {
    const start = performance.now();
    run();
    least = Math.min(least, performance.now() - start);
  }
  return least;
}

it('there are 40 shapes and more', () => {
  expect(Object.keys(HOSTILE).length).toBeGreaterThanOrEqual(40);
});

describe.each(Object.entries(HOSTILE))('%s', (_, make) => {
  it('a million characters: extraction and form take less than 50 ms', () => {
    const text = make(MILLION);
    expect(text.length).toBeGreaterThanOrEqual(MILLION);
    const judge = () => [canonicalAnswer(extractAnswer(text) ?? ''), canonicalAnswer(text)];
    expect(leastMilliseconds(judge)).toBeLessThan(MOST_MILLISECONDS);
    for (const rule of ANSWER_RULES) extractAnswer(text, { rules: [rule] });
    expect(stripAnswer(text)).toBe(text.trim());
  });

  it.each([7, 100, 980])(
    '%d characters: the form is its own form, in less than 50 ms',
    (length) => {
      const text = make(length);
      const form = canonicalAnswer(text);
      expect(canonicalAnswer(form)).toBe(form);
      expect(leastMilliseconds(() => canonicalAnswer(text))).toBeLessThan(MOST_MILLISECONDS);
      stripAnswer(text);
    },
  );
});
