/** `selscan scale`: many chains for every problem, from one model or several, into a folder that survives anything. */

import { readFile, stat } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { type Command, Option } from 'commander';
import type { WeightFormat } from '../../backends/types.ts';
import { ConfigError } from '../../reference/errors.ts';
import { DEFAULT_BACKEND } from '../backend.ts';
import { ANSWER_RULES, type AnswerRule } from '../reasoning/extractAnswer.ts';
import {
  problemsFromLines,
  problemsFromTasks,
  type ReasoningProblem,
} from '../reasoning/problems.ts';
import type { ScaleProgress } from '../reasoning/progress.ts';
import { type ScaleModel, type ScaleOptions, scale } from '../reasoning/scale.ts';
import type { Split } from '../tasks/split.ts';
import { type Context, checkBackend } from './context.ts';
import {
  type BudgetFlags,
  budgetOf,
  type SamplingFlags,
  sampling,
  samplingOptions,
} from './generate.ts';
import { parseInteger, parseNumber, parseTexts } from './options.ts';
import { formatCount, formatTable } from './terminal.ts';
import { minutes } from './training.ts';

interface Flags extends SamplingFlags, BudgetFlags {
  model: string[];
  run: string;
  problems?: string;
  task?: string[];
  count: number;
  split: Split;
  limit?: number;
  template?: string;
  chat?: boolean;
  system?: string;
  rule?: AnswerRule[];
  samples: number;
  turn: number;
  maxTokens: number;
  stop: string[];
  maxRows?: number;
  budgetPer: 'run' | 'problem';
  backend: string;
  threads?: number;
  weights?: WeightFormat;
  json?: boolean;
}

export function addScale(program: Command, context: Context): void {
  const command = program
    .command('scale')
    .description('sample many chains for every problem into a folder; the same command goes on')
    .requiredOption(
      '--model <path>',
      'folder of a model, or a .gguf file (may be given again)',
      parseTexts,
    )
    .requiredOption('--run <dir>', 'folder of the run: its ledger has a line for every chain')
    .option('--problems <file>', 'lines {"question": …, "answer": …}')
    .option(
      '--task <name>',
      'or problems of a task, as listops-cot:base (may be given again)',
      parseTexts,
    )
    .option('--count <n>', 'how many problems of the tasks', parseInteger, 100)
    .addOption(
      new Option('--split <name>', 'which of them')
        .choices(['train', 'validation', 'test'])
        .default('test'),
    )
    .option('--limit <n>', 'only the first problems of the file', parseInteger)
    .option('--template <text>', 'the prompt, with fields of a problem in braces; {question} alone')
    .option('--chat', "put the prompt as a user's turn, by the model's chat template")
    .option('--system <text>', 'what is said before it')
    .addOption(
      new Option('--rule <name…>', 'where an answer is looked for, in this order').choices(
        ANSWER_RULES,
      ),
    )
    .option('--samples <n>', 'chains per problem', parseInteger, 16)
    .option('--turn <n>', 'chains of a problem before the next has its turn', parseInteger, 8);
  sampling(command)
    .option('--max-tokens <n>', 'new tokens per chain, at most', parseInteger, 256)
    .option('--stop <text>', 'text that ends a chain (may be given again)', parseTexts, [])
    .option(
      '--max-rows <n>',
      'chains side by side; default: what is fastest, measured',
      parseInteger,
    )
    .option('--budget-seconds <s>', 'of sampling, for each model', parseNumber)
    .option('--budget-tokens <n>', 'new tokens, for each model', parseInteger)
    .option('--budget-samples <n>', 'chains, for each model', parseInteger)
    .addOption(
      new Option('--budget-per <what>', 'whether it is of the run, or of each problem in turn')
        .choices(['run', 'problem'])
        .default('run'),
    )
    .addOption(new Option('--backend <name>', 'what computes').default(DEFAULT_BACKEND))
    .option('--threads <n>', 'threads that compute; wasm takes more than 1', parseInteger)
    .option('--weights <format>', 'how wasm stores the matrices: float32 or int8')
    .option('--json', 'JSON lines: progress, then one line per model')
    .action((flags: Flags) => run(flags, context));
}

async function run(flags: Flags, context: Context): Promise<void> {
  const { terminal, signal } = context;
  const { threads, weights, backend, maxRows, json } = flags;
  const tuning = { ...(threads !== undefined && { threads }), ...(weights && { weights }) };
  checkBackend(backend, tuning);
  const models = await modelsOf(flags.model);
  const { problems, source } = await problemsOf(flags);
  const { seed = 0, ...how } = samplingOptions(flags);
  const options: ScaleOptions = {
    ...{ folder: flags.run, source, seed, sampling: how, backend, tuning, signal },
    ...{ samples: flags.samples, turn: flags.turn, maxTokens: flags.maxTokens, stop: flags.stop },
    ...{ budget: budgetOf(flags), budgetPer: flags.budgetPer },
    ...(maxRows !== undefined && { maxRows }),
    onProgress: tellProgress(context, json),
  };
  const ends = await scale(models, problems, options);
  if (json) {
    for (const end of ends) terminal.out(`${JSON.stringify(end)}\n`);
    return;
  }
  const rows = ends.map(({ model, chains, wanted, judged, right, tokens, seconds }) => [
    model,
    `${formatCount(chains)} of ${formatCount(wanted)}`,
    judged > 0 ? `${((100 * right) / judged).toFixed(1)} %` : '',
    seconds > 0 && tokens > 0 ? formatCount(tokens / seconds) : '',
  ]);
  terminal.out(`${formatTable([['model', 'chains', 'right now', 'tokens/s'], ...rows])}\n`);
  terminal.err(`next: selscan aggregate ${flags.run}, or selscan report ${flags.run}\n`);
}

/** @throws ConfigError for two models of one name. */
async function modelsOf(paths: readonly string[]): Promise<ScaleModel[]> {
  const models = paths.map((path) => ({ name: basename(resolve(path)), path }));
  const names = models.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice === undefined) return models;
  throw new ConfigError(
    `model: expected folders of different names, got ${twice} twice; rename one`,
    'Usage',
  );
}

async function problemsOf(flags: Flags): Promise<{ problems: ReasoningProblem[]; source: string }> {
  const { problems: path, task, count, split, limit, template, chat, system, rule } = flags;
  if ((path === undefined) === (task === undefined)) {
    throw new ConfigError('problems: expected either --problems or --task', 'Usage');
  }
  for (const [name, value] of Object.entries({ count, limit: limit ?? 1 })) {
    if (value < 1) throw new ConfigError(`${name}: expected a whole number ≥ 1, got ${value}`);
  }
  if (task !== undefined) {
    const problems = problemsFromTasks(task, { count, seed: flags.seed ?? 0, split });
    return { problems, source: `${count} of ${task.join(', ')} (${split})` };
  }
  const file = path as string;
  if ((await stat(file)).size > MOST_BYTES) {
    throw new ConfigError(`${file}: expected at most ${MOST_BYTES} bytes`, 'ProblemsFile');
  }
  const problems = problemsFromLines(await readFile(file, 'utf8'), file, {
    ...(template !== undefined && { template }),
    ...(chat && { isChat: true }),
    ...(system !== undefined && { system }),
    ...(rule && { rules: rule }),
  }).slice(0, limit);
  return { problems, source: `${problems.length} of ${basename(file)}` };
}

const MOST_BYTES = 500_000_000;

/** A line every two seconds, and whenever something else begins. */
export function tellProgress({ terminal }: Pick<Context, 'terminal'>, json?: boolean) {
  let last = 0;
  let phase = '';
  return (progress: ScaleProgress): void => {
    const now = performance.now();
    if (progress.phase === phase && now - last < 2000) return;
    [last, phase] = [now, progress.phase];
    if (json) terminal.out(`${JSON.stringify({ progress })}\n`);
    else terminal.err(`${progressLine(progress)}\n`);
  };
}

function progressLine(progress: ScaleProgress): string {
  const { model, phase, chains, before, wanted, judged, right, tokens, seconds } = progress;
  if (phase === 'loading') {
    return `${model}: loading${before > 0 ? `; ${formatCount(before)} chains are there already` : ''}`;
  }
  if (phase === 'measuring') return `${model}: measuring how many chains at a time are fastest`;
  const facts = [
    `${formatCount(chains)} of ${formatCount(wanted)} chains`,
    seconds > 0 && tokens > 0 ? `${formatCount(tokens / seconds)} tokens/s` : undefined,
    judged > 0 ? `${((100 * right) / judged).toFixed(1)} % right` : undefined,
    phase === 'sampling' && progress.secondsLeft !== undefined
      ? `${minutes(progress.secondsLeft)} left`
      : undefined,
  ];
  return `${model}: ${facts.filter((fact) => fact !== undefined).join(', ')}`;
}
