/** Fewer points for lines that are denser than a screen. */

import type { FigurePoint } from './lineFigure.ts';

/** Columns of two pixels; a line with no more points than this stays as it is. */
const COLUMN = 2;
const FEW = 1_000;

/**
 * Of a line of more than 1,000 points sorted by x, the points that a reader could tell apart: in each column of two pixels
 * the first, the last, the least and the greatest y, and the ends of the widest interval. Extremes survive.
 *
 * @param at the place of an x in pixels.
 */
export function thin<Point extends FigurePoint>(
  points: readonly Point[],
  at: (x: number) => number,
): readonly Point[] {
  if (points.length <= FEW) return points;
  const kept = new Set<Point>();
  for (let start = 0; start < points.length; ) {
    const column = Math.floor(at(points[start].x) / COLUMN);
    let end = start + 1;
    while (end < points.length && Math.floor(at(points[end].x) / COLUMN) === column) end++;
    for (const point of telling(points.slice(start, end))) kept.add(point);
    start = end;
  }
  return points.filter((point) => kept.has(point));
}

function telling<Point extends FigurePoint>(points: readonly Point[]): Point[] {
  const least = (of: (point: Point) => number) =>
    points.reduce((best, point) => (of(point) < of(best) ? point : best));
  return [
    ...[points[0], points[points.length - 1]],
    ...[least(({ y }) => y), least(({ y }) => -y)],
    ...[least(({ y, low = y }) => low), least(({ y, high = y }) => -high)],
  ];
}
