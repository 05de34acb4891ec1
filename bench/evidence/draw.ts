/** `npm run evidence:draw`: the figures and tables of docs/evidence from what run.ts has measured. */

import { readFileSync, writeFileSync } from 'node:fs';
import { type DotRow, dotFigure, type FigureSeries, lineFigure } from '../../lib/figures/index.ts';
import { print } from '../report.ts';
import { type EvidenceResult, RUNS, SMOOTHED, STEPS } from './runs.ts';

const folder = process.argv[2] ?? 'docs/evidence';
const results = JSON.parse(readFileSync(`${folder}/results.json`, 'utf8')) as EvidenceResult[];

/** What is compared, each with the title of its figure and its table. */
const COMPARISONS = [
  {
    ...{ file: 'attention', title: 'How much attention is kept' },
    runs: ['teacher', 'kept-50', 'kept-25', 'kept-0'],
  },
  {
    ...{ file: 'initialisation', title: 'Mixers from attention, or drawn by chance' },
    runs: ['kept-25', 'hybrid-passing', 'hybrid-random', 'pure-forward', 'pure-random'],
  },
  {
    ...{ file: 'stages', title: "MOHAWK's stages, at equal tokens" },
    runs: ['pure-forward', 'pure-hidden', 'pure-all'],
  },
];
const TITLES = new Map([
  ['teacher', 'the teacher'],
  ...RUNS.map(({ name, title, recipe }): [string, string] => [
    name,
    name.startsWith('kept') ? title : `${recipe.kind === 'llamba' ? 'pure' : 'hybrid'}: ${title}`,
  ]),
]);
const titleOf = (run: string) => TITLES.get(run) ?? run;
const SEEDS = [...new Set(results.map(({ seed }) => seed))].sort((a, b) => a - b);
const notesOf = (seeds: readonly number[]) => [
  `${STEPS} steps of 24 chains, ListOps-CoT and word problems, seed ${seeds.join(' and ')}; npm run evidence`,
];

const tables: string[] = [];
for (const { file, title, runs } of COMPARISONS) {
  const rows = runs.flatMap((run) => results.filter((one) => one.run === run));
  const dots = rows.map(
    (row): DotRow => ({
      ...{ name: titleOf(row.run), value: 100 * row.greedy, series: `seed ${row.seed}` },
      ...{ low: 100 * (row.greedy - row.greedyError), high: 100 * (row.greedy + row.greedyError) },
    }),
  );
  const x = 'unseen problems solved greedily';
  const svg = dotFigure({ title, x, xUnit: ' %', rows: dots, notes: notesOf(SEEDS) });
  writeFileSync(`${folder}/${file}.svg`, svg);
  tables.push(table(title, file, rows));
}
const divergence = RUNS.filter(({ name }) => !['kept-50', 'kept-0'].includes(name)).flatMap(
  ({ name }) =>
    results
      .filter(({ run, seed }) => run === name && seed === SEEDS[0])
      .map(
        ({ curve }): FigureSeries => ({
          name: titleOf(name),
          // stages before it have taken their steps
          points: curve.map(([step, loss]) => ({
            x: step + STEPS - curve.length * SMOOTHED,
            y: loss,
          })),
        }),
      ),
);
writeFileSync(
  `${folder}/divergence.svg`,
  lineFigure({
    ...{ title: 'KL(teacher‖student) while it is learned', x: 'step', y: 'nats per token' },
    ...{ logY: true, series: divergence, notes: notesOf([SEEDS[0]]) },
  }),
);
const readme = readFileSync(`${folder}/README.md`, 'utf8');
const [before] = readme.split('<!-- tables -->');
writeFileSync(`${folder}/README.md`, `${before}<!-- tables -->\n\n${tables.join('\n\n')}\n`);
print(
  `${folder}: ${COMPARISONS.map(({ file }) => `${file}.svg`).join(', ')}, divergence.svg, README.md`,
);

function table(title: string, file: string, rows: readonly EvidenceResult[]): string {
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
  return [
    `## ${title}\n`,
    `![${title}](${file}.svg)\n`,
    '| | seed | nats per token | greedy | a chain at temperature 1 | any of 16 | minutes |',
    '|---|---|---|---|---|---|---|',
    ...rows.map(
      ({ run, seed, nats, greedy, greedyError, mean, coverage, minutes }) =>
        `| ${titleOf(run)} | ${seed} | ${nats.toFixed(3)} | ${percent(greedy)} ± ${(100 * greedyError).toFixed(1)} | ` +
        `${percent(mean)} | ${percent(coverage)} | ${minutes || ''} |`,
    ),
  ].join('\n');
}
