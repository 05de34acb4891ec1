/** `selscan experiment`, what `npm start` runs: the paper's question, put to the bundled models. */

import { dirname, join } from 'node:path';
import type { Command } from 'commander';
import { ConfigError } from '../../reference/errors.ts';
import { bundled } from '../bundled.ts';
import { problemsFromTasks } from '../reasoning/problems.ts';
import { type ScaleModel, scale } from '../reasoning/scale.ts';
import { type Gathered, gather } from '../report/gather.ts';
import { writeReport } from '../report/writeReport.ts';
import { judgeRun } from '../reward/judgeRun.ts';
import { loadJudge } from '../reward/loadReward.ts';
import type { Context } from './context.ts';
import { parseInteger, parseNumber } from './options.ts';
import { tellReport } from './report.ts';
import { tellProgress } from './scale.ts';
import { formatCount } from './terminal.ts';

interface Flags {
  out: string;
  seconds?: number;
  problems?: number;
  samples: number;
  threads?: number;
  seed: number;
}

/** One question to a teacher and its students. */
interface Setting {
  readonly name: string;
  readonly title: string;
  readonly models: readonly string[];
  readonly tasks: readonly string[];
  readonly maxTokens: number;
  /** The model that judges the chains. */
  readonly verifier?: string;
  /** Usual seconds of each model, and number of problems: long chains need more of the one, and leave room for fewer. */
  readonly seconds: number;
  readonly problems: number;
  /** Chains of a problem before the next has its turn: more save prompts, fewer spread a short budget over all problems. */
  readonly turn: number;
}

const SETTINGS: readonly Setting[] = [
  {
    name: 'base',
    title: 'Chains of 20 to 120 tokens: ListOps and word problems',
    models: ['base-teacher', 'base-hybrid', 'base-pure'],
    tasks: ['listops-cot:base', 'word-problems:small'],
    verifier: 'base-verifier',
    maxTokens: 160,
    seconds: 8,
    problems: 40,
    turn: 8,
  },
  {
    name: 'long',
    title: 'Chains of 500 to 1,500 tokens: programs run round after round',
    models: ['long-teacher', 'long-hybrid', 'long-pure'],
    tasks: ['rounds:long'],
    maxTokens: 1600,
    seconds: 30,
    problems: 16,
    turn: 1,
  },
];

export function addExperiment(program: Command, context: Context): void {
  program
    .command('experiment')
    .description(
      'with equal time, do distilled students solve more than their teacher? two and a half minutes',
    )
    .option(
      '--out <dir>',
      'folder of the runs; what is there already is not done again',
      'selscan-experiment',
    )
    .option(
      '--seconds <s>',
      'of sampling, for each model; default 8, and 30 of long chains',
      parseNumber,
    )
    .option('--problems <n>', 'how many; default 40, and 16 with long chains', parseInteger)
    .option('--samples <n>', 'chains of each, at most', parseInteger, 128)
    .option('--threads <n>', 'threads that compute', parseInteger)
    .option('--seed <s>', 'makes every draw', parseInteger, 0)
    .action((flags: Flags) => run(flags, context));
}

async function run(flags: Flags, context: Context): Promise<void> {
  const { terminal, signal } = context;
  const { out, samples, threads, seed } = flags;
  if (flags.problems !== undefined && flags.problems < 1) {
    throw new ConfigError(`problems: expected a whole number ≥ 1, got ${flags.problems}`);
  }
  terminal.out(
    'Distilled students answer worse with one chain, and may write more chains in the same time.\n' +
      'Who solves more, by when? Each model samples for the same seconds. Most answers are one digit, so that\n' +
      'guessing covers them as well, with k chains 1 - 0.9^k of the problems; a sound chain, right in every step,\n' +
      'is not guessed, nor is a vote.\n',
  );
  for (const setting of SETTINGS) {
    if (signal.aborted) return;
    const { name, title, models, tasks, maxTokens, turn } = setting;
    const { seconds = setting.seconds, problems: count = setting.problems } = flags;
    terminal.out(`\n${terminal.style('bold', title)}\n`);
    const folder = join(out, name);
    const problems = problemsFromTasks(tasks, { count, seed, split: 'test' });
    await scale(models.map(bundledModel), problems, {
      ...{ folder, source: `${count} of ${tasks.join(', ')} (test)`, seed, maxTokens, samples },
      ...{ turn, budget: { seconds }, signal, sampling: { temperature: 1 } },
      ...(threads !== undefined && { tuning: { threads } }),
      onProgress: tellProgress(context),
    });
    if (signal.aborted) return;
    const made = await writeReport(await gatherJudged(folder, setting, context), {
      out: join(folder, 'report'),
      title,
    });
    tellReport(made, terminal);
  }
  terminal.err(
    `What is sampled stays in ${out}; to sample afresh, delete it or give another --out.\n`,
  );
}

/** The chains of a run, with rewards if there is a verifier; what it has judged is not judged again. */
async function gatherJudged(
  folder: string,
  { verifier }: Setting,
  { terminal, signal }: Context,
): Promise<Gathered> {
  const gathered = await gather([folder]);
  if (verifier === undefined || gathered.chains.every(({ reward }) => reward !== undefined)) {
    return gathered;
  }
  const count = formatCount(gathered.chains.length);
  terminal.err(`${verifier}: judging ${count} chains\n`);
  const judge = await loadJudge(bundledModel(verifier).path, { signal });
  const { seconds } = await judgeRun(folder, judge, { signal });
  terminal.err(`${verifier}: judged ${count} chains in ${seconds.toFixed(1)} s\n`);
  return gather([folder]);
}

const bundledModel = (name: string): ScaleModel => ({
  name,
  path: dirname(bundled(`fixtures/models/${name}/config.json`)),
});
