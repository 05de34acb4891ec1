/**
 * Draws ms a step against the batch, one panel a model, as a plain SVG: from the JSON of `npm run bench`.
 *
 *   npx tsx bench/plot.ts measured.json docs/bench/steps.svg
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { naiveName } from './contestants.ts';
import type { Setting } from './report.ts';

interface Point {
  model: string;
  who: string;
  ran?: string;
  batch: number;
  ms: number;
  msMin: number;
  msMax: number;
}

const PANEL = { width: 330, height: 330, left: 58, top: 70, gap: 70 };
const FOOT = 140;
const LEGEND = { rows: 2, width: 190 };
/** Room around the points, as a factor. */
const EDGE = 1.3;

/** Colours that stay apart for colour-blind readers (Okabe & Ito 2008). */
const COLOURS: Record<string, string> = {
  reference: '#999999',
  'plain loops': '#000000',
  'gpujs:cpu': '#e69f00',
  'gpujs:webasm': '#009e73',
  'gpujs:webgpu': '#0072b2',
  'gpujs:webgl2': '#cc79a7',
  'gpujs:headlessgl': '#d55e00',
};

const [from, to] = process.argv.slice(2);
if (!from || !to) throw new Error('plot: expected two files: measured.json and plot.svg');
const measured = JSON.parse(readFileSync(from, 'utf8')) as Setting & { steps: Point[] };
writeFileSync(to, draw(measured.steps, measured));

function draw(points: readonly Point[], { machine, node, commit, date }: Setting): string {
  const models = [...new Set(points.map(({ model }) => model))];
  const rivals = new Set(points.map(({ who }) => who)).size;
  const width = Math.max(
    PANEL.left + models.length * (PANEL.width + PANEL.gap),
    PANEL.left + Math.ceil(rivals / LEGEND.rows) * LEGEND.width,
  );
  const height = PANEL.top + PANEL.height + FOOT;
  const ms = logScale(
    points.flatMap(({ msMin, msMax }) => [msMin / EDGE, msMax * EDGE]),
    PANEL.height,
  );
  const batches = points.map(({ batch }) => batch);
  const batchScale = logScale(
    [Math.min(...batches) / EDGE, Math.max(...batches) * EDGE],
    PANEL.width,
  );
  const panels = models.map((model, i) => {
    const x = PANEL.left + i * (PANEL.width + PANEL.gap);
    const own = points.filter((point) => point.model === model);
    return `<g transform="translate(${x},${PANEL.top})">${panel(model, own, batchScale, ms)}</g>`;
  });
  const devices = [...new Set(points.flatMap(({ ran }) => ran ?? []))].join('; ');
  const notes = [`${machine}, Node ${node}, commit ${commit}, ${date.slice(0, 10)}`, devices];
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" font-family="sans-serif" font-size="12" role="img" aria-label="One decode step: milliseconds against batch">
<rect width="100%" height="100%" fill="white"/>
<text x="${PANEL.left}" y="24" font-size="16">One decode step of all sequences: ms against batch (lower is better)</text>
${panels.join('\n')}
${legend(points, height - 62)}
${notes.map((note, i) => text(PANEL.left, height - 24 + 16 * i, note, 'fill="#555"')).join('\n')}
</svg>
`;
}

interface Scale {
  least: number;
  most: number;
  /** From 0 to the length of the axis. */
  at(value: number): number;
}

function logScale(values: readonly number[], length: number): Scale {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const share = (value: number) => Math.log(value / least) / Math.log(most / least);
  return { least, most, at: (value) => length * share(value) };
}

function panel(model: string, points: readonly Point[], x: Scale, y: Scale): string {
  const up = (ms: number) => PANEL.height - y.at(ms);
  const parts = [
    `<rect width="${PANEL.width}" height="${PANEL.height}" fill="none" stroke="#888"/>`,
    text(0, -10, model, 'font-size="14"'),
    text(PANEL.width / 2, PANEL.height + 34, 'batch', 'text-anchor="middle"'),
  ];
  for (const ms of ticksOf(y)) {
    parts.push(line(0, up(ms), PANEL.width, up(ms), '#ddd'));
    parts.push(text(-6, up(ms) + 4, `${ms} ms`, 'text-anchor="end"'));
  }
  for (const batch of new Set(points.map((point) => point.batch))) {
    parts.push(line(x.at(batch), 0, x.at(batch), PANEL.height, '#ddd'));
    parts.push(text(x.at(batch), PANEL.height + 17, `${batch}`, 'text-anchor="middle"'));
  }
  for (const who of new Set(points.map((point) => point.who))) {
    const own = points.filter((point) => point.who === who);
    const places = own.map(({ batch, ms }) => [x.at(batch), up(ms)] as const);
    const path = places.map((place) => place.map((n) => n.toFixed(1)).join(',')).join(' ');
    parts.push(`<polyline points="${path}" fill="none" ${strokeOf(who)}/>`);
    own.forEach(({ msMin, msMax }, i) => {
      const [px, py] = places[i];
      parts.push(line(px, up(msMin), px, up(msMax), colourOf(who)));
      parts.push(`<circle cx="${px}" cy="${py}" r="3" fill="${colourOf(who)}"/>`);
    });
  }
  return parts.join('\n');
}

/** 1, 10, 100, …; with 3, 30, … between them where there are few. */
function ticksOf({ least, most }: Scale): number[] {
  const steps = Math.log10(most / least) < 3 ? [1, 3] : [1];
  const ticks = [-3, -2, -1, 0, 1, 2, 3, 4, 5].flatMap((power) =>
    steps.map((step) => Number((step * 10 ** power).toPrecision(1))),
  );
  return ticks.filter((tick) => tick >= least && tick <= most);
}

function legend(points: readonly Point[], y: number): string {
  return [...new Set(points.map(({ who }) => who))]
    .map((who, i) => {
      const [column, row] = [Math.floor(i / LEGEND.rows), i % LEGEND.rows];
      const [x, at] = [PANEL.left + LEGEND.width * column, y - 16 + 18 * row];
      const sample = `<line x1="${x}" x2="${x + 30}" y1="${at - 4}" y2="${at - 4}" ${strokeOf(who)}/>`;
      return `${sample}${text(x + 36, at, who)}`;
    })
    .join('\n');
}

/** The backend of a naive port; any other name itself. */
function plainName(who: string): string {
  return Object.keys(COLOURS).find((name) => who === naiveName(name)) ?? who;
}

function colourOf(who: string): string {
  return COLOURS[plainName(who)] ?? '#444444';
}

/** The naive port in the colour of its backend, dashed. */
function strokeOf(who: string): string {
  const dash = plainName(who) === who ? '' : ' stroke-dasharray="5 4"';
  return `stroke="${colourOf(who)}" stroke-width="2"${dash}`;
}

function line(x1: number, y1: number, x2: number, y2: number, colour: string): string {
  const ends = [x1, y1, x2, y2].map((n) => n.toFixed(1));
  return `<line x1="${ends[0]}" y1="${ends[1]}" x2="${ends[2]}" y2="${ends[3]}" stroke="${colour}"/>`;
}

function text(x: number, y: number, content: string, attributes = ''): string {
  const safe = content.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${attributes}>${safe}</text>`;
}
