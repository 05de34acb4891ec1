/** Programs that run round after round: every run is what another interpreter of the prompt's text makes of it. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createTask, ROUNDS_PRESETS, rounds, stepsOf } from '../lib/tasks/index.ts';
import { RUNS, SEED } from './support.ts';

const places = [fc.nat(), fc.nat()] as const;
const parameters = { seed: SEED, numRuns: Math.ceil(RUNS / 2) };
const PRESETS = Object.keys(ROUNDS_PRESETS) as (keyof typeof ROUNDS_PRESETS)[];

/** An operation on digits as text. */
function worth(operator: string, digits: string): string {
  const sorted = [...digits].sort().join('');
  if (operator === 'SM') return `${[...digits].reduce((sum, d) => sum + Number(d), 0)}`.slice(-1);
  if (operator === 'MIN') return sorted.slice(0, 1);
  if (operator === 'MAX') return sorted.slice(-1);
  const [low, high] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]];
  return String((Number(low) + Number(high)) >> 1);
}

/** Runs a prompt's text: the answer, the lines, and the three digits before every round. */
function run(prompt: string): { answer: string; states: string[]; lines: string[] } {
  const parts = prompt.split(' ; ');
  const rules = parts.slice(0, -2);
  const [initial, question] = parts.slice(-2);
  let last = initial.replaceAll(' ', '');
  const states: string[] = [];
  const lines: string[] = [];
  for (let round = Number.parseInt(question, 10); round > 0; round--) {
    states.push(last.slice(-3));
    lines.push(`${round} times ;`);
    for (const rule of rules) {
      const [name, , operator, own] = rule.split(' ');
      const [a, b, c] = last.slice(-3);
      last += worth(operator, `${a}${c}${own}`);
      const equation = `${operator} ${a} ${c} ${own} = ${last.slice(-1)}`;
      lines.push(`${a} ${b} ${c} ${name} : ${equation} ;`);
    }
  }
  return { answer: last.slice(-1), states, lines };
}

describe.each(PRESETS)('rounds %s', (preset) => {
  const task = rounds({ preset });

  it('writes the run of its program, line by line', () => {
    fc.assert(
      fc.property(...places, (seed, index) => {
        const { prompt, chain, answer } = task.problem(seed, index);
        const own = run(prompt);
        expect(answer).toBe(own.answer);
        expect(stepsOf(chain)).toEqual([...own.lines, `# ${answer}`]);
      }),
      parameters,
    );
  });

  it('never begins a round as an earlier one began, so that no round is a copy', () => {
    fc.assert(
      fc.property(...places, (seed, index) => {
        const { states } = run(task.problem(seed, index).prompt);
        expect(new Set(states).size).toBe(states.length);
      }),
      parameters,
    );
  });

  it('has the rounds, the rules and the words that its options say', () => {
    const options = ROUNDS_PRESETS[preset];
    fc.assert(
      fc.property(...places, (seed, index) => {
        const { prompt, chain } = task.problem(seed, index);
        const count = Number(/(\d+) times \?$/.exec(prompt)?.[1]);
        const rules = prompt.split(' ; ').length - 2;
        expect(rules).toBeGreaterThanOrEqual(options.minRules);
        expect(rules).toBeLessThanOrEqual(options.maxRules);
        expect(count).toBeGreaterThanOrEqual(options.minRounds);
        expect(count).toBeLessThanOrEqual(options.maxRounds);
        const words = chain.split(' ').length;
        expect(words).toBeGreaterThanOrEqual(options.minChain);
        expect(words).toBeLessThanOrEqual(options.maxChain);
      }),
      parameters,
    );
  });
});

const PROBLEM = {
  prompt: 'Tom : SM 4 ; Anna : MAX 2 ; 3 8 1 ; 1 times ?',
  chain: '1 times ; 3 8 1 Tom : SM 3 1 4 = 8 ; 8 1 8 Anna : MAX 8 8 2 = 8 ; # 8',
  answer: '8',
};

it.each([
  ['3 8 1 Tom : SM 3 1 4 = 8 ;', 'true'],
  ['3 8 1 Tom : SM 3 1 4 = 7 ;', 'untrue'],
  ['3 8 1 Tom : SM 3 2 4 = 9 ;', 'untrue'],
  ['9 0 4 Mia : MED 9 4 5 = 5 ;', 'true'],
  ['3 8 Tom : SM 3 8 4 = 5 ;', 'malformed'],
  ['3 8 1 Eve : SM 3 1 4 = 8 ;', 'malformed'],
  ['12 times ;', 'true'],
  ['0 times ;', 'malformed'],
])('the step %j is %s', (step, form) => {
  const [verdict] = createTask('rounds').verifySteps(PROBLEM, step).steps;
  expect(verdict.isTrue).toBe(form === 'true');
  expect(verdict.isWellFormed).toBe(form !== 'malformed');
});

it.each([
  [{ maxRules: 7 }, /^maxRules: expected a whole number from 1 to 6, got 7$/],
  [{ minRounds: 5, maxRounds: 4 }, /^minRounds: expected a whole number from 1 to 4, got 5$/],
  [{ minChain: 0 }, /^minChain: expected a whole number from 1 to 100000, got 0$/],
])('%o is refused', (options, message) => {
  expect(() => rounds(options)).toThrow(message);
});

it('says so when no problem is like its options', () => {
  // three digits have 1,000 states, and no run that long keeps away from all of them
  const task = rounds({ minRules: 1, maxRules: 1, minRounds: 1000, maxRounds: 1000 });
  expect(() => task.problem(0, 0)).toThrow(/^rounds: expected options that some problem meets/);
});
