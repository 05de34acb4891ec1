/** Tokens a second against the batch: a panel for every model and dtype. */

import { type ColourName, type FigureSeries, lineFigure } from '../../lib/figures/index.ts';
import type { Setting } from '../report.ts';
import { spreadOf } from '../timing.ts';
import type { Who } from './protocol.ts';
import type { Line } from './table.ts';

const COLOURS: Record<Who, ColourName> = { ours: 'blue', 'llama.cpp': 'orange' };

export function drawPeers(lines: readonly Line[], setting: Setting): string {
  const { machine, commit, date } = setting;
  const decoding = lines.filter(({ prefill }) => prefill === undefined);
  const titles = [...new Set(decoding.map(titleOf))];
  const ran = new Set(
    lines.flatMap(({ sides }) =>
      sides.map(({ info, node }) => `${info.replace(/, \d+ threads$/, '')} (Node ${node})`),
    ),
  );
  return lineFigure({
    title: 'Decoding in lockstep: tokens a second over all sequences (higher is better)',
    description: 'Decoding: tokens a second against batch',
    ...{ x: 'batch', y: 'tokens a second', logX: true, logY: true, intervals: 'bars' },
    series: titles.flatMap((panel) =>
      seriesOf(decoding.filter((line) => titleOf(line) === panel)).map((one) => ({
        ...one,
        panel,
      })),
    ),
    notes: [`${machine}, commit ${commit}, ${date.slice(0, 10)}`, [...ran].join('; ')],
  });
}

const titleOf = ({ model, dtype }: Line) => `${model}, ${dtype}`;

/** One thread is drawn dashed. */
function seriesOf(lines: readonly Line[]): FigureSeries[] {
  const kinds = lines.flatMap(({ sides, threads }) => sides.map(({ who }) => ({ who, threads })));
  const distinct = new Map(kinds.map((kind) => [`${kind.who}, ${kind.threads} threads`, kind]));
  return [...distinct].map(([name, { who, threads }]) => ({
    name: name.replace(', 1 threads', ', 1 thread'),
    colour: COLOURS[who],
    isDashed: threads === 1,
    points: lines
      .filter((line) => line.threads === threads)
      .flatMap(({ batch, sides }) => {
        const side = sides.find((one) => one.who === who);
        if (!side) return [];
        const { median, min, max } = spreadOf(side.rates);
        return [{ x: batch, y: median, low: min, high: max }];
      }),
  }));
}
