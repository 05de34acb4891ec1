/** The figures of a report. */

import { type FigurePoint, type FigureSeries, lineFigure } from '../figures/lineFigure.ts';
import type { ColourName } from '../figures/palette.ts';
import type { RunModel } from '../reasoning/runFolder.ts';
import { type CurvePoint, drawnOf, type ModelCurves } from './curves.ts';

/** A figure, and what it is called as a file and in the text. */
export interface Figure {
  readonly file: string;
  readonly caption: string;
  readonly svg: string;
}

const COLOURS: readonly ColourName[] = ['blue', 'red', 'green', 'purple', 'orange', 'sky', 'black'];
const colourOf = (model: number) => COLOURS[model % COLOURS.length];

const percent = (share: number) => 100 * share;

/** All figures that the models have numbers for. */
export function figuresOf(models: readonly ModelCurves[], notes: readonly string[]): Figure[] {
  return [
    againstSamples(models, notes),
    againstSeconds(models, notes),
    throughputByRows(models, notes),
    throughputByLength(models, notes),
    stateBytes(models, notes),
  ].filter((figure): figure is Figure => figure !== undefined);
}

function accuracySeries(
  models: readonly ModelCurves[],
  xOf: (point: CurvePoint) => number | undefined,
): FigureSeries[] {
  return drawnOf(models).flatMap(({ policy, name: panel }) =>
    models.map(({ name, curves }, i) => ({
      ...{ name, panel, colour: colourOf(i) },
      points: (curves[policy] ?? []).flatMap((point) => {
        const x = xOf(point);
        if (x === undefined) return [];
        const { value, low, high } = point;
        return [{ x, y: percent(value), low: percent(low), high: percent(high) }];
      }),
    })),
  );
}

function againstSamples(models: readonly ModelCurves[], notes: readonly string[]): Figure {
  const svg = lineFigure({
    title: 'Solved, by chains per problem',
    ...{ x: 'chains per problem', y: 'problems solved', yUnit: ' %', logX: true },
    yRange: [0, 100],
    series: accuracySeries(models, ({ samples }) => samples),
    notes: ['Bands: 95 % of 1,000 draws of as many problems.', ...notes],
  });
  const caption =
    'What each model solves with 1, 2, 4, … chains, each the average over all choices of so many of its chains.';
  return { file: 'samples', caption, svg };
}

function againstSeconds(
  models: readonly ModelCurves[],
  notes: readonly string[],
): Figure | undefined {
  const own = accuracySeries(models, ({ seconds }) => seconds);
  if (own.every(({ points }) => points.length === 0)) return undefined;
  const replayed = drawnOf(models).flatMap(({ policy, name: panel }) =>
    models.map(
      ({ name, replay }, i): FigureSeries => ({
        ...{ name: `${name}, as it ran`, panel, isDashed: true, colour: colourOf(i) },
        points: replay.flatMap(({ seconds, solved }) =>
          solved[policy] === undefined ? [] : [{ x: seconds, y: percent(solved[policy]) }],
        ),
      }),
    ),
  );
  const svg = lineFigure({
    title: 'Solved, by seconds per problem',
    ...{ x: 'seconds per problem', y: 'problems solved', yUnit: ' %', logX: true },
    yRange: [0, 100],
    series: [...own, ...replayed],
    notes: [
      'Whole lines: chains at the speed of the best batch. Dashed: what had been answered when the run was that old, ' +
        'its problems taking turns.',
      ...(models.some(({ curves }) => curves.weighted)
        ? ['Seconds of judging are not counted.']
        : []),
      ...notes,
    ],
  });
  const caption = 'The same at equal time, which is the question: who solves most by when?';
  return { file: 'seconds', caption, svg };
}

/** A line of what is known of each model, of those that have points. */
function seriesOf(
  models: readonly ModelCurves[],
  pointsOf: (known: RunModel) => FigurePoint[] | undefined,
): FigureSeries[] {
  return models.flatMap(({ name, known }) => {
    const points = (known && pointsOf(known)) ?? [];
    return points.length === 0 ? [] : [{ name, points }];
  });
}

function throughputByRows(
  models: readonly ModelCurves[],
  notes: readonly string[],
): Figure | undefined {
  const series = seriesOf(models, ({ throughput }) =>
    throughput?.points.map(({ rows: x, tokensPerSecond: y }) => ({ x, y })),
  );
  if (series.length === 0) return undefined;
  const context = models.map(({ known }) => known?.throughput?.context ?? 0);
  const svg = lineFigure({
    title: 'Speed, by chains side by side',
    ...{ x: 'chains side by side', y: 'new tokens a second', logX: true, yRange: [0, 0], series },
    notes: [`Chains of ${range(context)} tokens, their prompt among them.`, ...notes],
  });
  return { file: 'batch', caption: 'How the speed of decoding grows with the batch.', svg };
}

function throughputByLength(
  models: readonly ModelCurves[],
  notes: readonly string[],
): Figure | undefined {
  const series = seriesOf(models, ({ throughput }) =>
    throughput?.byLength.map(({ context: x, tokensPerSecond: y }) => ({ x, y })),
  );
  if (series.length === 0) return undefined;
  const svg = lineFigure({
    title: 'Speed, by length',
    ...{ x: 'tokens so far', y: 'new tokens a second', yRange: [0, 0], series },
    notes: ['Each model with its best batch.', ...notes],
  });
  const caption = 'Attention reads all that was written at every step; a recurrence does not.';
  return { file: 'length', caption, svg };
}

const LENGTHS = [64, 128, 256, 512, 1024, 2048, 4096];

function stateBytes(models: readonly ModelCurves[], notes: readonly string[]): Figure | undefined {
  const series = seriesOf(models, ({ stateBytes, kvBytesPerToken }) =>
    LENGTHS.map((x) => ({ x, y: (stateBytes + kvBytesPerToken * x) / 1e3 })),
  );
  if (series.length === 0) return undefined;
  const svg = lineFigure({
    title: 'Memory of one chain, by length',
    ...{ x: 'tokens', y: 'kilobytes', yUnit: ' kB', logX: true, logY: true, series },
    notes: ['State and keys and values, in float32: what is read at every step.', ...notes],
  });
  return { file: 'memory', caption: 'What a chain keeps, and a step reads.', svg };
}

function range(values: readonly number[]): string {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  return least === most ? `${least}` : `${least} to ${most}`;
}
