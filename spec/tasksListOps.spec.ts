/** ListOps and its reasoning: the values are right, and the statistics are those that were published or measured. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Draws } from '../lib/tasks/draws.ts';
import { drawExpression } from '../lib/tasks/expression.ts';
import {
  createTask,
  type Expression,
  encodeText,
  evaluate,
  formatExpression,
  formatNested,
  listOps,
  listOpsCot,
  OPERATORS,
  parseExpression,
  stepsOf,
} from '../lib/tasks/index.ts';
import { RUNS, SEED } from './support.ts';

/** Long Range Arena's generator, as SEEDS.md 6.3 tells it. */
const LRA = {
  ...{ maxDepth: 10, maxArgs: 10, operationShare: 0.25, isRootOperation: false, maxLength: 1999 },
};

const depthOf = (expression: Expression): number =>
  typeof expression === 'number' ? 0 : 1 + Math.max(...expression.args.map(depthOf));

/** The value by rewriting the text: the innermost operations become digits until one digit is left. */
function valueByRewriting(text: string): string {
  let left = text;
  while (left.includes('[')) {
    left = left.replace(/\[(\w+)((?: \d)+) \]/g, (_, operator: string, list: string) => {
      const values = list.trim().split(' ').map(Number);
      const count = (digit: number) => values.filter((value) => value === digit).length;
      if (operator === 'SM') return String(values.reduce((a, b) => a + b)).slice(-1);
      if (operator === 'MIN') return String([...'0123456789'].findIndex((_, d) => count(d) > 0));
      if (operator === 'MAX')
        return String([...'0123456789'].findLastIndex((_, d) => count(d) > 0));
      const inOrder = [...'0123456789'].flatMap((_, d) => Array<number>(count(d)).fill(d));
      while (inOrder.length > 2) inOrder.splice(0, inOrder.length, ...inOrder.slice(1, -1));
      return String(Math.floor(inOrder.reduce((a, b) => a + b) / inOrder.length));
    });
  }
  return left;
}

describe('expressions', () => {
  it.each([
    ['[MAX 2 9 [MIN 4 7 ] 0 ]', 9],
    ['[MED 1 2 ]', 1],
    ['[MED 9 1 2 ]', 2],
    ['[MED 5 8 6 9 ]', 7],
    ['[MED 5 8 7 9 ]', 7],
    ['[SM 9 9 [MIN 3 4 ] ]', 1],
    ['7', 7],
  ])('%s is %d', (text, value) => {
    expect(evaluate(parseExpression(text))).toBe(value);
  });

  it('have the nested form of the published files', () => {
    expect(formatNested(parseExpression('[MAX 2 9 ]'))).toBe('( ( ( [MAX 2 ) 9 ) ] )');
    expect(formatNested(parseExpression('[SM [MIN 4 7 ] 1 ]'))).toBe(
      '( ( ( [SM ( ( ( [MIN 4 ) 7 ) ] ) ) 1 ) ] )',
    );
  });

  it('are read back from both forms, have the length they say, and the value of another evaluation', () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(), (seed, index) => {
        const draws = new Draws({ seed, task: 'spec', index, attempt: 0 });
        const drawn = drawExpression(draws, { ...LRA, operationShare: 0.3, isRootOperation: true });
        fc.pre(drawn !== undefined);
        const { expression, length, operations } = drawn;
        const flat = formatExpression(expression);
        expect(parseExpression(flat)).toEqual(expression);
        expect(parseExpression(formatNested(expression))).toEqual(expression);
        expect(flat.split(' ')).toHaveLength(length);
        expect(flat.split('[')).toHaveLength(operations + 1);
        expect(String(evaluate(expression))).toBe(valueByRewriting(flat));
      }),
      { seed: SEED, numRuns: RUNS },
    );
  });

  it.each([
    '',
    '[MAX 2 9',
    '2 9',
    '[MAX 2 ]',
    '[AVG 2 9 ]',
    '[MAX 2 10 ]',
    ']',
    '[MIN '.repeat(1e5),
  ])('%.20s is refused', (text) => {
    expect(() => parseExpression(text)).toThrow(/^expression: expected one such as .*, got /);
  });
});

describe("Long Range Arena's ListOps", () => {
  /** 10,000 kept expressions of one seed: these are measurements of the generator, not of a seed. */
  const COUNT = 10_000;
  const lengths: number[] = [];
  const labels = new Array<number>(10).fill(0);
  const byRoot = new Map(OPERATORS.map((operator) => [operator, new Array<number>(10).fill(0)]));
  let attempts = 0;
  let allAreNine = true;
  for (let index = 0; lengths.length < COUNT; index++) {
    const draws = new Draws({ seed: 63, task: 'listops', index, attempt: 0 });
    const drawn = drawExpression(draws, LRA);
    attempts++;
    if (!drawn || drawn.length <= 500 || typeof drawn.expression === 'number') continue;
    const value = evaluate(drawn.expression);
    lengths.push(drawn.length);
    labels[value]++;
    const root = byRoot.get(drawn.expression.operator);
    if (root) root[value]++;
    // deep ones are costly to look at: a few hundred do
    if (lengths.length <= 300) allAreNine &&= depthOf(drawn.expression) === 9;
  }
  lengths.sort((a, b) => a - b);

  it('has the published distribution of labels (chi-square of two samples, 9 degrees of freedom)', () => {
    const published = [0.169, 0.09, 0.077, 0.082, 0.089, 0.088, 0.076, 0.072, 0.086, 0.17];
    const total = published.reduce((a, b) => a + b);
    const chiSquare = labels.reduce((sum, n, digit) => {
      const expected = (COUNT * published[digit]) / total;
      return sum + (n - expected) ** 2 / expected;
    }, 0);
    // theirs is a sample too, of 100,000
    expect(chiSquare / (1 + COUNT / 100_000)).toBeLessThan(33.72); // 0.9999 of the distribution
  });

  it('gives 36.3 % to whoever reads the first word only, and 17 % to whoever reads none', () => {
    const best = [...byRoot.values()].reduce((sum, counts) => sum + Math.max(...counts), 0);
    expect(Math.abs(best / COUNT - 0.363)).toBeLessThan(0.015);
    expect(Math.abs(Math.max(...labels) / COUNT - 0.17)).toBeLessThan(0.015);
  });

  it('has the published lengths and rate of acceptance, and is nine operations deep', () => {
    const mean = lengths.reduce((a, b) => a + b) / COUNT;
    const deviation = Math.sqrt(lengths.reduce((sum, n) => sum + (n - mean) ** 2, 0) / COUNT);
    // four standard errors
    expect(Math.abs(mean - 1037)).toBeLessThan((4 * deviation) / Math.sqrt(COUNT) + 0.5);
    // SEEDS.md says 991, which is not this generator's: a port to Python with its own numbers has 956 in 8,000, and
    // the same mean and rate. A median's standard error is 1 / (2 · density · √count), the density there 8.2e-4
    const error = (1 / (2 * 8.2e-4)) * Math.sqrt(1 / COUNT + 1 / 8000);
    expect(Math.abs(lengths[COUNT / 2] - 956)).toBeLessThan(4 * error);
    const rate = COUNT / attempts;
    expect(Math.abs(rate - 0.083)).toBeLessThan(
      4 * Math.sqrt((rate * (1 - rate)) / attempts) + 5e-4,
    );
    expect(allAreNine).toBe(true);
  });

  it('is what the task makes', () => {
    const task = listOps();
    for (let i = 0; i < 20; i++) {
      const { prompt, answer, nested, expression } = task.problem(SEED, i);
      const { length } = prompt.split(' ');
      expect(length > 500 && length < 2000).toBe(true);
      expect(answer).toBe(valueByRewriting(prompt));
      expect(parseExpression(nested)).toEqual(expression);
    }
  });
});

describe('ListOps-CoT', () => {
  /** SEEDS.md 6.4: least, median and greatest words of prompt and chain, majority and root-operator guess. */
  const TABLE = [
    { preset: 'tiny', prompt: [7, 9, 17], chain: [14, 16, 30], guesses: [0.114, 0.179] },
    { preset: 'small', prompt: [10, 16, 33], chain: [20, 29, 58], guesses: [0.117, 0.18] },
    { preset: 'base', prompt: [19, 35, 74], chain: [38, 60, 123], guesses: [0.107, 0.212] },
  ] as const;
  const COUNT = 10_000;

  it.each(TABLE)('$preset has the measured lengths and shortcuts', ({ preset, ...want }) => {
    const task = createTask('listops-cot', preset);
    const problems = Array.from({ length: COUNT }, (_, i) => task.problem(64, i));
    for (const part of ['prompt', 'chain'] as const) {
      const [least, median, most] = want[part];
      const lengths = problems.map((problem) => problem[part].split(' ').length);
      const ordered = [...lengths].sort((a, b) => a - b);
      expect(ordered[0]).toBe(least);
      expect(Math.abs(ordered[COUNT / 2] - median)).toBeLessThanOrEqual(1);
      // of two samples of the same kind one exceeds the other's greatest 20 times with probability 1e-6
      expect(lengths.filter((length) => length > most).length).toBeLessThan(20);
      expect(ordered[COUNT - 1]).toBeGreaterThan(0.9 * most);
    }
    const count = (keys: string[]) => {
      const table = new Map<string, Map<string, number>>();
      keys.forEach((key, i) => {
        const row = table.get(key) ?? new Map<string, number>();
        row.set(problems[i].answer, (row.get(problems[i].answer) ?? 0) + 1);
        table.set(key, row);
      });
      return [...table.values()].reduce((sum, row) => sum + Math.max(...row.values()), 0) / COUNT;
    };
    const guesses = [
      count(problems.map(() => '')),
      count(problems.map((p) => p.prompt.slice(0, 4))),
    ];
    // four standard errors of 10,000 and of 20,000
    guesses.forEach((guess, i) => {
      const error = 4 * Math.sqrt(guess * (1 - guess) * (1 / COUNT + 1 / 20_000));
      expect(Math.abs(guess - want.guesses[i])).toBeLessThan(error);
    });
  });

  it('long has chains of 500 to 1,500 tokens', () => {
    const task = listOpsCot({ preset: 'long' });
    for (let i = 0; i < 200; i++) {
      const { length } = encodeText(task.problem(SEED, i).chain);
      expect(length >= 500 && length <= 1500).toBe(true);
    }
  });

  it.each(['tiny', 'small', 'base', 'rewritten', 'long'] as const)(
    'every step of %s is a true reduction, and the answer is the value of the expression',
    (preset) => {
      const task = listOpsCot({ preset });
      fc.assert(
        fc.property(fc.nat(), fc.nat(), (seed, index) => {
          const { prompt, chain, answer } = task.problem(seed, index);
          const value = valueByRewriting(prompt);
          expect(answer).toBe(value);
          const steps = stepsOf(chain).slice(0, -1);
          expect(steps).toHaveLength(prompt.split('[').length - 1);
          let left = prompt;
          for (const step of steps) {
            const [reduction, rewritten] = step.slice(0, -2).split(' : ');
            const [operation, result] = reduction.split(' = ');
            expect(valueByRewriting(`[${operation} ]`)).toBe(result);
            // post-order: the first operation whose arguments are digits
            const [innermost] = /\[\w+(?: \d)+ \]/.exec(left) ?? [''];
            expect(innermost).toBe(`[${operation} ]`);
            left = left.replace(innermost, result);
            if (preset === 'rewritten' || preset === 'long') expect(rewritten).toBe(left);
          }
          expect(left).toBe(value);
        }),
        { seed: SEED, numRuns: Math.ceil(RUNS / 4) },
      );
    },
  );

  it('tells a wrong sum from a right one of the wrong numbers, and a right step from its right place', () => {
    const task = listOpsCot();
    const problem = {
      prompt: '[MAX 2 9 [MIN 4 7 ] [SM 1 1 ] ]',
      chain: 'MIN 4 7 = 4 ; SM 1 1 = 2 ; MAX 2 9 4 2 = 9 ; # 9',
      answer: '9',
    };
    const text = 'SM 1 1 = 2 ; MIN 4 7 = 7 ; MAX 2 9 9 2 = 9 ; MAX 2 9 4 2 = 9 ; maybe ; # 9';
    const { steps, firstWrong } = task.verifySteps(problem, text);
    expect(firstWrong).toBe(0);
    const facts = steps.map(({ isWellFormed, isTrue, isCorrect, isInOrder, score }) =>
      [isWellFormed, isTrue, isCorrect, isInOrder, score].map(Number).join(' '),
    );
    expect(facts).toEqual([
      '1 1 1 0 0.5',
      '1 0 0 0 0',
      '1 1 0 0 0',
      '1 1 1 0 0.5',
      '0 0 0 0 0',
      '1 1 1 0 0.5',
    ]);
    expect(task.verifyOutcome(problem, text)).toBe(true);
    expect(task.verifyOutcome(problem, `${text} # 9`)).toBe(false);
  });

  it('has a dial, with names for what is out of range', () => {
    const task = listOpsCot({ preset: 'tiny', maxArgs: 5 });
    expect(task.preset).toBe('custom');
    const args = (i: number) => stepsOf(task.problem(1, i).chain)[0].split(' ').length - 4;
    expect(Math.max(...Array.from({ length: 100 }, (_, i) => args(i)))).toBe(5);
    expect(() => listOpsCot({ maxArgs: 1 })).toThrow(/^maxArgs: expected .* from 2 to 100, got 1$/);
    expect(() => listOpsCot({ operationShare: 2 })).toThrow(/^operationShare: .* \[0, 1\], got 2$/);
    const impossible = listOpsCot({ maxDepth: 2, minOperations: 9 });
    expect(() => impossible.problem(0, 0)).toThrow(/^listops-cot: .* found none in 20000 attempts/);
  });
});
