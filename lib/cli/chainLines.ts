/** Chains that have been written, from files. */

import { readFile } from 'node:fs/promises';
import { ConfigError } from '../../reference/errors.ts';
import type { Prompt } from '../decode/events.ts';
import type { ChainToScore } from '../reward/chains.ts';

/** A chain of a file, and the numbers of its prompt and sample where the file has them. */
export type ChainLine = ChainToScore & { place: { prompt?: number; sample?: number } };

/**
 * Chains of a file with one JSON object a line: `{"prompt": text or ids, "text": …}` or `{"prompt", "tokens": [ids]}`, as
 * `generate --json` prints them. Empty lines and summaries are skipped.
 * @param prompts what a "prompt" that is a number counts in
 * @throws ConfigError with code ChainsFile naming the line, or where there is no chain.
 */
export async function readChains(path: string, prompts: readonly Prompt[]): Promise<ChainLine[]> {
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

function readChain(line: string, place: string, prompts: readonly Prompt[]): ChainLine[] {
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
