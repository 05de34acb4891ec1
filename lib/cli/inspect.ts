/** `selscan inspect`: what checkpoints are, from their headers; with --load, whether a run could open them. */

import { availableParallelism } from 'node:os';
import type { Command } from 'commander';
import type { MemoryAtHand } from '../capacity.ts';
import { type Inspection, inspect } from '../inspect.ts';
import { memoryBandwidth } from './bandwidth.ts';
import type { Context } from './context.ts';
import { formatCapacity } from './formatCapacity.ts';
import { formatPlans } from './formatPlan.ts';
import { freeMemory } from './freeMemory.ts';
import {
  errorLine,
  formatBytes,
  formatCount,
  isExpected,
  systemCode,
  terminalText,
} from './terminal.ts';

interface Flags {
  load?: boolean;
  plan?: boolean;
  json?: boolean;
  debug?: boolean;
}

export function addInspect(program: Command, context: Context): void {
  program
    .command('inspect')
    .description('say what a checkpoint, or a part of one, is')
    .argument(
      '<path...>',
      'folders, .safetensors or .gguf files, indexes, config.json or tokenizer.json',
    )
    .option('--load', 'also open everything as a run would')
    .option('--plan', "also show a model's wiring step by step, with what each step costs")
    .option('--json', 'one JSON object per path')
    .action((paths: string[], flags: Flags) => run(paths, flags, context));
}

async function run(paths: string[], flags: Flags, context: Context): Promise<void> {
  const { terminal } = context;
  const memory = once(memoryAtHand);
  for (const path of paths) {
    try {
      const inspection = await inspect(path, { load: flags.load, plan: flags.plan, memory });
      terminal.out(
        flags.json
          ? `${JSON.stringify({ path, ok: true, ...inspection })}\n`
          : describe(path, inspection),
      );
    } catch (error) {
      if (!isExpected(error)) throw error;
      const code = (error as { code?: string }).code ?? systemCode(error);
      const message = error instanceof Error ? error.message : String(error);
      if (flags.json) {
        terminal.out(`${JSON.stringify({ path, ok: false, error: { code, message } })}\n`);
      } else terminal.out(`${terminalText(path)}\n  ${errorLine(error)}\n`);
      context.fail(2);
    }
  }
}

/** Asks the first time only: a file that is no model needs no measurement, and all models the same one. */
function once<T>(ask: () => Promise<T>): () => Promise<T> {
  let answer: Promise<T> | undefined;
  return () => {
    answer ??= ask();
    return answer;
  };
}

async function memoryAtHand(): Promise<MemoryAtHand> {
  const freeBytes = await freeMemory(); // before anything is measured
  return { freeBytes, threads: availableParallelism(), bytesPerSecond: memoryBandwidth() };
}

/** An inspection for people: one fact a line, what is not there left out. */
function describe(path: string, i: Inspection): string {
  const counted = (table: Record<string, number> | undefined, show: (n: number) => string) =>
    table &&
    Object.entries(table)
      .map(([key, n]) => `${show(n)} ${key}`)
      .join(', ');
  const facts: [string, string | undefined][] = [
    ['family', i.isReward ? `${i.family}, a reward model` : i.family],
    ['layers', counted(i.layers, String)],
    [
      'width',
      i.dModel === undefined
        ? undefined
        : `${i.dModel}, vocabulary ${formatCount(i.vocabSize ?? 0)}`,
    ],
    [
      'context',
      i.contextLength ? `${formatCount(i.contextLength)} tokens` : i.family && 'no limit',
    ],
    ['parameters', i.parameters === undefined ? undefined : formatCount(i.parameters)],
    [
      'weights',
      i.bytes === undefined ? undefined : `${formatBytes(i.bytes)} in ${i.tensors} tensors`,
    ],
    ['stored as', counted(i.bytesByDtype, formatBytes)],
    [
      'state',
      i.stateBytes === undefined ? undefined : `${formatBytes(i.stateBytes)} a sequence (f32)`,
    ],
    [
      'KV cache',
      i.kvBytesPerToken === undefined
        ? undefined
        : `${formatBytes(i.kvBytesPerToken)} a token and sequence (f32)`,
    ],
    [
      'tokenizer',
      i.tokenizerSize === undefined ? undefined : `${formatCount(i.tokenizerSize)} ids`,
    ],
    ['ends at', i.eosTokens?.length ? `token ${i.eosTokens.join(', ')}` : undefined],
    ...i.warnings.map((warning): [string, string] => ['warning', terminalText(warning)]),
  ];
  const lines = facts.flatMap(([name, value]) => (value ? [`  ${name.padEnd(11)} ${value}`] : []));
  const plans = i.plan ? `\n${formatPlans(i.plan)}\n` : '';
  const capacity = i.capacity ? `\n${formatCapacity(i.capacity)}\n` : '';
  return `${terminalText(path)}\n${lines.join('\n')}\n${capacity}${plans}`;
}
