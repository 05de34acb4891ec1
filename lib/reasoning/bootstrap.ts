/** How far averages over problems could be off, had other problems of the same kind been asked. */

import { Words } from './subsets.ts';

/** 95 % of what came out lies between them. */
export type Interval = readonly [least: number, greatest: number];

export interface BootstrapInput {
  /** For each problem a row of numbers, all rows of one length. At least one row. */
  readonly rows: readonly Float64Array[];
  /** How often as many problems are drawn from them, with replacement. */
  readonly resamples: number;
  /** A whole number in [0, 2⁵³). */
  readonly seed: number;
}

/**
 * Percentile intervals of the columns' means (Efron 1979). Rows at the same places are drawn for all columns, and for
 * other tables of as many rows, so that models asked the same problems are compared on the same ones.
 */
export function bootstrapIntervals({ rows, resamples, seed }: BootstrapInput): Interval[] {
  const columns = rows[0].length;
  const means = Array.from({ length: columns }, () => new Float64Array(resamples));
  const sums = new Float64Array(columns);
  const drawn = new Int32Array(rows.length);
  for (let index = 0; index < resamples; index++) {
    const words = new Words({ seed, index, purpose: 'resamples' });
    drawn.fill(0);
    for (let i = 0; i < rows.length; i++) drawn[words.below(rows.length)]++;
    sums.fill(0);
    for (let i = 0; i < rows.length; i++) {
      const [row, times] = [rows[i], drawn[i]];
      for (let column = 0; column < columns; column++) sums[column] += times * row[column];
    }
    for (let column = 0; column < columns; column++) {
      means[column][index] = sums[column] / rows.length;
    }
  }
  return means.map((column) => {
    column.sort();
    return [quantile(column, 0.025), quantile(column, 0.975)];
  });
}

/** Between the two nearest of sorted values, in proportion (type 7 of Hyndman and Fan 1996). */
function quantile(sorted: Float64Array, share: number): number {
  const place = share * (sorted.length - 1);
  const below = Math.floor(place);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (place - below) * (sorted[above] - sorted[below]);
}
