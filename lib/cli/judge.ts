/** `selscan judge`: scores of chains that others have written. */

import { type Command, Option } from 'commander';
import { ConfigError } from '../../reference/errors.ts';
import { judgeRun } from '../reward/judgeRun.ts';
import { loadJudge } from '../reward/loadReward.ts';
import { type ChainScores, scoreChains } from '../reward/scoreChains.ts';
import { readChains } from './chainLines.ts';
import type { Context } from './context.ts';
import { readPrompts } from './files.ts';
import { parseInteger } from './options.ts';
import { formatTable } from './terminal.ts';

interface Flags {
  reward: string;
  chains?: string;
  run?: string;
  out?: string;
  prompts?: string;
  backend: string;
  threads?: number;
  json?: boolean;
}

export function addJudge(program: Command, context: Context): void {
  program
    .command('judge')
    .description(
      'score chains, at the end and at the end of each step, with a reward model or any other',
    )
    .requiredOption(
      '--reward <dir>',
      'folder of a reward model, or of a model that writes: its scores are how probably it would',
    )
    .option(
      '--chains <file>',
      'lines {"prompt": text or ids, "text": …} or {"prompt", "tokens": [ids]}, as generate --json prints them',
    )
    .option(
      '--prompts <file>',
      'what "prompt" counts in, where it is a number: a file for generate',
    )
    .option('--run <dir>', 'or the chains of a run of selscan scale')
    .option('--out <file>', "for a run's ledger with rewards; default RUN/judged.jsonl")
    .addOption(new Option('--backend <name>', 'what computes: wasm or reference').default('wasm'))
    .option('--threads <n>', 'threads that compute', parseInteger)
    .option('--json', 'one line {"chain", "outcome", "steps"} per chain')
    .action((flags: Flags) => run(flags, context));
}

async function run(flags: Flags, context: Context): Promise<void> {
  const { backend, threads } = flags;
  const { terminal, signal } = context;
  if ((flags.chains === undefined) === (flags.run === undefined)) {
    throw new ConfigError('chains: expected either --chains or --run', 'Usage');
  }
  if (flags.run !== undefined) return judgeOne(flags.run, flags, context);
  const prompts = flags.prompts === undefined ? [] : await readPrompts(flags.prompts);
  const lines = await readChains(flags.chains as string, prompts);
  const judge = await loadJudge(flags.reward, { signal });
  const tuning = { backend, signal, ...(threads !== undefined && { threads }) };
  const scores = await scoreChains(judge, lines, tuning);
  if (flags.json) {
    scores.forEach((score, chain) => {
      terminal.out(`${JSON.stringify({ chain, ...lines[chain].place, ...score })}\n`);
    });
    return;
  }
  const row = ({ outcome, steps }: ChainScores, i: number) => [
    String(i),
    outcome.toFixed(3),
    steps.map((score) => score.toFixed(3)).join(' '),
  ];
  terminal.out(`${formatTable([['chain', 'outcome', 'steps'], ...scores.map(row)])}\n`);
}

async function judgeOne(folder: string, flags: Flags, { terminal, signal }: Context) {
  const { backend, threads, out } = flags;
  const judge = await loadJudge(flags.reward, { signal });
  const tuning = { backend, signal, ...(threads !== undefined && { threads }) };
  const judged = await judgeRun(folder, judge, { ...tuning, ...(out !== undefined && { out }) });
  if (flags.json) terminal.out(`${JSON.stringify(judged)}\n`);
  else terminal.out(`${judged.out}\n`);
}
