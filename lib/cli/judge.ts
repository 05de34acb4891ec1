/** `selscan judge`: scores of chains that others have written. */

import { readFile } from 'node:fs/promises';
import { type Command, Option } from 'commander';
import { ConfigError } from '../../reference/errors.ts';
import type { ChainToScore } from '../reward/chains.ts';
import { loadReward } from '../reward/loadReward.ts';
import { type ChainScores, scoreChains } from '../reward/scoreChains.ts';
import type { Context } from './context.ts';
import { readPrompts } from './files.ts';
import { parseInteger } from './options.ts';
import { formatTable } from './terminal.ts';

interface Flags {
  reward: string;
  chains: string;
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
    .requiredOption(
      '--chains <file>',
      'lines {"prompt": text or ids, "text": …} or {"prompt", "tokens": [ids]}, as generate --json prints them',
    )
    .option(
      '--prompts <file>',
      'what "prompt" counts in, where it is a number: a file for generate',
    )
    .addOption(new Option('--backend <name>', 'what computes: wasm or reference').default('wasm'))
    .option('--threads <n>', 'threads that compute', parseInteger)
    .option('--json', 'one line {"chain", "outcome", "steps"} per chain')
    .action((flags: Flags) => run(flags, context));
}

async function run(flags: Flags, { terminal, signal }: Context): Promise<void> {
  const { backend, threads } = flags;
  const prompts = flags.prompts === undefined ? [] : await readPrompts(flags.prompts);
  const lines = await readChains(flags.chains, prompts);
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

/** A chain of a file, and the numbers of its prompt and sample where the file has them. */
type Line = ChainToScore & { place: { prompt?: number; sample?: number } };

/**
 * Chains of a file with one JSON object a line. Empty lines and summaries are skipped.
 * @throws ConfigError with code ChainsFile naming the line, or where there is no chain.
 */
async function readChains(path: string, prompts: readonly unknown[]): Promise<Line[]> {
  const lines = (await readFile(path, 'utf8')).split(/\r?\n/);
  const chains = lines.flatMap((line, i) =>
    line.trim() === '' ? [] : readChain(line, `${path}, line ${i + 1}`, prompts),
  );
  if (chains.length > 0) return chains;
  throw new ConfigError(
    `${path}: expected a line {"prompt": …, "text": …} for every chain, got none`,
    'ChainsFile',
  );
}

function readChain(line: string, place: string, prompts: readonly unknown[]): Line[] {
  const fail = (problem: string) => new ConfigError(`${place}: ${problem}`, 'ChainsFile');
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw fail('expected a JSON object, found none');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw fail('expected a JSON object {"prompt": …, "text": …}');
  }
  const {
    prompt: given,
    text,
    tokens,
    finishReason,
    sample,
    summary,
  } = value as Record<string, unknown>;
  if (summary !== undefined) return [];
  const isNumber = typeof given === 'number';
  if (isNumber && !(given in prompts)) {
    throw fail(`"prompt": expected a text, or the number of a line of --prompts, got ${given}`);
  }
  const prompt = isNumber ? prompts[given] : given;
  if (typeof prompt !== 'string' && !areIds(prompt)) {
    throw fail('expected "prompt" (a text, or token ids)');
  }
  const reason = typeof finishReason === 'string' ? { finishReason } : {};
  const own = { ...(isNumber && { prompt: given }), ...(typeof sample === 'number' && { sample }) };
  if (areIds(tokens)) return [{ prompt, tokens, place: own }];
  if (tokens === undefined && typeof text === 'string')
    return [{ prompt, text, ...reason, place: own }];
  throw fail('expected "text" (what was written) or "tokens" (ids)');
}

const areIds = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every((id) => typeof id === 'number');
