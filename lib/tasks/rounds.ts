/**
 * Digits by name, and rules that are followed round after round: a program's run, written out.
 *
 *   prompt   Tom : MAX Ben 3 ; Ben : SM Tom Ben ; Tom 1 Ben 4 ; 2 times . Ben ?
 *   chain    2 times ; Tom : MAX Ben 4 3 = Tom 4 ; Ben : SM Tom 4 Ben 4 = Ben 8 ;
 *            1 times ; Tom : MAX Ben 8 3 = Tom 8 ; Ben : SM Tom 8 Ben 8 = Ben 6 ; # 6
 *
 * A short prompt makes a long chain whose steps are all alike: look a rule up, put the latest digits in, apply an
 * operation of ListOps. No state comes twice, so no round can be copied from another. Writing out how a program runs
 * is the scratchpad of Nye et al. 2021, "Show Your Work" (arXiv 2112.00114).
 */

import type { Draws } from './draws.ts';
import { apply, OPERATORS, type Operator } from './expression.ts';
import { CONCLUSION, STEP_END, type StepForm } from './steps.ts';
import { type Content, checkShare, checkWhole, type Dial, defineTask, dialled } from './task.ts';
import { NAMES } from './words.ts';

export interface RoundsOptions {
  /** Names, and so rules, at least and at most. */
  minNames: number;
  maxNames: number;
  /** Operands of a rule, at most; at least two. */
  maxArgs: number;
  /** Probability that an operand after the first is a digit rather than a name. */
  digitShare: number;
  /** Rounds, at least and at most. */
  minRounds: number;
  maxRounds: number;
  /** Words of a chain, at least and at most. Others are drawn again. */
  minChain: number;
  maxChain: number;
}

const SHAPE = { maxArgs: 3, digitShare: 0.4, minChain: 1, maxChain: 100_000 };

export const ROUNDS_PRESETS = {
  tiny: { ...SHAPE, minNames: 2, maxNames: 2, minRounds: 1, maxRounds: 2 },
  small: { ...SHAPE, minNames: 2, maxNames: 3, minRounds: 2, maxRounds: 5 },
  base: { ...SHAPE, minNames: 3, maxNames: 4, minRounds: 4, maxRounds: 10 },
  long: {
    ...{ ...SHAPE, minChain: 500, maxChain: 1500 },
    ...{ minNames: 3, maxNames: 5, minRounds: 11, maxRounds: 30 },
  },
} as const satisfies Record<string, RoundsOptions>;

/** An operand: a digit, or the name of one. */
type Operand = number | string;

interface Rule {
  name: string;
  operator: Operator;
  operands: readonly Operand[];
}

/** @throws ConfigError for options out of range. */
export function rounds(dial: Dial<RoundsOptions, keyof typeof ROUNDS_PRESETS> = {}) {
  const { preset, options } = dialled<RoundsOptions, keyof typeof ROUNDS_PRESETS>(
    'rounds',
    ROUNDS_PRESETS,
    dial,
    'base',
  );
  checkWhole('maxNames', options.maxNames, 2, NAMES.length);
  checkWhole('minNames', options.minNames, 2, options.maxNames);
  checkWhole('maxArgs', options.maxArgs, 2, 20);
  checkShare('digitShare', options.digitShare);
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
  const names = draws.pickSome(NAMES, draws.between(options.minNames, options.maxNames));
  const rules = names.map((name) => drawRule(draws, name, names, options));
  const digits = new Map<string, number>(names.map((name) => [name, draws.below(10)]));
  const count = draws.between(options.minRounds, options.maxRounds);
  const asked = draws.pick(names);
  const state = () => names.map((name) => `${name} ${digits.get(name)}`).join(' ');
  const program = rules.map((rule) => `${rule.name} : ${rule.operator} ${rule.operands.join(' ')}`);
  const prompt = [...program, state(), `${count} times . ${asked} ?`].join(` ${STEP_END} `);

  const seen = new Set([state()]);
  const steps: string[] = [];
  for (let left = count; left > 0; left--) {
    steps.push(`${left} times ${STEP_END}`);
    for (const { name, operator, operands } of rules) {
      const digitOf = (operand: Operand) =>
        typeof operand === 'number' ? operand : (digits.get(operand) as number);
      const value = apply(operator, operands.map(digitOf));
      const filled = operands.map((operand) =>
        typeof operand === 'number' ? operand : `${operand} ${digitOf(operand)}`,
      );
      steps.push(`${name} : ${operator} ${filled.join(' ')} = ${name} ${value} ${STEP_END}`);
      digits.set(name, value);
    }
    if (seen.has(state())) return undefined;
    seen.add(state());
  }
  const answer = String(digits.get(asked));
  const chain = [...steps, `${CONCLUSION} ${answer}`].join(' ');
  const length = chain.split(' ').length;
  if (length < options.minChain || length > options.maxChain) return undefined;
  return { prompt, chain, answer };
}

/** What a name's digit becomes: half of all rules are sums, without which runs soon stand still. */
function drawRule(
  draws: Draws,
  name: string,
  names: readonly string[],
  { maxArgs, digitShare }: RoundsOptions,
): Rule {
  const operator = draws.chance(1 / 2) ? 'SM' : draws.pick(OPERATORS);
  const count = draws.between(2, maxArgs);
  const others = draws.pickSome(names, names.length);
  const operands = Array.from({ length: count }, (_, i): Operand => {
    const isName = i === 0 || !draws.chance(digitShare);
    return (isName ? others.pop() : undefined) ?? draws.below(10);
  });
  return { name, operator, operands };
}

const ANY_NAME = `(?:${NAMES.join('|')})`;
const COUNT = /^[1-9][0-9]{0,3} times ;$/;
const APPLIED = new RegExp(
  `^(${ANY_NAME}) : (${OPERATORS.join('|')})((?: ${ANY_NAME} [0-9]| [0-9]){2,20}) = (${ANY_NAME}) ([0-9]) ;$`,
);

function formOf(step: string): StepForm {
  if (/^# [0-9]$/.test(step) || COUNT.test(step)) return 'true';
  const found = APPLIED.exec(step);
  if (!found || found[1] !== found[4]) return 'malformed';
  const [, , operator, operands, , value] = found;
  const digits = operands.split(' ').filter((word) => /^[0-9]$/.test(word));
  return apply(operator as Operator, digits.map(Number)) === Number(value) ? 'true' : 'untrue';
}
