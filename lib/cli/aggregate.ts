/** `selscan aggregate`: what each model of a ledger would have got right with k chains a problem. */

import { type Command, Option } from 'commander';
import type { TiePolicy } from '../../reference/votes.ts';
import { writeAtomically } from '../checkpoint/atomicFile.ts';
import { type Aggregate, type AggregateOptions, aggregate } from '../reasoning/aggregate.ts';
import type { Interval } from '../reasoning/bootstrap.ts';
import { gradeChains, gradeLines, type StepMethod } from '../reasoning/grade.ts';
import type { Ledger } from '../reasoning/ledger.ts';
import type { Policy } from '../reasoning/problemMetrics.ts';
import { readLedger } from '../reasoning/readLedger.ts';
import { predictionColumns } from '../reasoning/searchAndLearn.ts';
import type { Context } from './context.ts';
import { parseInteger, parseTokens } from './options.ts';
import { formatCount, formatTable, type Terminal, terminalText } from './terminal.ts';

interface Flags {
  k?: number[];
  order: 'all' | 'first';
  ties?: TiePolicy;
  stepRewards?: StepMethod;
  seed: number;
  resamples: number;
  grade?: string;
  columns?: string;
  json?: boolean;
}

export function addAggregate(program: Command, context: Context): void {
  program
    .command('aggregate')
    .description(
      'judge the chains of ledgers: coverage, majority and weighted votes, best of N, for k chains a problem',
    )
    .argument(
      '<ledger...>',
      'lines {"problem", "sample", "text" or "answer", "gold" or "correct", "reward", …}, or those of search-and-learn',
    )
    .option('--k <list>', 'chains a problem, e.g. 1,2,4; default the powers of two', parseTokens)
    .addOption(
      new Option('--order <which>', 'average over all subsets of k chains, or take the first k')
        .choices(['all', 'first'])
        .default('all'),
    )
    .addOption(
      new Option(
        '--ties <policy>',
        'the answer seen first wins, the winners share, or nobody wins; default split, with --order first first',
      ).choices(['first', 'split', 'none']),
    )
    .addOption(
      new Option(
        '--step-rewards <method>',
        'make rewards of the rewards of steps; default the rewards in the ledger',
      ).choices(['last', 'min', 'product', 'mean']),
    )
    .option('--seed <s>', 'makes random subsets and resamples', parseInteger, 0)
    .option('--resamples <n>', 'how often problems are drawn for intervals', parseInteger, 1000)
    .option('--grade <file>', 'also write every line again, with "answer" and "correct"')
    .addOption(
      new Option(
        '--columns <whose>',
        'instead: what the first n chains of each problem answer, as JSON lines',
      ).choices(['search-and-learn']),
    )
    .option('--json', 'one JSON object per model')
    .action((ledgers: string[], flags: Flags) => run(ledgers, flags, context));
}

async function run(ledgers: string[], flags: Flags, { terminal }: Context): Promise<void> {
  const { k, order, ties, stepRewards, seed, resamples, grade, columns, json } = flags;
  const ledger = await readLedger(ledgers);
  const options: AggregateOptions = {
    ...{ order, seed, resamples },
    ...(k !== undefined && { ks: k }),
    ...(ties !== undefined && { ties }),
    ...(stepRewards !== undefined && { stepRewards }),
  };
  const models = aggregate(ledger.chains, options);
  if (grade !== undefined) {
    await writeAtomically(grade, bytesOf(gradeLines(ledger.lines)));
  }
  if (columns !== undefined) {
    const ks = Object.keys(models[0].coverage).map(Number);
    for (const model of gradeChains(ledger.chains, options)) {
      for (const row of predictionColumns(model, ks)) terminal.out(`${JSON.stringify(row)}\n`);
    }
  } else if (json) {
    const { duplicates, torn } = ledger;
    for (const model of models) {
      terminal.out(`${JSON.stringify({ ...model, duplicates, torn })}\n`);
    }
  } else print(models, ledger, terminal);
}

/** Lines of JSON, some at a time. */
async function* bytesOf(lines: readonly object[]): AsyncGenerator<Uint8Array> {
  const some = 256;
  for (let at = 0; at < lines.length; at += some) {
    const texts = lines.slice(at, at + some).map((line) => `${JSON.stringify(line)}\n`);
    yield new TextEncoder().encode(texts.join(''));
  }
}

function print(models: readonly Aggregate[], ledger: Ledger, terminal: Terminal): void {
  for (const model of models) terminal.out(`${describe(model)}\n\n`);
  const { order, ties, resamples } = models[0];
  const how =
    order === 'first' ? 'of the first k chains' : 'on average over all subsets of k chains';
  const tied = {
    first: 'the answer seen first wins a tie',
    split: 'a tie is split',
    none: 'nobody wins a tie',
  }[ties];
  terminal.out(
    `% of problems, ${how}; ${tied}; in brackets 95 % intervals, by drawing the problems ${formatCount(resamples)} times\n`,
  );
  const { torn, duplicates } = ledger;
  if (torn > 0) terminal.err(`${countOf(torn, 'last line')} cut off and left out\n`);
  if (duplicates > 0) terminal.err(`${countOf(duplicates, 'line')} there twice, counted once\n`);
}

const countOf = (n: number, what: string) =>
  `${formatCount(n)} ${what}${n === 1 ? ' was' : 's were'}`;

const COLUMNS: readonly (readonly [title: string, policy: Policy])[] = [
  ['coverage', 'coverage'],
  ['sound', 'sound'],
  ['majority', 'majority'],
  ['weighted', 'weighted'],
  ['best of N', 'bestOfN'],
  ['all right', 'allRight'],
];

function describe(result: Aggregate): string {
  const { model, problems, chains, withoutAnswer, samples, mean, intervals, notes } = result;
  const [least, most] = samples;
  const each =
    least === most ? formatCount(least) : `${formatCount(least)} to ${formatCount(most)}`;
  const head = [
    ...[model === undefined ? '' : `${terminalText(model).replaceAll('\n', ' ')}: `],
    `${formatCount(problems)} problems, ${formatCount(chains)} chains (${each} a problem), `,
    `${formatCount(withoutAnswer)} without an answer (counted as wrong), `,
    `one chain is right in ${percent(mean, intervals.mean)} %`,
  ];
  const columns = COLUMNS.filter(([, policy]) => result[policy] !== null);
  const rows = Object.keys(result.coverage).map((k) => [
    k,
    ...columns.map(([, policy]) => percent(result[policy]?.[k] ?? 0, intervals[policy]?.[k])),
  ]);
  const table = formatTable([['k', ...columns.map(([title]) => title)], ...rows]);
  return [head.join(''), table, ...errorsOf(result), ...notes].join('\n');
}

/** What averages over random subsets leave open. */
function errorsOf({ standardErrors }: Aggregate): string[] {
  const errors = Object.values(standardErrors).flatMap((byK) => Object.values(byK));
  if (errors.length === 0) return [];
  const worst = errors.reduce((most, error) => Math.max(most, error));
  return [
    `votes of larger k are averages over random subsets, with standard errors of at most ${(100 * worst).toFixed(2)} %`,
  ];
}

function percent(value: number, interval?: Interval): string {
  const text = (share: number) => (100 * share).toFixed(1);
  if (!interval) return text(value);
  return `${text(value)} (${text(interval[0])}–${text(interval[1])})`;
}
