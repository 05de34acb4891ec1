/**
 * Draws ms a step against the batch, one panel a model, as a plain SVG: from the JSON of `npm run bench`.
 *
 *   npx tsx bench/plot.ts measured.json docs/bench/steps.svg
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { drawChart, type Line, PALETTE } from './chart.ts';
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

const COLOURS: Record<string, string> = {
  reference: PALETTE.grey,
  'plain loops': PALETTE.black,
  'gpujs:cpu': PALETTE.orange,
  'gpujs:webasm': PALETTE.green,
  'gpujs:webgpu': PALETTE.blue,
  'gpujs:webgl2': PALETTE.purple,
  'gpujs:headlessgl': PALETTE.red,
};

const [from, to] = process.argv.slice(2);
if (!from || !to) throw new Error('plot: expected two files: measured.json and plot.svg');
const measured = JSON.parse(readFileSync(from, 'utf8')) as Setting & { steps: Measured[] };
const { steps, machine, node, commit, date } = measured;
const svg = drawChart({
  title: 'One decode step of all sequences: ms against batch (lower is better)',
  label: 'One decode step: milliseconds against batch',
  xName: 'batch',
  unit: ' ms',
  panels: [...new Set(steps.map(({ model }) => model))].map((model) => ({
    title: model,
    lines: linesOf(steps.filter((row) => row.model === model)),
  })),
  notes: [
    `${machine}, Node ${node}, commit ${commit}, ${date.slice(0, 10)}`,
    [...new Set(steps.flatMap(({ ran }) => ran ?? []))].join('; '),
  ],
});
writeFileSync(to, svg);

function linesOf(rows: readonly Measured[]): Line[] {
  return [...new Set(rows.map(({ who }) => who))].map((who) => ({
    name: who,
    colour: COLOURS[plainName(who)] ?? '#444444',
    // the naive port in the colour of its backend
    isDashed: plainName(who) !== who,
    points: rows
      .filter((row) => row.who === who)
      .map(({ batch, ms, msMin, msMax }) => ({ x: batch, y: ms, min: msMin, max: msMax })),
  }));
}

/** The backend of a naive port; any other name itself. */
function plainName(who: string): string {
  return Object.keys(COLOURS).find((name) => who === naiveName(name)) ?? who;
}
