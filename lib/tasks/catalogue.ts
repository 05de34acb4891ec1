/** All tasks by name. */

import { ConfigError } from '../../reference/errors.ts';
import {
  ADDITION_PRESETS,
  addition,
  MULTIPLICATION_PRESETS,
  multiplication,
} from './arithmetic.ts';
import { INDUCTION_HEADS_PRESETS, inductionHeads } from './inductionHeads.ts';
import { LISTOPS_PRESETS, listOps } from './listOps.ts';
import { LISTOPS_COT_PRESETS, listOpsCot } from './listOpsCot.ts';
import { ROUNDS_PRESETS, rounds } from './rounds.ts';
import { SELECTIVE_COPYING_PRESETS, selectiveCopying } from './selectiveCopying.ts';
import type { Task } from './task.ts';
import { WORD_PROBLEM_PRESETS, wordProblems } from './wordProblems.ts';

/** A task that can be asked for by name. */
export interface TaskEntry {
  /** Names of its presets, from easy to hard. */
  readonly presets: readonly string[];
  create(preset?: string): Task;
}

function entry<Preset extends string>(
  presets: Readonly<Record<Preset, object>>,
  create: (dial: { preset?: Preset }) => Task,
): TaskEntry {
  return {
    presets: Object.keys(presets),
    // the task itself refuses a preset that it does not have
    create: (preset) => create(preset === undefined ? {} : { preset: preset as Preset }),
  };
}

/** All tasks by name. */
export const TASKS: Readonly<Record<string, TaskEntry>> = {
  listops: entry(LISTOPS_PRESETS, listOps),
  'listops-cot': entry(LISTOPS_COT_PRESETS, listOpsCot),
  'word-problems': entry(WORD_PROBLEM_PRESETS, wordProblems),
  addition: entry(ADDITION_PRESETS, addition),
  multiplication: entry(MULTIPLICATION_PRESETS, multiplication),
  rounds: entry(ROUNDS_PRESETS, rounds),
  'selective-copying': entry(SELECTIVE_COPYING_PRESETS, selectiveCopying),
  'induction-heads': entry(INDUCTION_HEADS_PRESETS, inductionHeads),
};

/**
 * A task by name, at a preset or its usual one.
 * @throws ConfigError for a task or a preset that does not exist.
 */
export function createTask(name: string, preset?: string): Task {
  if (!Object.hasOwn(TASKS, name)) {
    throw new ConfigError(`task: expected one of ${Object.keys(TASKS).join(', ')}, got ${name}`);
  }
  return TASKS[name].create(preset);
}
