/** `selscan inspect`: what checkpoints are, from their headers; with --load, whether a run could open them. */

import type { Command } from 'commander';
import { type Inspection, inspect } from '../inspect.ts';
import type { Context } from './context.ts';
import { formatPlans } from './formatPlan.ts';
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
  for (const path of paths) {
    try {
      const inspection = await inspect(path, { load: flags.load, plan: flags.plan });
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
        : `${formatBytes(i.kvBytesPerToken)} a token and sequence (f32), ` +
          `${formatBytes(10_000 * i.kvBytesPerToken)} at 10,000 tokens`,
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
  return `${terminalText(path)}\n${lines.join('\n')}\n${plans}`;
}
