/**
 * Arithmetic told in words, in chains of one to six steps.
 *
 *   prompt   Tom has 5 apples . Mia gives Tom 3 apples . Tom loses 2 apples . How many apples does Tom have ?
 *   chain    5 + 3 = 8 ; 8 - 2 = 6 ; # 6
 *
 * A story follows the things of one person; the question may ask for those of another who has more or fewer, or for
 * both together. Distractors tell of things that the question is not about.
 */

import type { Draws } from './draws.ts';
import { chainOf, equation, formOfEquation } from './equations.ts';
import { checkShare, checkWhole, type Dial, defineTask, dialled, type Task } from './task.ts';
import { GAINING, LOSING, NAMES, OBJECTS } from './words.ts';

export interface WordProblemOptions {
  /** Steps of a chain, at least and at most, all counts alike in probability. */
  minSteps: number;
  maxSteps: number;
  /** Numbers that the story tells, at most. */
  maxNumber: number;
  /** Numbers that come out, at most. */
  maxValue: number;
  /** Probability of a sentence beside the point, after each sentence. */
  distractorShare: number;
}

export const WORD_PROBLEM_PRESETS = {
  tiny: { minSteps: 1, maxSteps: 2, maxNumber: 9, maxValue: 20, distractorShare: 0 },
  small: { minSteps: 2, maxSteps: 4, maxNumber: 20, maxValue: 50, distractorShare: 0.1 },
  base: { minSteps: 1, maxSteps: 6, maxNumber: 50, maxValue: 100, distractorShare: 0.2 },
  hard: { minSteps: 4, maxSteps: 6, maxNumber: 500, maxValue: 999, distractorShare: 0.3 },
} as const satisfies Record<string, WordProblemOptions>;

/** @throws ConfigError for options out of range. */
export function wordProblems(
  dial: Dial<WordProblemOptions, keyof typeof WORD_PROBLEM_PRESETS> = {},
): Task {
  const { preset, options } = dialled<WordProblemOptions, keyof typeof WORD_PROBLEM_PRESETS>(
    'word-problems',
    WORD_PROBLEM_PRESETS,
    dial,
    'base',
  );
  checkWhole('maxSteps', options.maxSteps, 1, 6);
  checkWhole('minSteps', options.minSteps, 1, options.maxSteps);
  checkWhole('maxValue', options.maxValue, 10, 100_000);
  checkWhole('maxNumber', options.maxNumber, 2, options.maxValue);
  checkShare('distractorShare', options.distractorShare);
  return defineTask({
    name: 'word-problems',
    preset,
    draw: (draws) => tell(draws, options),
    formOf: formOfEquation,
  });
}

type Ending = 'own' | 'together' | 'more' | 'fewer';

/** Something that can happen: what is told, and the step that it takes. */
interface Happening {
  sentence: string;
  left: string;
  value: number;
}

/** A story, or undefined when its numbers leave no way to go on. */
function tell(draws: Draws, options: WordProblemOptions) {
  const { minSteps, maxSteps, maxNumber, maxValue, distractorShare } = options;
  const [hero, other, ...rest] = draws.pickSome(NAMES, NAMES.length);
  const [things, ...otherThings] = draws.pickSome(OBJECTS, OBJECTS.length);
  const count = draws.between(minSteps, maxSteps);
  const ending: Ending = draws.pick(['own', 'own', 'together', 'more', 'fewer']);
  const sentences: string[] = [];
  const steps: string[] = [];
  const say = (sentence: string) => {
    sentences.push(sentence);
    if (!draws.chance(distractorShare)) return;
    const about = `${draws.pick([other, ...rest])} has ${draws.between(1, maxNumber)}`;
    sentences.push(`${about} ${draws.pick(otherThings)} .`);
  };
  const others = draws.between(1, maxNumber);
  if (ending === 'together') say(`${other} has ${others} ${things} .`);

  let value = draws.between(1, maxNumber);
  const boxes = draws.between(2, 5);
  const last = ending === 'own' ? count : count - 1;
  if (last > 0 && draws.chance(0.3) && boxes * value <= maxValue) {
    say(`${hero} has ${boxes} boxes of ${value} ${things} .`);
    steps.push(equation(`${boxes} * ${value}`, boxes * value));
    value *= boxes;
  } else say(`${hero} has ${value} ${things} .`);

  while (steps.length < last) {
    const ways = happenings(draws, value, { hero, third: draws.pick(rest), things }, options);
    if (ways.length === 0) return undefined;
    const { sentence, left, value: next } = draws.pick(ways);
    say(sentence);
    steps.push(equation(left, next));
    value = next;
  }

  const end = endingOf(ending, { hero, other, things }, value, others);
  if (end.value < 0 || end.value > maxValue) return undefined;
  if (end.left !== undefined) steps.push(equation(end.left, end.value));
  const answer = String(end.value);
  const prompt = [...sentences, ...end.sentences].join(' ');
  return { prompt, chain: chainOf(steps, answer), answer };
}

/** All that can happen to somebody's things now. */
function happenings(
  draws: Draws,
  value: number,
  { hero, third, things }: { hero: string; third: string; things: string },
  { maxNumber, maxValue }: WordProblemOptions,
): Happening[] {
  const more = draws.between(1, maxNumber);
  const fewer = draws.between(1, Math.max(1, Math.min(value, maxNumber)));
  const factor = draws.between(2, 3);
  const ways: Happening[] = [];
  if (value + more <= maxValue) {
    const step = { left: `${value} + ${more}`, value: value + more };
    ways.push({ sentence: `${hero} ${draws.pick(GAINING)} ${more} ${things} .`, ...step });
    ways.push({ sentence: `${third} gives ${hero} ${more} ${things} .`, ...step });
  }
  if (fewer <= value) {
    const step = { left: `${value} - ${fewer}`, value: value - fewer };
    ways.push({ sentence: `${hero} ${draws.pick(LOSING)} ${fewer} ${things} .`, ...step });
    ways.push({ sentence: `${hero} gives ${third} ${fewer} ${things} .`, ...step });
  }
  if (value > 0 && factor * value <= maxValue) {
    const sentence = `then ${hero} has ${factor} times as many ${things} .`;
    ways.push({ sentence, left: `${value} * ${factor}`, value: value * factor });
  }
  if (value > 0 && value % 2 === 0) {
    const sentence = `${hero} gives half of the ${things} to ${third} .`;
    ways.push({ sentence, left: `${value} / 2`, value: value / 2 });
  }
  return ways;
}

/** The last sentences, and the step that they take if any. */
function endingOf(
  ending: Ending,
  { hero, other, things }: { hero: string; other: string; things: string },
  value: number,
  others: number,
): { sentences: string[]; left?: string; value: number } {
  const question = (who: string) => `How many ${things} does ${who} have ?`;
  switch (ending) {
    case 'own':
      return { sentences: [question(hero)], value };
    case 'together': {
      const sentence = `How many ${things} do ${hero} and ${other} have in all ?`;
      return { sentences: [sentence], left: `${value} + ${others}`, value: value + others };
    }
    case 'more':
    case 'fewer': {
      const sentence = `${other} has ${others} ${ending} ${things} than ${hero} .`;
      const sign = ending === 'more' ? '+' : '-';
      return {
        sentences: [sentence, question(other)],
        left: `${value} ${sign} ${others}`,
        value: ending === 'more' ? value + others : value - others,
      };
    }
  }
}
