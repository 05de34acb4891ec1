/** One interface for all tasks: problems by number, and judges of what was written about them. */

import { ConfigError } from '../../reference/errors.ts';
import { checkPlace, Draws } from './draws.ts';
import { checkSplit, type Split, splitOf } from './split.ts';
import { type ChainVerdict, judgeAnswer, judgeSteps, type StepForm } from './steps.ts';

/** A problem, its right chain and its answer: all that a judge needs. */
export interface Content {
  /** What is asked. Words of the vocabulary between single spaces, as in all texts here. */
  readonly prompt: string;
  /** The right steps and the conclusion `# ANSWER`, to be written after the prompt and a space. */
  readonly chain: string;
  readonly answer: string;
}

/** A problem and where it came from. */
export interface Problem extends Content {
  readonly task: string;
  /** Name of the preset, or `custom`. */
  readonly preset: string;
  readonly seed: number;
  readonly index: number;
}

/** A source of problems of one kind and difficulty. `More` is what its problems have besides. */
export interface Task<More extends object = object> {
  readonly name: string;
  /** Name of the preset, or `custom` when an option differs from it. */
  readonly preset: string;
  /**
   * Problem `index` of a seed, of one split if that is given: always the same, whatever was made before.
   * @throws ConfigError for a seed outside [0, 2⁵³), an index outside [0, 2³²), or a split that does not exist.
   */
  problem(seed: number, index: number, split?: Split): Problem & More;
  /** Whether a text gives the right answer, after its only `#`. Never throws. */
  verifyOutcome(problem: Content, text: string): boolean;
  /** Judges the steps of a text, the conclusion among them. Never throws. */
  verifySteps(problem: Content, text: string): ChainVerdict;
  /** The split that a problem belongs to, by its prompt alone. */
  split(problem: Content): Split;
}

/** What makes a task. */
export interface TaskDefinition<More extends object> {
  name: string;
  preset: string;
  /** A problem by a place's choices, or undefined for one that is not to be kept. */
  draw(draws: Draws): (Content & More) | undefined;
  /** What a step is by itself. Must not throw; gets no step much longer than the right ones. */
  formOf(step: string): StepForm;
}

/** How many problems are drawn in search of one to be kept. The rarest of a preset is 1 in 250. */
const MOST_ATTEMPTS = 20_000;

/** A task from how its problems are drawn and what its steps look like. */
export function defineTask<More extends object>({
  name,
  preset,
  draw,
  formOf,
}: TaskDefinition<More>): Task<More> {
  return {
    name,
    preset,
    problem: (seed, index, split) => {
      checkPlace(seed, index);
      if (split !== undefined) checkSplit(split);
      for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
        const content = draw(new Draws({ seed, task: name, index, attempt }));
        if (content === undefined) continue;
        if (split !== undefined && splitOf(content.prompt) !== split) continue;
        return { task: name, preset, seed, index, ...content };
      }
      throw new ConfigError(
        `${name}: expected options that some problem meets, found none in ${MOST_ATTEMPTS} attempts; widen them`,
        'NoProblem',
      );
    },
    verifyOutcome: ({ chain, answer }, text) => judgeAnswer(chain, answer, text),
    verifySteps: ({ chain }, text) => judgeSteps(chain, text, formOf),
    split: ({ prompt }) => splitOf(prompt),
  };
}

/** Options of a task: a preset, with any of its values changed. */
export type Dial<Options, Preset extends string> = Partial<Options> & { preset?: Preset };

/**
 * The values of a preset with those that were given in their place, and its name if none was.
 * @throws ConfigError for a preset that does not exist.
 */
export function dialled<Options extends object, Preset extends string>(
  task: string,
  presets: Readonly<Record<Preset, Options>>,
  dial: Dial<Options, Preset>,
  standard: NoInfer<Preset>,
): { preset: string; options: Options } {
  const { preset = standard, ...given } = dial;
  if (!Object.hasOwn(presets, preset)) {
    const names = Object.keys(presets).join(', ');
    throw new ConfigError(`preset: expected one of ${names} for ${task}, got ${preset}`);
  }
  const changed = Object.entries(given).filter(([, value]) => value !== undefined);
  const options = { ...presets[preset], ...Object.fromEntries(changed) } as Options;
  return { preset: changed.length > 0 ? 'custom' : preset, options };
}

/** @throws ConfigError when an option is not a whole number in its range. */
export function checkWhole(name: string, value: number, low: number, high: number): void {
  if (!Number.isInteger(value) || value < low || value > high) {
    throw new ConfigError(`${name}: expected a whole number from ${low} to ${high}, got ${value}`);
  }
}

/** @throws ConfigError when an option is not a number in [0, 1]. */
export function checkShare(name: string, value: number): void {
  if (!(value >= 0 && value <= 1)) {
    throw new ConfigError(`${name}: expected a number in [0, 1], got ${value}`);
  }
}
