/** Arithmetic and sequence tasks: every answer by another way than the one that made it. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  ADDITION_PRESETS,
  addition,
  createTask,
  IGNORED,
  inductionHeads,
  MULTIPLICATION_PRESETS,
  multiplication,
  selectiveCopying,
  stepsOf,
  TASKS,
  WORD_PROBLEM_PRESETS,
  wordProblems,
} from '../lib/tasks/index.ts';
import { RUNS, SEED } from './support.ts';

const places = [fc.nat(), fc.nat()] as const;
const parameters = { seed: SEED, numRuns: Math.ceil(RUNS / 2) };

/** The value of numbers and operators, as exact integers, products and quotients first. */
function valueOfText(text: string): bigint {
  for (const operator of [' + ', ' - ']) {
    const at = text.lastIndexOf(operator);
    if (at < 0) continue;
    const [left, right] = [valueOfText(text.slice(0, at)), valueOfText(text.slice(at + 3))];
    return operator === ' + ' ? left + right : left - right;
  }
  const [first, ...others] = text.split(/ [*/] /).map(BigInt);
  return others.reduce((a, b) => (text.includes('/') ? a / b : a * b), first);
}

function expectTrueEquations(chain: string): void {
  for (const step of stepsOf(chain).slice(0, -1)) {
    const [left, right] = step.slice(0, -2).split(' = ');
    expect(valueOfText(left), step).toBe(BigInt(right));
  }
}

describe.each(Object.keys(ADDITION_PRESETS) as (keyof typeof ADDITION_PRESETS)[])(
  'addition %s',
  (preset) => {
    it('gives the sum, with a true step for every place', () => {
      fc.assert(
        fc.property(...places, (seed, index) => {
          const { prompt, chain, answer } = addition({ preset }).problem(seed, index);
          const [a, b] = prompt.slice(0, -2).split(' + ');
          expect(answer).toBe(String(BigInt(a) + BigInt(b)));
          expect(stepsOf(chain)).toHaveLength(Math.max(a.length, b.length) + 1);
          expectTrueEquations(chain);
        }),
        parameters,
      );
    });
  },
);

describe.each(Object.keys(MULTIPLICATION_PRESETS) as (keyof typeof MULTIPLICATION_PRESETS)[])(
  'multiplication %s',
  (preset) => {
    it('gives the product by true steps, the partial products among them', () => {
      fc.assert(
        fc.property(...places, (seed, index) => {
          const { prompt, chain, answer } = multiplication({ preset }).problem(seed, index);
          const [a, b] = prompt.slice(0, -2).split(' * ');
          expect(answer).toBe(String(BigInt(a) * BigInt(b)));
          expectTrueEquations(chain);
          const steps = stepsOf(chain);
          [...b].reverse().forEach((digit, place) => {
            const factor = BigInt(digit) * BigInt(`1${'0'.repeat(place)}`);
            expect(steps).toContain(`${a} * ${factor} = ${BigInt(a) * factor} ;`);
          });
        }),
        parameters,
      );
    });
  },
);

/** The answer of a word problem, by reading its sentences. */
function answerByReading(prompt: string): number {
  const counts = new Map<string, number>();
  const get = (who: string, what: string) => counts.get(`${who} ${what}`) ?? 0;
  const set = (who: string, what: string, n: number) => counts.set(`${who} ${what}`, n);
  for (const sentence of prompt.split(/ [.?] ?/)) {
    const words = sentence.split(' ');
    const [who, verb] = words;
    const what = words.at(-1) ?? '';
    const n = Number(words.find((word) => /^\d+$/.test(word)));
    if (sentence.startsWith('How many')) {
      const [, , things, , first, joint, second] = words;
      return get(first, things) + (joint === 'and' ? get(second, things) : 0);
    }
    const boxes = /has (\d+) boxes of (\d+)/.exec(sentence);
    const relative = /has \d+ (more|fewer) (\w+) than (\w+)/.exec(sentence);
    if (boxes) set(who, what, Number(boxes[1]) * Number(boxes[2]));
    else if (relative) {
      const [, kind, things, than] = relative;
      set(who, things, get(than, things) + (kind === 'more' ? n : -n));
    } else if (sentence.includes('times as many')) set(words[1], what, n * get(words[1], what));
    else if (sentence.includes('half of the')) set(who, words[5], get(who, words[5]) / 2);
    else if (verb === 'gives') {
      const to = words[2];
      set(who, what, get(who, what) - n);
      set(to, what, get(to, what) + n);
    } else if (verb === 'has') set(who, what, n);
    else if (['buys', 'finds', 'gets'].includes(verb)) set(who, what, get(who, what) + n);
    else set(who, what, get(who, what) - n);
  }
  throw new Error(`no question in ${prompt}`);
}

describe.each(Object.keys(WORD_PROBLEM_PRESETS) as (keyof typeof WORD_PROBLEM_PRESETS)[])(
  'word problems %s',
  (preset) => {
    const { minSteps, maxSteps, maxNumber, maxValue } = WORD_PROBLEM_PRESETS[preset];

    it('have the answer that reading gives, by true steps that follow from one another', () => {
      fc.assert(
        fc.property(...places, (seed, index) => {
          const { prompt, chain, answer } = wordProblems({ preset }).problem(seed, index);
          expect(answerByReading(prompt)).toBe(Number(answer));
          expectTrueEquations(chain);
          const steps = stepsOf(chain).slice(0, -1);
          expect(steps.length >= minSteps && steps.length <= maxSteps).toBe(true);
          const results = steps.map((step) => step.split(' ').at(-2));
          steps.slice(1).forEach((step, i) => {
            expect(step.startsWith(`${results[i]} `)).toBe(true);
          });
          expect(results.at(-1)).toBe(answer);
          for (const number of prompt.match(/\d+/g) ?? []) {
            expect(Number(number)).toBeLessThanOrEqual(maxNumber);
          }
          for (const result of results) expect(Number(result)).toBeLessThanOrEqual(maxValue);
        }),
        { ...parameters, numRuns: RUNS },
      );
    });

    it('come in all lengths, one about as often as another', () => {
      const task = wordProblems({ preset });
      const counts = new Map<number, number>();
      for (let i = 0; i < 2000; i++) {
        const { length } = stepsOf(task.problem(SEED, i).chain);
        counts.set(length - 1, (counts.get(length - 1) ?? 0) + 1);
      }
      const even = 2000 / (maxSteps - minSteps + 1);
      for (let n = minSteps; n <= maxSteps; n++) {
        // stories that cannot end are drawn again, more of the long ones
        expect(counts.get(n) ?? 0).toBeGreaterThan(even / 2);
      }
    });
  },
);

describe('selective copying', () => {
  it('asks for the data tokens in order, and for nothing else', () => {
    fc.assert(
      fc.property(...places, fc.integer({ min: 1, max: 9 }), (seed, index, count) => {
        const task = selectiveCopying({ preset: 'small', count });
        const { tokens, targets, prompt, answer } = task.problem(seed, index);
        expect(tokens).toHaveLength(64 + count);
        expect(targets).toHaveLength(64 + count);
        const data = tokens.slice(0, 64).filter((token) => token > 1);
        expect(tokens.slice(64).every((token) => token === 1)).toBe(true);
        expect(targets.slice(0, 64).every((target) => target === IGNORED)).toBe(true);
        expect(targets.slice(64)).toEqual(data);
        expect(Math.max(...tokens)).toBeLessThan(16);
        expect(prompt).toBe(tokens.join(' '));
        expect(answer).toBe(data.join(' '));
      }),
      parameters,
    );
  });

  it('puts data at every place alike (chi-square, 63 degrees of freedom)', () => {
    const counts = new Array<number>(64).fill(0);
    const task = selectiveCopying();
    for (let i = 0; i < 4000; i++) {
      task.problem(SEED, i).tokens.forEach((token, t) => {
        if (token > 1) counts[t]++;
      });
    }
    const chiSquare = counts.reduce((sum, n) => sum + (n - 500) ** 2 / 500, 0);
    expect(chiSquare).toBeLessThan(112.5); // 0.9999 of the distribution, and draws without repetition vary less
  });
});

describe('induction heads', () => {
  it('asks at the end for what followed the mark', () => {
    fc.assert(
      fc.property(...places, fc.integer({ min: 3, max: 300 }), (seed, index, length) => {
        const { tokens, targets } = inductionHeads({ length }).problem(seed, index);
        expect(tokens).toHaveLength(length);
        const first = tokens.indexOf(0);
        expect(first).toBeLessThan(length - 2);
        expect(tokens.lastIndexOf(0)).toBe(length - 1);
        expect(tokens.filter((token) => token === 0)).toHaveLength(2);
        const want = tokens.map((_, t) => (t === length - 1 ? tokens[first + 1] : IGNORED));
        expect(targets).toEqual(want);
      }),
      parameters,
    );
  });

  it('goes up to the length of 2²⁰ that the paper tests', () => {
    const { tokens } = inductionHeads({ length: 2 ** 20 }).problem(SEED, 0);
    expect(tokens).toHaveLength(2 ** 20);
  });
});

it('every task has options that are checked by name', () => {
  expect(() => addition({ maxDigits: 100 })).toThrow(/^maxDigits: .* from 1 to 99, got 100$/);
  expect(() => multiplication({ minFactorDigits: 0 })).toThrow(/^minFactorDigits: .* got 0$/);
  expect(() => wordProblems({ maxSteps: 7 })).toThrow(/^maxSteps: .* from 1 to 6, got 7$/);
  expect(() => wordProblems({ distractorShare: Number.NaN })).toThrow(/^distractorShare: /);
  expect(() => selectiveCopying({ count: 65 })).toThrow(/^count: .* from 1 to 64, got 65$/);
  expect(() => inductionHeads({ length: 2 })).toThrow(/^length: .* got 2$/);
  for (const name of Object.keys(TASKS)) {
    expect(() => createTask(name, 'constructor')).toThrow(/^preset: expected one of /);
  }
});
