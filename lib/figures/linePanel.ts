/** Panels of lines: axes, intervals, lines, dots. */

import * as Plot from '@observablehq/plot';
import { type AxisOptions, axisOf, TICK_SIZE } from './axis.ts';
import type { FigurePoint } from './lineFigure.ts';
import type { Look } from './palette.ts';
import { dotOf, drawSheet, type Sheet, type SheetPanel, strokeOf } from './sheet.ts';
import { fitted, textWidth } from './text.ts';
import { thin } from './thin.ts';

/** A line with more points than this has no dots. */
const MOST_DOTS = 40;
const MARGIN = { top: 26, right: 14, bottom: 42 };

export interface PanelLine {
  readonly look: Look;
  readonly isFaint?: boolean;
  readonly intervals: 'band' | 'bars';
  /** Sorted by x. */
  readonly points: readonly FigurePoint[];
}

type Contents = Pick<AxisOptions, 'name' | 'unit' | 'isLog' | 'values'>;

interface LinePanel {
  readonly title: string;
  readonly x: Contents;
  readonly y: Contents;
  readonly lines: readonly PanelLine[];
}

/** Whether a line shows its points. */
export const hasDots = (points: readonly FigurePoint[]) => points.length <= MOST_DOTS;

/** Sizes of panels, by how many stand side by side. */
const SIZES = [
  { width: 700, height: 400 },
  { width: 440, height: 340 },
  { width: 340, height: 320 },
];

/** Lines as an SVG document: up to three panels side by side, the others below. */
export function drawLines({
  panels,
  description,
  notes = [],
  ...rest
}: Pick<Sheet, 'title' | 'legend'> & {
  description?: string;
  notes?: readonly string[];
  panels: readonly LinePanel[];
}): string {
  const columns = panels.length === 4 ? 2 : Math.min(panels.length, SIZES.length);
  const drawn = panels.map((panel) => linePanel(panel, SIZES[columns - 1]));
  return drawSheet({
    ...rest,
    description: description ?? rest.title,
    notes,
    columns,
    panels: drawn,
  });
}

function linePanel(
  { title, x, y, lines }: LinePanel,
  { width, height }: (typeof SIZES)[0],
): SheetPanel {
  const upright = height - MARGIN.top - MARGIN.bottom;
  const yAxis = axisOf({ ...y, length: upright, isUpright: true });
  const labelWidths = yAxis.ticks.map((tick) => textWidth(yAxis.label(tick), TICK_SIZE));
  const left = Math.min(width / 2, Math.ceil(Math.max(0, ...labelWidths)) + 12);
  const length = width - left - MARGIN.right;
  const xAxis = axisOf({ ...x, length, isUpright: false, marksValues: true });

  /** On a logarithmic axis an interval may reach to zero or below: to the edge of the panel then. */
  const shown = (value: number) => Math.min(yAxis.most, Math.max(yAxis.least, value));
  const marks = lines.flatMap(({ points, look, intervals, isFaint }) => {
    const drawn = thin(points, xAxis.at);
    const place = { x: 'x', y: 'y' } as const;
    const spread = drawn
      .filter(({ low, high }) => low !== undefined || high !== undefined)
      .map(({ x, y, low = y, high = y }) => ({ x, low: shown(low), high: shown(high) }));
    const ends = { x: 'x', y1: 'low', y2: 'high' } as const;
    const isBand = intervals === 'band' && spread.length > 1;
    return [
      isBand
        ? Plot.areaY(spread, { ...ends, fill: look.colour, fillOpacity: 0.18 })
        : Plot.ruleX(spread, { ...ends, stroke: look.colour, strokeWidth: 1.5 }),
      Plot.line(drawn, { ...place, ...strokeOf(look, isFaint) }),
      ...(hasDots(points) ? [Plot.dot(drawn, { ...place, ...dotOf(look) })] : []),
    ];
  });
  const isEmpty = lines.every(({ points }) => points.length === 0);
  return {
    ...{ title, width, height },
    marks: [
      ...numericAxis('x', { ...x, axis: xAxis, width: length }),
      ...numericAxis('y', { ...y, axis: yAxis, width: width - MARGIN.right }),
      Plot.frame({ stroke: '#888888' }),
      ...marks,
      ...(isEmpty ? [Plot.text(['no points'], { frameAnchor: 'middle', fontSize: 12 })] : []),
    ],
    options: {
      ...{ marginLeft: left, marginTop: MARGIN.top, marginRight: MARGIN.right },
      ...{ marginBottom: MARGIN.bottom, x: scaleOf(xAxis), y: scaleOf(yAxis) },
    },
  };
}

type DrawnAxis = ReturnType<typeof axisOf>;

export function scaleOf({ isLog, least, most }: DrawnAxis): Plot.ScaleOptions {
  return { type: isLog ? 'log' : 'linear', domain: [least, most] };
}

/** Grid, ticks and name of an axis of numbers. */
export function numericAxis(
  which: 'x' | 'y',
  { axis, name, width }: { axis: DrawnAxis; name: string; width: number },
): Plot.Markish[] {
  const ticks = axis.ticks;
  const common = {
    ...{ label: fitted(name, TICK_SIZE, width), labelArrow: false, fontSize: TICK_SIZE },
    // as text: of a tick format Plot leaves out what it takes for minor ticks of a logarithm
    ...{ text: (tick: number) => axis.label(tick), tickSize: 4, fontVariant: undefined },
  } as const;
  return which === 'x'
    ? [
        Plot.gridX(ticks, { strokeOpacity: 0.12 }),
        Plot.axisX(ticks, { ...common, labelAnchor: 'center', labelOffset: 38 }),
      ]
    : [
        Plot.gridY(ticks, { strokeOpacity: 0.12 }),
        Plot.axisY(ticks, { ...common, labelAnchor: 'top' }),
      ];
}
