/** Programs over named digits: every run is what another interpreter of the prompt's text makes of it. */

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

/** Runs a prompt's text: the answer, and the state after every round. */
function run(prompt: string): { answer: string; states: string[]; lines: string[] } {
  const parts = prompt.split(' ; ');
  const rules = parts.slice(0, -2);
  const [initial, question] = parts.slice(-2);
  const [count, , , asked] = question.split(' ');
  const state = Object.fromEntries(
    [...initial.matchAll(/(\w+) (\d)/g)].map(([, name, digit]) => [name, digit]),
  );
  const states = [Object.values(state).join('')];
  const lines: string[] = [];
  for (let round = Number(count); round > 0; round--) {
    lines.push(`${round} times ;`);
    for (const part of rules) {
      const [name, , operator, ...operands] = part.split(' ');
      const filled = operands
        .map((word) => (word in state ? `${word} ${state[word]}` : word))
        .join(' ');
      state[name] = worth(operator, filled.replace(/\D/g, ''));
      lines.push(`${name} : ${operator} ${filled} = ${name} ${state[name]} ;`);
    }
    states.push(Object.values(state).join(''));
  }
  return { answer: state[asked], states, lines };
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

  it('never comes to a state twice, so that no round is a copy', () => {
    fc.assert(
      fc.property(...places, (seed, index) => {
        const { states } = run(task.problem(seed, index).prompt);
        expect(new Set(states).size).toBe(states.length);
      }),
      parameters,
    );
  });

  it('has the rounds, the names and the words that its options say', () => {
    const options = ROUNDS_PRESETS[preset];
    fc.assert(
      fc.property(...places, (seed, index) => {
        const { prompt, chain } = task.problem(seed, index);
        const names = prompt.match(/ : /g)?.length ?? 0;
        expect(names).toBeGreaterThanOrEqual(options.minNames);
        expect(names).toBeLessThanOrEqual(options.maxNames);
        const count = Number(/(\d+) times \. \w+ \?$/.exec(prompt)?.[1]);
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
  prompt: 'Tom : MAX Ben 3 ; Ben : SM Tom Ben ; Tom 1 Ben 4 ; 1 times . Ben ?',
  chain: '1 times ; Tom : MAX Ben 4 3 = Tom 4 ; Ben : SM Tom 4 Ben 4 = Ben 8 ; # 8',
  answer: '8',
};

it.each([
  ['Tom : MAX Ben 4 3 = Tom 4 ;', 'true'],
  ['Tom : MAX Ben 4 3 = Tom 3 ;', 'untrue'],
  ['Tom : MAX Ben 4 3 = Ben 4 ;', 'malformed'],
  ['Tom : MAX Ben 3 = Tom 4 ;', 'malformed'],
  ['Tom : SM Ben 9 Mia 9 = Tom 8 ;', 'true'],
  ['Eve : SM 9 9 = Eve 8 ;', 'malformed'],
  ['12 times ;', 'true'],
  ['0 times ;', 'malformed'],
])('the step %j is %s', (step, form) => {
  const [verdict] = createTask('rounds').verifySteps(PROBLEM, step).steps;
  expect(verdict.isTrue).toBe(form === 'true');
  expect(verdict.isWellFormed).toBe(form !== 'malformed');
});

it.each([
  [{ maxNames: 7 }, /^maxNames: expected a whole number from 2 to 6, got 7$/],
  [{ minRounds: 5, maxRounds: 4 }, /^minRounds: expected a whole number from 1 to 4, got 5$/],
  [{ digitShare: 2 }, /^digitShare: expected a number in \[0, 1\], got 2$/],
])('%o is refused', (options, message) => {
  expect(() => rounds(options)).toThrow(message);
});

it('says so when no problem is like its options', () => {
  // two digits have 100 states: no run of more rounds is without a repetition
  const task = rounds({ minNames: 2, maxNames: 2, minRounds: 200, maxRounds: 200 });
  expect(() => task.problem(0, 0)).toThrow(/^rounds: expected options that some problem meets/);
});
