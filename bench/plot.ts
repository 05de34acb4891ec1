/**
 * Draws ms a step against the batch, one panel a model, as an SVG: from the JSON of `npm run bench`.
 *
 *   npx tsx bench/plot.ts measured.json docs/bench/steps.svg
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { type ColourName, type FigureSeries, lineFigure } from '../lib/figures/index.ts';
import { naiveName } from './contestants.ts';
import type { Setting } from './report.ts';

/** A row of the part `steps`. */
interface Measured {
  model: string;
  who: string;
  ran?: string;
  batch: number;
  ms: number;
  msMin: number;
  msMax: number;
}

const COLOURS: Record<string, ColourName> = {
  reference: 'grey',
  'plain loops': 'black',
  'gpujs:cpu': 'orange',
  'gpujs:webasm': 'green',
  'gpujs:webgpu': 'blue',
  'gpujs:webgl2': 'purple',
  'gpujs:headlessgl': 'red',
};

const [from, to] = process.argv.slice(2);
if (!from || !to) throw new Error('plot: expected two files: measured.json and plot.svg');
const measured = JSON.parse(readFileSync(from, 'utf8')) as Setting & { steps: Measured[] };
const { steps, machine, node, commit, date } = measured;
const svg = lineFigure({
  title: 'One decode step of all sequences: ms against batch (lower is better)',
  description: 'One decode step: milliseconds against batch',
  ...{ x: 'batch', y: 'a step', yUnit: ' ms', logX: true, logY: true, intervals: 'bars' },
  series: [...new Set(steps.map(({ model }) => model))].flatMap((panel) =>
    seriesOf(steps.filter(({ model }) => model === panel)).map((one) => ({ ...one, panel })),
  ),
  notes: [
    `${machine}, Node ${node}, commit ${commit}, ${date.slice(0, 10)}`,
    [...new Set(steps.flatMap(({ ran }) => ran ?? []))].join('; '),
  ],
});
writeFileSync(to, svg);

function seriesOf(rows: readonly Measured[]): FigureSeries[] {
  return [...new Set(rows.map(({ who }) => who))].map((who) => ({
    name: who,
    colour: COLOURS[plainName(who)] ?? 'sky',
    // the naive port in the colour of its backend
    isDashed: plainName(who) !== who,
    points: rows
      .filter((row) => row.who === who)
      .map(({ batch, ms, msMin, msMax }) => ({ x: batch, y: ms, low: msMin, high: msMax })),
  }));
}

/** The backend of a naive port; any other name itself. */
function plainName(who: string): string {
  return Object.keys(COLOURS).find((name) => who === naiveName(name)) ?? who;
}
