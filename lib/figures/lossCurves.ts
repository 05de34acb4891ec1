/** How a training's losses fell. */

import type { LossCurve } from '../train/savedRun.ts';
import { isDrawable } from './axis.ts';
import type { FigurePoint } from './lineFigure.ts';
import { drawLines, hasDots } from './linePanel.ts';
import { lookOf } from './palette.ts';

/** Share of a stage's steps that one point of the smooth line is the mean of. */
const WINDOW = 1 / 25;
/** Steps before and behind at most. */
const FARTHEST = 400;
/** A stage whose loss falls further than this has a logarithmic axis. */
const FAR = 5;

/**
 * The loss of every step, faint, and its mean over a twenty-fifth of the stage's steps (at most 801), as an SVG document: a
 * panel a stage, with axes of its own, as stages have losses of different kinds. The y axis is logarithmic where the
 * largest loss is at least five times the least and all are above zero. A loss that is not finite or beyond 1e100 is left
 * out, and a note says so.
 *
 * @param stages the curve of each stage by its name, as `train` and `distil` return them.
 *
 * @example
 * lossCurves(new Map([['sft', [[1, 4.3], [2, 3.9], [3, 3.1]]]])).slice(0, 4); // → <svg
 */
export function lossCurves(
  stages: ReadonlyMap<string, LossCurve>,
  { title = 'Loss' }: { title?: string } = {},
): string {
  const curves = [...stages].map(([stage, curve]) => {
    const points = curve
      .map(([x, y]) => ({ x, y }))
      .filter(({ x, y }) => [x, y].every((n) => Number.isFinite(n) && isDrawable(n, false)))
      .sort((a, b) => a.x - b.x);
    return { stage, points, leftOut: curve.length - points.length };
  });
  const look = lookOf(0);
  const missing = curves
    .filter(({ leftOut }) => leftOut > 0)
    .map(({ stage, leftOut }) => `${stage}: ${leftOut} steps without a finite loss are left out`);
  const isDotted = curves.some(({ points }) => points.length > 0 && hasDots(points));
  return drawLines({
    title,
    description: [title, ...stages.keys()].join(', '),
    legend: [
      { name: 'every step', look, isFaint: true, hasLine: true, hasDot: false },
      { name: 'mean of the steps around it', look, hasLine: true, hasDot: isDotted },
    ],
    notes: missing,
    panels: (curves.length > 0 ? curves : [{ stage: '', points: [] }]).map(({ stage, points }) => ({
      title: stage,
      x: { name: 'step', isLog: false, values: points.map(({ x }) => x) },
      y: { name: 'loss', isLog: fallsFar(points), values: points.map(({ y }) => y) },
      lines: [
        { look, isFaint: true, intervals: 'band', points },
        { look, intervals: 'band', points: smoothed(points) },
      ],
    })),
  });
}

function fallsFar(points: readonly FigurePoint[]): boolean {
  const losses = points.map(({ y }) => y);
  const least = losses.reduce((a, b) => Math.min(a, b), Infinity);
  const most = losses.reduce((a, b) => Math.max(a, b), -Infinity);
  return losses.length > 0 && isDrawable(least, true) && most / least >= FAR;
}

/** The mean of the steps around each; at the start, where losses fall fast, of as many before as behind. */
function smoothed(points: readonly FigurePoint[]): FigurePoint[] {
  const reach = Math.min(FARTHEST, Math.floor((points.length * WINDOW) / 2));
  return points.map(({ x }, i) => {
    const from = Math.max(0, i - reach);
    const to = Math.min(points.length - 1, i + Math.min(reach, i));
    let sum = 0;
    // afresh for each: a running sum would keep the error of a huge loss for good
    for (let j = from; j <= to; j++) sum += points[j].y;
    return { x, y: sum / (to - from + 1) };
  });
}
