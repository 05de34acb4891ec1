/** Batches of tasks' problems: prompts to be read, chains to be learned. */

import type { ModelConfig } from '../../reference/config.ts';
import { ConfigError, UnsupportedError } from '../../reference/errors.ts';
import { createTask } from '../tasks/catalogue.ts';
import type { Content, Task } from '../tasks/task.ts';
import { encodeText, SPECIAL_IDS, VOCABULARY } from '../tasks/vocabulary.ts';
import { type Batch, batchesByLength, type Example } from './batches.ts';

/** A task's name, with a preset after a colon where it is not the usual one: `listops-cot:small`. */
export type TaskName = string;

export interface TaskDataOptions {
  /** Rows take turns among them. */
  readonly tasks: readonly TaskName[];
  /** Sequences of a batch. */
  readonly batch: number;
  /** Tokens of a sequence, at least those of the longest example less one. */
  readonly seqlen: number;
  readonly seed: number;
}

/** Tasks by their names. @throws ConfigError for a task or a preset that does not exist. */
export function tasksNamed(names: readonly TaskName[]): Task[] {
  if (names.length === 0) throw new ConfigError('tasks: expected at least one, got none');
  return names.map((name) => {
    const [task, preset] = name.split(':');
    return createTask(task, preset);
  });
}

/** @throws UnsupportedError for a model of other tokens than the tasks'. */
export function expectTaskVocabulary(
  { vocabSize }: ModelConfig,
  advice: string,
  who = 'teacher',
): void {
  if (vocabSize === VOCABULARY.length) return;
  throw new UnsupportedError(
    `${who}: expected a model of the ${VOCABULARY.length} tokens of the tasks, got one of ${vocabSize}; ${advice}`,
  );
}

/** A problem as tokens: begin, prompt, chain, end; learned from the chain on. */
export function exampleOf({ prompt, chain }: Content): Example {
  const asked = [SPECIAL_IDS.bos, ...encodeText(prompt)];
  const tokens = [...asked, ...encodeText(chain), SPECIAL_IDS.eos];
  return { tokens, learnFrom: asked.length };
}

/** Examples that are made before a run to see how long they are: a fraction of a second. */
const LOOKED_AT = 4096;

/**
 * Looks at the first examples of a run. Longer ones may still come: the run then ends at their step.
 * @throws ConfigError with code ExampleLength naming the longest one, where seqlen is too short for it.
 */
export function expectExamplesFit(options: TaskDataOptions, steps: number): void {
  const { seed, batch, seqlen } = options;
  const exampleAt = examplesOf(options.tasks, seed);
  const count = Math.min(steps * batch, LOOKED_AT);
  let longest = 0;
  for (let i = 0; i < count; i++) longest = Math.max(longest, exampleAt(i).tokens.length - 1);
  if (longest <= seqlen) return;
  throw new ConfigError(
    `seqlen: expected at least ${longest}, the longest of the first ${count} examples, got ${seqlen}; ` +
      'take a larger seqlen',
    'ExampleLength',
  );
}

function examplesOf(names: readonly TaskName[], seed: number): (index: number) => Example {
  const tasks = tasksNamed(names);
  return (index) => exampleOf(tasks[index % tasks.length].problem(seed, index, 'train'));
}

/** The batch of each step, counted from 1: problems of the training split that no other step has, by length. */
export function taskBatches(options: TaskDataOptions): (step: number) => Batch {
  const exampleAt = examplesOf(options.tasks, options.seed);
  return batchesByLength(exampleAt, { ...options, padToken: SPECIAL_IDS.pad });
}
