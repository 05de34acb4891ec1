/** `selscan report`: runs as one page with figures. */

import { join } from 'node:path';
import type { Command } from 'commander';
import { ConfigError } from '../../reference/errors.ts';
import { drawnOf } from '../report/curves.ts';
import { gather } from '../report/gather.ts';
import { crossingText, shareText } from '../report/page.ts';
import { type Report, writeReport } from '../report/writeReport.ts';
import type { Context } from './context.ts';
import { parseInteger } from './options.ts';
import { formatCount, formatTable, type Terminal, terminalText } from './terminal.ts';

interface Flags {
  out?: string;
  title?: string;
  reference?: string;
  seed: number;
  json?: boolean;
}

export function addReport(program: Command, { terminal }: Context): void {
  program
    .command('report')
    .description('a page with figures of runs: accuracy against chains and seconds, speed, memory')
    .argument('<run...>', 'folders of runs of the same problems, or ledgers')
    .option('--out <dir>', 'where it is written; default RUN/report')
    .option('--title <text>', 'title of the page')
    .option('--reference <model>', 'the model that others are compared with; default the first')
    .option('--seed <s>', 'makes the intervals', parseInteger, 0)
    .option('--json', 'one JSON object with the figures’ numbers')
    .action((runs: string[], flags: Flags) => run(runs, flags, terminal));
}

async function run(runs: readonly string[], flags: Flags, terminal: Terminal): Promise<void> {
  const { title, reference, seed, json } = flags;
  const gathered = await gather(runs);
  const names = new Set(gathered.chains.map(({ model }) => model));
  if (reference !== undefined && !names.has(reference)) {
    throw new ConfigError(
      `reference: expected one of ${[...names].join(', ')}, got ${reference}`,
      'Usage',
    );
  }
  const out = flags.out ?? join(runs[0], 'report');
  const made = await writeReport(gathered, {
    ...{ out, seed },
    ...(title !== undefined && { title }),
    ...(reference !== undefined && { reference }),
  });
  if (json) terminal.out(`${JSON.stringify(made)}\n`);
  else tellReport(made, terminal);
}

/** The table, what it says, and where the page is. */
export function tellReport({ path, models, crossings }: Report, terminal: Terminal): void {
  const drawn = drawnOf(models);
  const head = [
    'model',
    'tokens/s',
    'one chain',
    ...drawn.map(({ name }) => name.replace(/:.*/, '')),
  ];
  const rows = models.map((model) => [
    terminalText(model.name),
    model.tokensPerSecond === undefined ? '' : formatCount(model.tokensPerSecond),
    shareText(model.aggregate.mean),
    ...drawn.map(({ policy }) => {
      const last = model.curves[policy]?.at(-1);
      return last ? `${shareText(last.value)} of ${last.samples}` : '';
    }),
  ]);
  terminal.out(`${formatTable([head, ...rows])}\n\n`);
  for (const crossing of crossings) terminal.out(`${terminalText(crossingText(crossing))}\n`);
  terminal.out(`\n${path}\n`);
}
