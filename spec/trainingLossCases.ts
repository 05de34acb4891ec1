/** Random inputs of the losses that train, and what each loss and its gradient must be; see trainingAttentionCases.ts. */

import { type Approx, exactly, negated, ONE } from '../lib/verify/approx.ts';
import { softmaxOf } from '../lib/verify/definitions/layers.ts';
import { matrixDistance, matrixDistanceGradient } from '../reference/gradients/matrixDistance.ts';
import { crossEntropy, hiddenDistance, klDivergence } from '../reference/losses.ts';
import { reshape, type Tensor, type Vector } from '../reference/tensor.ts';
import { calc, type Sizes } from './trainingAttentionCases.ts';

export interface LossCase {
  input: Record<string, unknown>;
  loss: Approx;
  /** Nothing for what does not count. */
  gradient: (Approx | undefined)[];
}

const DIRECTIONS = ['forward', 'reverse', 'soft'] as const;

const rowsOf = ({ data, shape: [rows, width] }: Tensor): Approx[][] =>
  Array.from({ length: rows }, (_, row) =>
    Array.from(data.subarray(row * width, (row + 1) * width), exactly),
  );
const largestOf = (row: readonly Approx[]) => exactly(Math.max(...row.map(({ value }) => value)));
const withValue = (value: number, { error }: Approx): Approx => ({ value, error });

/** Which rows count: one of them at least. */
function maskOf(sizes: Sizes, rows: number): Float32Array {
  const mask = Float32Array.from({ length: rows }, () => Number(sizes.isSo()));
  mask[sizes.draws.below(rows)] = 1;
  return mask;
}

/** ln Σ e^(x − largest). */
function logTotal(row: readonly Approx[]): Approx {
  const largest = largestOf(row);
  return calc.log(calc.sum(row.map((x) => calc.exp(calc.sub(x, largest)))));
}

function crossEntropyCase(sizes: Sizes, rows = sizes.upTo(9), width = sizes.upTo(70)): LossCase {
  const logits = sizes.tensor(rows, width);
  const mask = maskOf(sizes, rows);
  const targets = Int32Array.from(mask, (counts) => (counts ? sizes.draws.below(width) : -100));
  const counted = exactly(mask.filter(Boolean).length);
  const want = crossEntropy({ logits, targets: [...targets] });
  const losses: Approx[] = [];
  const gradient = rowsOf(logits).flatMap((row, r) => {
    const target = targets[r];
    if (target < 0) return row.map(() => undefined);
    losses.push(calc.add(logTotal(row), calc.sub(largestOf(row), row[target])));
    return softmaxOf(row, calc).map((p, v) => {
      const slope = v === target ? calc.sub(p, ONE) : p;
      return withValue(want.gradient.data[r * width + v], calc.div(slope, counted));
    });
  });
  const loss = withValue(want.loss, calc.div(calc.sum(losses), counted));
  return { input: { logits, targets }, loss, gradient };
}

function klDivergenceCase(
  sizes: Sizes,
  rows = sizes.upTo(9),
  width = sizes.upTo(70),
  which = sizes.draws.below(3),
): LossCase {
  const direction = DIRECTIONS[which];
  const [logits, teacherLogits] = [sizes.tensor(rows, width), sizes.tensor(rows, width)];
  const mask = maskOf(sizes, rows);
  const divisor = Math.fround(sizes.draws.between(0.5, 9));
  const given = {
    ...{ logits: reshape(logits, rows, 1, width), direction },
    ...{ teacherLogits: reshape(teacherLogits, rows, 1, width), mask: Array.from(mask, Boolean) },
  };
  const want = klDivergence(given);
  // the reference divides by the rows that count
  const scale = mask.filter(Boolean).length / divisor;
  const teachers = rowsOf(teacherLogits);
  const losses: Approx[] = [];
  const gradient = rowsOf(logits).flatMap((s, r) => {
    if (mask[r] === 0) return s.map(() => undefined);
    const t = teachers[r];
    const [p, q] = [softmaxOf(s, calc), softmaxOf(t, calc)];
    const [ofS, ofT] = [logTotal(s), logTotal(t)];
    const offset = calc.add(calc.sub(largestOf(s), largestOf(t)), calc.sub(ofS, ofT));
    const differences = s.map((x, v) => calc.add(calc.sub(t[v], x), offset)); // ln q − ln p
    let slopes = p.map((x, v) => calc.sub(x, q[v]));
    let loss = calc.dot(q, differences);
    if (direction === 'soft') {
      const largest = largestOf(s);
      const below = s.map((x) => calc.sub(largest, x));
      loss = calc.add(calc.dot(q, below), ofS);
    } else if (direction === 'reverse') {
      loss = negated(calc.dot(p, differences));
      slopes = p.map((x, v) => calc.mul(x, negated(calc.add(differences[v], loss))));
    }
    losses.push(loss);
    return slopes.map((slope, v) => {
      const value = want.gradient.data[r * width + v] * scale;
      return withValue(value, calc.div(slope, exactly(divisor)));
    });
  });
  const loss = withValue(want.loss * scale, calc.div(calc.sum(losses), exactly(divisor)));
  return { input: { logits, teacherLogits, mask, direction, divisor }, loss, gradient };
}

/** The mean distance of groups of rows, of which some do not count. */
function distancesOf(
  { x, target }: { x: Tensor; target: Tensor },
  perGroup: number,
  counts: (group: number) => boolean,
  want: { loss: number; gradient: (at: number) => number },
): { loss: Approx; gradient: (Approx | undefined)[] } {
  const [rows, width] = x.shape;
  const groups = Array.from({ length: rows / perGroup }, (_, group) => group);
  const counted = exactly(groups.filter(counts).length);
  const size = perGroup * width;
  const [xs, targets] = [x, target].map(({ data }) => Array.from(data as Vector, exactly));
  const distances: Approx[] = [];
  const gradient = groups.flatMap((group) => {
    const places = Array.from({ length: size }, (_, i) => group * size + i);
    if (!counts(group)) return places.map(() => undefined);
    const differences = places.map((i) => calc.sub(xs[i], targets[i]));
    const distance = calc.sqrt(calc.sum(differences.map((d) => calc.mul(d, d))));
    distances.push(distance);
    return differences.map((d, i) => {
      const slope = distance.value === 0 ? d : calc.div(d, distance);
      return withValue(want.gradient(places[i]), calc.div(slope, counted));
    });
  });
  return { loss: withValue(want.loss, calc.div(calc.sum(distances), counted)), gradient };
}

function hiddenDistanceCase(sizes: Sizes): LossCase {
  const [rows, width] = [sizes.upTo(9), sizes.upTo(70)];
  const [x, target] = [sizes.tensor(rows, width), sizes.tensor(rows, width)];
  const mask = maskOf(sizes, rows);
  const counting = [...mask.keys()].filter((row) => mask[row]);
  const some = ({ data }: Tensor): Tensor => ({
    data: Float64Array.from(
      counting.flatMap((row) => [...data.subarray(row * width, (row + 1) * width)]),
    ),
    shape: [counting.length, width],
  });
  const { loss, gradient } = hiddenDistance({ x: some(x), target: some(target) });
  const ofAll = (at: number) =>
    gradient.data[counting.indexOf(Math.floor(at / width)) * width + (at % width)];
  const want = { loss, gradient: ofAll };
  const made = distancesOf({ x, target }, 1, (row) => mask[row] === 1, want);
  return { input: { x, target, mask }, ...made };
}

function matrixDistanceCase(sizes: Sizes): LossCase {
  const [batch, nHeads, seqlen] = [sizes.upTo(3), sizes.upTo(3), sizes.upTo(13)];
  const shape = [batch * nHeads * seqlen, seqlen];
  const [x, target] = [sizes.tensor(...shape), sizes.tensor(...shape)];
  // one head is its teacher's
  if (sizes.isSo()) x.data.set(target.data.subarray(0, seqlen ** 2));
  const shaped = (t: Tensor) => reshape(t, batch, nHeads, seqlen, seqlen);
  const input = { x: shaped(x), target: shaped(target) };
  const { data } = matrixDistanceGradient(input).x;
  const want = { loss: matrixDistance(input), gradient: (at: number) => data[at] };
  return {
    input: { x, target, seqlen },
    ...distancesOf({ x, target }, seqlen, () => true, want),
  };
}

export const CASES = {
  crossEntropy: crossEntropyCase,
  klDivergence: klDivergenceCase,
  hiddenDistance: hiddenDistanceCase,
  matrixDistance: matrixDistanceCase,
};
