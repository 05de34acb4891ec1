/** Lines with intervals, in one panel or in several. */

import { ConfigError } from '../../reference/errors.ts';
import { isDrawable } from './axis.ts';
import { drawLines, hasDots } from './linePanel.ts';
import { type ColourName, type Look, looksOf } from './palette.ts';
import { plainText } from './text.ts';

/** What is drawn of a measurement, in the axes' units. */
export interface FigurePoint {
  readonly x: number;
  readonly y: number;
  /** Ends of its interval; y where one is missing. */
  readonly low?: number;
  readonly high?: number;
}

export interface FigureSeries {
  /** What stands in the legend; series of one name look alike in all panels. */
  readonly name: string;
  /** In any order; drawn in the order of x. None is allowed: the name then stands in the legend alone. */
  readonly points: readonly FigurePoint[];
  /** Title of the panel that it is in; without one, the only or the first panel. */
  readonly panel?: string;
  readonly colour?: ColourName;
  readonly isDashed?: boolean;
}

export interface LineFigureOptions {
  readonly title: string;
  /** For those who do not see it; default the title. */
  readonly description?: string;
  /** Names of the axes. */
  readonly x: string;
  readonly y: string;
  /** Stand behind the axes' numbers: ` ms`. */
  readonly xUnit?: string;
  readonly yUnit?: string;
  readonly logX?: boolean;
  readonly logY?: boolean;
  /** What the y axis holds at least; points beyond it widen it. */
  readonly yRange?: readonly [least: number, most: number];
  /** How intervals are drawn; default `band`. */
  readonly intervals?: 'band' | 'bars';
  readonly series: readonly FigureSeries[];
  /** Small print below: machine, versions, date. */
  readonly notes?: readonly string[];
}

/**
 * A figure as an SVG document: the same bytes for the same input, white page, any text as text. All panels have the same
 * axes. A logarithmic x axis marks the values themselves where there are at most twelve. Lines of more than 1,000 points are
 * thinned to what two pixels can show; their extremes survive. On a logarithmic y axis an interval that reaches to zero
 * ends at the panel's edge.
 *
 * @throws ConfigError for a number that is not finite, is beyond 1e100, or is not above zero on a logarithmic axis; for an
 * interval whose ends are swapped; for more than 21 names.
 *
 * @example
 * const points = [{ x: 1, y: 41, low: 36, high: 46 }, { x: 64, y: 99, low: 97, high: 100 }];
 * const series = [{ name: 'hybrid', points }];
 * lineFigure({ title: 'Coverage', x: 'samples', y: 'solved', yUnit: ' %', logX: true, series }).slice(0, 4); // → <svg
 */
export function lineFigure(options: LineFigureOptions): string {
  const { series, logX = false, logY = false, intervals = 'band', yRange = [] } = options;
  for (const one of series) expectDrawable(one, { logX, logY });
  for (const end of yRange) expectNumber(end, 'yRange', logY);
  const first = series.find(({ panel }) => panel !== undefined)?.panel ?? '';
  const titles = [...new Set(series.map(({ panel = first }) => panel))];
  if (titles.length === 0) titles.push('');
  const looks = looksOf(series);
  const points = series.flatMap((one) => one.points);
  const x = {
    ...{ name: options.x, unit: options.xUnit, isLog: logX },
    values: points.map((point) => point.x),
  };
  const y = {
    ...{ name: options.y, unit: options.yUnit, isLog: logY },
    values: [...yRange, ...points.flatMap((point) => heights(point, logY))],
  };
  return drawLines({
    ...{ title: options.title, description: options.description, notes: options.notes },
    legend: [...looks].map(([name, look]) => {
      const own = series.filter((one) => one.name === name).map((one) => one.points);
      return { name, look, hasLine: true, hasDot: own.some(hasDots) };
    }),
    panels: titles.map((title) => ({
      ...{ title, x, y },
      lines: series
        .filter(({ panel = first }) => panel === title)
        .map(({ name, points }) => ({
          ...{ look: looks.get(name) as Look, intervals },
          points: [...points].sort((a, b) => a.x - b.x),
        })),
    })),
  });
}

/** The heights that an axis must hold for a point. */
function heights({ y, low = y, high = y }: FigurePoint, isLog: boolean): number[] {
  return [y, low, high].filter((value) => isDrawable(value, isLog));
}

function expectDrawable(
  { name, points }: FigureSeries,
  { logX, logY }: { logX: boolean; logY: boolean },
): void {
  for (const { x, y, low = y, high = y } of points) {
    expectNumber(x, `x of ${JSON.stringify(plainText(name))}`, logX);
    expectNumber(y, `y of ${JSON.stringify(plainText(name))}`, logY);
    expectInterval({ low, high }, name);
  }
}

/** @throws ConfigError for a number that has no place on an axis. */
export function expectNumber(value: number, what: string, isLog: boolean): void {
  if (typeof value === 'number' && isDrawable(value, isLog)) return;
  const range = isLog ? 'from 1e-100 to 1e100, as the axis is logarithmic' : 'of at most 1e100';
  throw new ConfigError(
    `figures: expected ${what} to be a finite number ${range}, got ${value}; leave it out`,
    'NotDrawable',
  );
}

/** @throws ConfigError for ends that are not finite or swapped. */
export function expectInterval({ low, high }: { low: number; high: number }, name: string): void {
  const of = JSON.stringify(plainText(name));
  expectNumber(low, `low of ${of}`, false);
  expectNumber(high, `high of ${of}`, false);
  if (low > high) {
    throw new ConfigError(
      `figures: expected low of ${of} to be at most high, got ${low} and ${high}`,
      'NotDrawable',
    );
  }
}
