/** A plan as a table for a terminal: layers that are alike are shown once. */

import type { PlanReport } from '../inspect.ts';
import type { PlanLine } from '../plan/index.ts';
import { formatBytes, formatCount, formatTable } from './terminal.ts';

const HEADER = ['', 'op', 'makes', 'width', 'from', 'weights', 'state', 'MACs', 'bytes'];
/** Columns with words are set to the left. */
const WORDS = 7;

/** Both plans, each under a line that says what is counted. */
export function formatPlans({ step, prefill }: PlanReport): string {
  return [
    `step: 1 token of ${step.load.rows} sequence at position ${step.load.position}`,
    formatLines(step.lines),
    `prefill: ${prefill.load.tokens} tokens of ${prefill.load.rows} sequence`,
    formatLines(prefill.lines),
  ].join('\n\n');
}

function formatLines(lines: readonly PlanLine[]): string {
  const rows = alikeTogether(lines).flatMap(({ title, lines: group }) =>
    group.map((line, i) => [
      i === 0 ? title : '',
      line.op,
      line.writes,
      String(line.width),
      line.reads.join(', '),
      line.weights.join(', '),
      line.state.join(', '),
      formatCount(line.macs),
      formatBytes(line.bytes),
    ]),
  );
  const sum = (key: 'macs' | 'bytes') => lines.reduce((total, line) => total + line[key], 0);
  const total = ['all', ...Array(6).fill(''), formatCount(sum('macs')), formatBytes(sum('bytes'))];
  return formatTable([HEADER, ...rows, total], WORDS);
}

/** Neighbouring layers with the same steps, once, under `layers 0 to 3`. */
function alikeTogether(lines: readonly PlanLine[]) {
  const groups: { first?: number; last?: number; lines: PlanLine[] }[] = [];
  for (const layer of layersOf(lines)) {
    const before = groups.at(-1);
    const [{ layer: number }] = layer;
    if (before?.last !== undefined && number !== undefined && alike(before.lines, layer)) {
      before.last = number;
    } else groups.push({ first: number, last: number, lines: layer });
  }
  return groups.map(({ first, last, lines: group }) => {
    const range = first === last ? `layer ${first}` : `layers ${first} to ${last}, each`;
    return { title: first === undefined ? 'model' : range, lines: group };
  });
}

function layersOf(lines: readonly PlanLine[]): PlanLine[][] {
  const layers: PlanLine[][] = [];
  for (const line of lines) {
    if (layers.length > 0 && layers[layers.length - 1][0].layer === line.layer) {
      layers[layers.length - 1].push(line);
    } else layers.push([line]);
  }
  return layers;
}

/** Whether two layers have the same steps; the first reads the embedding under another name. */
function alike(a: readonly PlanLine[], b: readonly PlanLine[]): boolean {
  const shape = (lines: readonly PlanLine[]) =>
    JSON.stringify(
      lines.map(({ op, writes, width, weights, macs }) => [op, writes, width, weights, macs]),
    );
  return shape(a) === shape(b);
}
