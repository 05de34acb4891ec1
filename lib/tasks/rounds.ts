/**
 * Three digits that rules are applied to, round after round: a program's run, written out.
 *
 *   prompt   Tom : SM 4 ; Anna : MAX 2 ; 3 8 1 ; 2 times ?
 *   chain    2 times ; 3 8 1 Tom : SM 3 1 4 = 8 ; 8 1 8 Anna : MAX 8 8 2 = 8 ;
 *            1 times ; 1 8 8 Tom : SM 1 8 4 = 3 ; 8 8 3 Anna : MAX 8 3 2 = 8 ; # 8
 *
 * A rule makes the next digit of the first and the last of three and of one of its own, by an operation of ListOps; the first
 * then goes. So a short prompt makes a long chain whose steps are all alike: what comes next is in the prompt, or in the
 * step before. No round begins with three digits that an earlier one began with, so none can be copied. Writing out how a
 * program runs is the scratchpad of Nye et al. 2021, "Show Your Work" (arXiv 2112.00114).
 */

import type { Draws } from './draws.ts';
import { apply, OPERATORS, type Operator } from './expression.ts';
import { CONCLUSION, STEP_END, type StepForm } from './steps.ts';
import { type Content, checkWhole, type Dial, defineTask, dialled } from './task.ts';
import { NAMES } from './words.ts';

export interface RoundsOptions {
  /** Rules, each with a name of its own, in one order always; at least and at most. */
  minRules: number;
  maxRules: number;
  /** Rounds, at least and at most. */
  minRounds: number;
  maxRounds: number;
  /** Words of a chain, at least and at most. Others are drawn again. */
  minChain: number;
  maxChain: number;
}

const ANY_CHAIN = { minChain: 1, maxChain: 100_000 };

export const ROUNDS_PRESETS = {
  tiny: { ...ANY_CHAIN, minRules: 2, maxRules: 2, minRounds: 1, maxRounds: 2 },
  small: { ...ANY_CHAIN, minRules: 2, maxRules: 4, minRounds: 2, maxRounds: 5 },
  base: { ...ANY_CHAIN, minRules: 3, maxRules: 6, minRounds: 4, maxRounds: 10 },
  long: { minChain: 500, maxChain: 1500, minRules: 4, maxRules: 6, minRounds: 10, maxRounds: 36 },
} as const satisfies Record<string, RoundsOptions>;

interface Rule {
  operator: Operator;
  name: string;
  digit: number;
}

/** @throws ConfigError for options out of range. */
export function rounds(dial: Dial<RoundsOptions, keyof typeof ROUNDS_PRESETS> = {}) {
  const { preset, options } = dialled<RoundsOptions, keyof typeof ROUNDS_PRESETS>(
    'rounds',
    ROUNDS_PRESETS,
    dial,
    'base',
  );
  checkWhole('maxRules', options.maxRules, 1, NAMES.length);
  checkWhole('minRules', options.minRules, 1, options.maxRules);
  checkWhole('maxRounds', options.maxRounds, 1, 1000);
  checkWhole('minRounds', options.minRounds, 1, options.maxRounds);
  checkWhole('maxChain', options.maxChain, 1, 1_000_000);
  checkWhole('minChain', options.minChain, 1, options.maxChain);
  return defineTask({
    name: 'rounds',
    preset,
    draw: (draws) => drawRun(draws, options),
    formOf,
  });
}

/** A program and its run, or undefined for one that repeats itself or is of another length. */
function drawRun(draws: Draws, options: RoundsOptions): Content | undefined {
  const names = NAMES.slice(0, draws.between(options.minRules, options.maxRules));
  // most rules are sums, without which runs soon stand still
  const rules = names.map(
    (name): Rule => ({
      operator: draws.chance(3 / 4) ? 'SM' : draws.pick(OPERATORS),
      name,
      digit: draws.below(10),
    }),
  );
  const count = draws.between(options.minRounds, options.maxRounds);
  let [a, b, c] = [draws.below(10), draws.below(10), draws.below(10)];
  const program = rules.map(({ operator, name, digit }) => `${name} : ${operator} ${digit}`);
  const prompt = [...program, `${a} ${b} ${c}`, `${count} times ?`].join(` ${STEP_END} `);

  const seen = new Set<number>();
  const steps: string[] = [];
  for (let left = count; left > 0; left--) {
    const state = 100 * a + 10 * b + c;
    if (seen.has(state)) return undefined;
    seen.add(state);
    steps.push(`${left} times ${STEP_END}`);
    for (const { operator, name, digit } of rules) {
      const next = apply(operator, [a, c, digit]);
      const equation = `${operator} ${a} ${c} ${digit} = ${next}`;
      steps.push(`${a} ${b} ${c} ${name} : ${equation} ${STEP_END}`);
      [a, b, c] = [b, c, next];
    }
  }
  const answer = String(c);
  const chain = [...steps, `${CONCLUSION} ${answer}`].join(' ');
  const length = chain.split(' ').length;
  if (length < options.minChain || length > options.maxChain) return undefined;
  return { prompt, chain, answer };
}

const COUNT = /^[1-9][0-9]{0,3} times ;$/;
const APPLIED = new RegExp(
  `^([0-9]) [0-9] ([0-9]) (?:${NAMES.join('|')}) : (${OPERATORS.join('|')}) ([0-9]) ([0-9]) ([0-9]) = ([0-9]) ;$`,
);

function formOf(step: string): StepForm {
  if (/^# [0-9]$/.test(step) || COUNT.test(step)) return 'true';
  const found = APPLIED.exec(step);
  if (!found) return 'malformed';
  const [, first, last, operator, a, c, digit, next] = found;
  const value = apply(operator as Operator, [a, c, digit].map(Number));
  return first === a && last === c && value === Number(next) ? 'true' : 'untrue';
}
