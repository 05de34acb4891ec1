/** Names with a value and its interval each: ablations, comparisons. */

import * as Plot from '@observablehq/plot';
import { type AxisOptions, axisOf, isDrawable, TICK_SIZE } from './axis.ts';
import { expectInterval, expectNumber } from './lineFigure.ts';
import { numericAxis, scaleOf } from './linePanel.ts';
import { type ColourName, looksOf } from './palette.ts';
import { dotOf, drawSheet, strokeOf } from './sheet.ts';
import { fitted, plainText, textWidth } from './text.ts';

export interface DotRow {
  /** Stands on the y axis; rows of one name share a line. */
  readonly name: string;
  readonly value: number;
  /** Ends of its interval; the value where one is missing. */
  readonly low?: number;
  readonly high?: number;
  /** What the colour stands for, in the legend. */
  readonly series?: string;
  readonly colour?: ColourName;
}

export interface DotFigureOptions {
  readonly title: string;
  /** For those who do not see it; default the title. */
  readonly description?: string;
  /** Name of the axis. */
  readonly x: string;
  /** Stands behind the axis' numbers: ` %`. */
  readonly xUnit?: string;
  readonly logX?: boolean;
  /** What the axis holds at least; values beyond it widen it. */
  readonly xRange?: readonly [least: number, most: number];
  /** From top to bottom. */
  readonly rows: readonly DotRow[];
  readonly notes?: readonly string[];
}

const WIDTH = 700;
const NAMES = 260;
const LINE = 16;
const MARGIN = { top: 6, right: 14, bottom: 42 };

/**
 * Values as dots with their intervals, a line a name, as an SVG document.
 *
 * @throws ConfigError as {@link lineFigure}.
 *
 * @example
 * const rows = [{ name: 'from attention', value: 50.7, low: 45.1, high: 56.3 }, { name: 'random', value: 9.0 }];
 * dotFigure({ title: 'Initialisation', x: 'solved greedily', xUnit: ' %', rows }).slice(0, 4); // → <svg
 */
export function dotFigure(options: DotFigureOptions): string {
  const { title, description = title, rows, logX = false, xRange = [], notes = [] } = options;
  for (const { name, value, low = value, high = value } of rows) {
    expectNumber(value, `value of ${JSON.stringify(plainText(name))}`, logX);
    expectInterval({ low, high }, name);
  }
  for (const end of xRange) expectNumber(end, 'xRange', logX);
  const looks = looksOf(rows.map(({ series = '', colour }) => ({ name: series, colour })));
  const series = [...looks.keys()];
  const names = [...new Set(rows.map(({ name }) => name))];
  const labels = names.map((name) => fitted(name, TICK_SIZE, NAMES));
  const left = Math.ceil(Math.max(40, ...labels.map((text) => textWidth(text, TICK_SIZE)))) + 14;

  const x: AxisOptions = {
    ...{ name: options.x, unit: options.xUnit, isLog: logX },
    values: [
      ...xRange,
      ...rows.flatMap(({ value, low = value, high = value }) =>
        [value, low, high].filter((end) => isDrawable(end, logX)),
      ),
    ],
    ...{ length: WIDTH - left - MARGIN.right, isUpright: false },
  };
  const axis = axisOf(x);
  const shown = (value: number) => Math.min(axis.most, Math.max(axis.least, value));
  // a line for each series within the lines of a name
  const places = rows.map(({ name, value, low = value, high = value, series: own = '' }) => ({
    y: names.indexOf(name) + (series.indexOf(own) + 0.5) / series.length - 0.5,
    ...{ value, own, low: shown(low), high: shown(high) },
  }));
  const marks = [...looks].flatMap(([name, look]) => {
    const own = places.filter((place) => place.own === name);
    return [
      Plot.ruleY(own, { x1: 'low', x2: 'high', y: 'y', ...strokeOf(look) }),
      Plot.dot(own, { x: 'value', y: 'y', ...dotOf(look) }),
    ];
  });
  const lines = names.map((_, i) => i);
  const height =
    MARGIN.top +
    MARGIN.bottom +
    Math.max(1, names.length) * (8 + LINE * Math.max(1, series.length));
  return drawSheet({
    ...{ title, description, notes, columns: 1 },
    legend: [...looks]
      .filter(([name]) => name !== '')
      .map(([name, look]) => ({ name, look, hasLine: true, hasDot: true })),
    panels: [
      {
        ...{ title: '', width: WIDTH, height },
        marks: [
          ...numericAxis('x', { ...x, axis, width: x.length }),
          Plot.gridY(lines, { strokeOpacity: 0.12 }),
          Plot.axisY(lines, {
            ...{ label: null, fontSize: TICK_SIZE, tickSize: 0, fontVariant: undefined },
            text: (line: number) => labels[line],
          }),
          Plot.frame({ stroke: '#888888' }),
          ...marks,
          ...(rows.length === 0 ? [Plot.text(['no rows'], { frameAnchor: 'middle' })] : []),
        ],
        options: {
          ...{ marginLeft: left, marginTop: MARGIN.top, marginRight: MARGIN.right },
          ...{ marginBottom: MARGIN.bottom, x: scaleOf(axis) },
          y: { type: 'linear', domain: [-0.5, Math.max(1, names.length) - 0.5], reverse: true },
        },
      },
    ],
  });
}
