/** `selscan tasks`: prints problems with their right chains. */

import { setImmediate } from 'node:timers/promises';
import type { Command } from 'commander';
import { ConfigError } from '../../reference/errors.ts';
import { writeAtomically } from '../checkpoint/atomicFile.ts';
import { createTask, TASKS } from '../tasks/catalogue.ts';
import { checkPlace } from '../tasks/draws.ts';
import { checkSplit, SPLITS } from '../tasks/split.ts';
import { tokenizerJson } from '../tasks/vocabulary.ts';
import type { Context } from './context.ts';
import { parseInteger } from './options.ts';
import { formatCount } from './terminal.ts';

interface Flags {
  task?: string;
  preset?: string;
  count: number;
  start: number;
  seed: number;
  split?: string;
  tokenizer?: string;
  json?: boolean;
}

const MOST = 10_000_000;

export function addTasks(program: Command, context: Context): void {
  program
    .command('tasks')
    .description('print problems with their steps and answers; without --task, what there is')
    .option('--task <name>', `one of ${Object.keys(TASKS).join(', ')}`)
    .option('--preset <name>', 'how hard; each task has its own')
    .option('--count <n>', 'how many problems', parseInteger, 5)
    .option('--start <i>', 'index of the first problem', parseInteger, 0)
    .option('--seed <s>', 'makes every draw', parseInteger, 0)
    .option('--split <name>', `only problems of one of ${SPLITS.join(', ')}`)
    .option('--tokenizer <file>', 'also write a tokenizer.json for the words of all tasks')
    .option('--json', 'one JSON object per problem')
    .action((flags: Flags) => run(flags, context));
}

async function run(flags: Flags, { terminal, signal }: Context): Promise<void> {
  const { preset, count, start, seed, split, json } = flags;
  if (flags.task === undefined) {
    if (preset !== undefined) {
      throw new ConfigError('task: expected --task beside --preset', 'Usage');
    }
    if (flags.tokenizer !== undefined) await writeTokenizer(flags.tokenizer);
    for (const [task, { presets }] of Object.entries(TASKS)) {
      terminal.out(
        json ? `${JSON.stringify({ task, presets })}\n` : `${task}: ${presets.join(', ')}\n`,
      );
    }
    return;
  }
  const task = createTask(flags.task, preset);
  if (count < 1 || count > MOST) {
    throw new ConfigError(
      `count: expected a whole number from 1 to ${formatCount(MOST)}, got ${count}`,
    );
  }
  // all that could be wrong is found before anything is printed
  for (const index of [start, start + count - 1]) checkPlace(seed, index);
  if (split !== undefined) checkSplit(split);
  if (flags.tokenizer !== undefined) await writeTokenizer(flags.tokenizer);
  for (let index = start; index < start + count && !signal.aborted; index++) {
    if (index % 64 === 63) await setImmediate(); // lets an interrupt be heard
    const problem = task.problem(seed, index, split);
    const { prompt, chain, answer } = problem;
    if (json) {
      const place = {
        task: task.name,
        preset: task.preset,
        seed,
        index,
        split: task.split(problem),
      };
      terminal.out(`${JSON.stringify({ question: prompt, answer, chain, ...place })}\n`);
    } else terminal.out(`${terminal.style('dim', prompt)}\n${chain}\n\n`);
  }
}

function writeTokenizer(file: string): Promise<void> {
  return writeAtomically(file, new TextEncoder().encode(tokenizerJson()));
}
