/** `selscan judge`: scores of chains that others have written. */

import { join } from 'node:path';
import { type Command, Option } from 'commander';
import { ConfigError } from '../../reference/errors.ts';
import { writeAtomically } from '../checkpoint/atomicFile.ts';
import { readLedger } from '../reasoning/readLedger.ts';
import { RUN_FILES, readProblems } from '../reasoning/runFolder.ts';
import { loadReward } from '../reward/loadReward.ts';
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
    .description('score chains with a reward model: at the end, and at the end of each step')
    .requiredOption('--reward <dir>', 'folder of the reward model')
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
  if (flags.run !== undefined) return judgeRun(flags.run, flags, context);
  const prompts = flags.prompts === undefined ? [] : await readPrompts(flags.prompts);
  const lines = await readChains(flags.chains as string, prompts);
  const reward = await loadReward(flags.reward, { signal });
  const tuning = { backend, signal, ...(threads !== undefined && { threads }) };
  const scores = await scoreChains(reward, lines, tuning);
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

/** Writes every line of a run's ledger again, with what the reward model says of it. */
async function judgeRun(folder: string, flags: Flags, { terminal, signal }: Context) {
  const { backend, threads, out = join(folder, 'judged.jsonl') } = flags;
  const problems = new Map((await readProblems(folder)).map(({ id, prompt }) => [id, prompt]));
  const { lines } = await readLedger(join(folder, RUN_FILES.ledger));
  const chains = lines.map(({ chain: { problem, text = '', finishReason = 'stop' }, place }) => {
    const prompt = problems.get(problem);
    if (typeof prompt === 'string' || Array.isArray(prompt)) return { prompt, text, finishReason };
    throw new ConfigError(
      `${place}: expected a problem whose prompt is a text, as reward models read it; judge takes no conversations`,
      'ChainsFile',
    );
  });
  const reward = await loadReward(flags.reward, { signal });
  const tuning = { backend, signal, ...(threads !== undefined && { threads }) };
  const scores = await scoreChains(reward, chains, tuning);
  const judged = lines.map(({ fields }, i) =>
    JSON.stringify({ ...fields, reward: scores[i].outcome, stepRewards: scores[i].steps }),
  );
  await writeAtomically(out, new TextEncoder().encode(`${judged.join('\n')}\n`));
  if (flags.json) terminal.out(`${JSON.stringify({ out, chains: lines.length })}\n`);
  else terminal.out(`${out}\n`);
}
