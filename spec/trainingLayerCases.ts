/**
 * Random inputs of the layers that train, and what y and the gradients of each must be: values in Float64 from
 * reference/, and bounds from the equations, computed with numbers that know how wrong they may be.
 */

import { type Approx, Calculator, exactly, negated, ONE } from '../lib/verify/approx.ts';
import {
  gatedRmsNorm as gatedRmsNormBounds,
  linear as linearBounds,
} from '../lib/verify/definitions/layers.ts';
import { IEEE32_KERNEL } from '../lib/verify/machines.ts';
import { Draws, type ValueFamily } from '../lib/verify/values.ts';
import { embedding } from '../reference/embedding.ts';
import { gatedRmsNorm } from '../reference/gatedRmsNorm.ts';
import { embeddingGradient } from '../reference/gradients/embedding.ts';
import { gateGradient } from '../reference/gradients/gate.ts';
import { gatedRmsNormGradient } from '../reference/gradients/gatedRmsNorm.ts';
import { linearGradient } from '../reference/gradients/linear.ts';
import { rmsNormGradient } from '../reference/gradients/rmsNorm.ts';
import { linear } from '../reference/linear.ts';
import { rmsNorm } from '../reference/rmsNorm.ts';
import { gateProduct } from '../reference/swigluMlp.ts';
import type { Tensor, Vector } from '../reference/tensor.ts';

export const calc = new Calculator(IEEE32_KERNEL, 'any');

/** The sum that an element of a gradient gets: its value, and its terms with their bounds. */
export interface Added {
  values: Vector;
  terms: Approx[][];
}

export interface Case {
  input: Record<string, Tensor | Int32Array | number | boolean | undefined>;
  dy: Tensor;
  y: Approx[];
  gradients: Record<string, Added>;
}

/** Sizes that meet every tail: of vectors, panels, tiles, blocks of rows. */
export class Sizes {
  readonly draws: Draws;
  readonly #family: ValueFamily;

  constructor(seed: number) {
    this.draws = new Draws(seed);
    const families = ['usual', 'usual', 'cancelling', 'sparse', 'oneHot', 'dyadic'] as const;
    this.#family = families[this.draws.below(families.length)];
  }

  upTo(most: number): number {
    return 1 + this.draws.below(most);
  }

  isSo(): boolean {
    return this.draws.below(2) === 1;
  }

  tensor(...shape: number[]): Tensor {
    return this.draws.tensor(this.#family, ...shape);
  }
}

const matrix = (data: Vector, rows: number, width: number): Tensor => ({
  data,
  shape: [rows, width],
});
const bounded = (values: Vector, bounds: readonly Approx[]): Approx[] =>
  bounds.map(({ error }, i) => ({ value: values[i], error }));
const exact = (values: Vector): Approx[] => Array.from(values, exactly);
const each = (values: Vector): Approx[][] => exact(values).map((value) => [value]);
const columnsOf = (terms: Approx[][], width: number): Approx[][] => {
  const columns: Approx[][] = Array.from({ length: width }, () => []);
  for (const [i, of] of terms.entries()) columns[i % width].push(...of);
  return columns;
};

export function linearCase(
  sizes: Sizes,
  rows = sizes.upTo(70),
  dIn = sizes.upTo(20),
  dOut = sizes.upTo(20),
  hasBias = sizes.isSo(),
): Case {
  const bias = hasBias ? sizes.tensor(dOut) : undefined;
  const input = { x: sizes.tensor(rows, dIn), weight: sizes.tensor(dOut, dIn), bias };
  const dy = sizes.tensor(rows, dOut);
  const [X, W, D] = [input.x.data, input.weight.data, dy.data].map(exact);
  const sums = (
    rowsOf: number,
    widthOf: number,
    length: number,
    term: (i: number, j: number, k: number) => Approx,
  ) =>
    Array.from({ length: rowsOf * widthOf }, (_, at) => {
      const [i, j] = [Math.floor(at / widthOf), at % widthOf];
      return Array.from({ length }, (_, k) => term(i, j, k));
    });
  const { x, weight, bias: dBias } = linearGradient(input, dy);
  return {
    input,
    dy,
    y: bounded(linear(input).y.data, linearBounds(input, calc).y),
    gradients: {
      x: {
        values: x.data,
        terms: sums(rows, dIn, dOut, (r, i, o) => calc.mul(D[r * dOut + o], W[o * dIn + i])),
      },
      weight: {
        values: weight.data,
        terms: sums(dOut, dIn, rows, (o, i, r) => calc.mul(D[r * dOut + o], X[r * dIn + i])),
      },
      ...(dBias && { bias: { values: dBias.data, terms: columnsOf(each(dy.data), dOut) } }),
    },
  };
}

function embeddingCase(sizes: Sizes): Case {
  const [vocabRows, dModel, rows] = [sizes.upTo(9), sizes.upTo(40), sizes.upTo(70)];
  const tokens = Int32Array.from({ length: rows }, () => sizes.draws.below(vocabRows));
  const input = { tokens, weight: sizes.tensor(vocabRows, dModel) };
  const dy = sizes.tensor(rows, dModel);
  const terms: Approx[][] = Array.from({ length: vocabRows * dModel }, () => []);
  for (const [i, value] of dy.data.entries()) {
    terms[tokens[Math.floor(i / dModel)] * dModel + (i % dModel)].push(exactly(value));
  }
  const y = exact(embedding(input).y.data);
  const values = embeddingGradient(input, dy).weight.data;
  return { input, dy, y, gradients: { weight: { values, terms } } };
}

function addCase(sizes: Sizes): Case {
  const shape = [sizes.upTo(20), sizes.upTo(40)] as const;
  const [a, b, dy] = [sizes.tensor(...shape), sizes.tensor(...shape), sizes.tensor(...shape)];
  const y = exact(a.data).map((value, i) => calc.add(value, exactly(b.data[i])));
  const added = { values: dy.data, terms: each(dy.data) };
  return { input: { a, b }, dy, y, gradients: { a: added, b: added } };
}

function columnsCase(sizes: Sizes): Case {
  const [rows, from, width, after] = [
    sizes.upTo(20),
    sizes.upTo(9) - 1,
    sizes.upTo(20),
    sizes.upTo(9) - 1,
  ];
  const all = from + width + after;
  const [x, dy] = [sizes.tensor(rows, all), sizes.tensor(rows, width)];
  const values = new Float64Array(rows * all);
  for (let row = 0; row < rows; row++) {
    values.set(dy.data.subarray(row * width, (row + 1) * width), row * all + from);
  }
  const y = Array.from({ length: rows * width }, (_, i) =>
    exactly(x.data[Math.floor(i / width) * all + from + (i % width)]),
  );
  return { input: { x, from, width }, dy, y, gradients: { x: { values, terms: each(values) } } };
}

function repeatGroupsCase(sizes: Sizes): Case {
  const [rows, groups, width, times] = [
    sizes.upTo(20),
    sizes.upTo(4),
    sizes.upTo(9),
    sizes.upTo(4),
  ];
  const [x, dy] = [sizes.tensor(rows, groups * width), sizes.tensor(rows, groups * width * times)];
  const values = new Float64Array(x.data.length);
  const terms: Approx[][] = Array.from(values, () => []);
  const y = Array.from(dy.data, (value, i) => {
    const [group, column] = [Math.floor(i / (width * times)), i % width];
    values[group * width + column] += value;
    terms[group * width + column].push(exactly(value));
    return exactly(x.data[group * width + column]);
  });
  return { input: { x, width, times }, dy, y, gradients: { x: { values, terms } } };
}

function gateCase(sizes: Sizes): Case {
  const [rows, width] = [sizes.upTo(70), sizes.upTo(20)];
  const [x, z, dy] = Array.from({ length: 3 }, () => sizes.tensor(rows, width));
  const zBias = sizes.isSo() ? sizes.tensor(width) : undefined;
  const open = z.data.map((value, i) => value + (zBias ? zBias.data[i % width] : 0));
  const u = Array.from(z.data, (value, i) =>
    zBias ? calc.add(exactly(value), exactly(zBias.data[i % width])) : exactly(value),
  );
  const [X, D] = [x.data, dy.data].map(exact);
  const dz = u.map((v, i) => [calc.product([D[i], X[i], ...slope(v)])]);
  const values = gateGradient({ x, z, zBias }, dy);
  return {
    input: { x, z, zBias },
    dy,
    y: bounded(
      gateProduct(x, matrix(open, rows, width)).data,
      u.map((v, i) => calc.gated(X[i], v)),
    ),
    gradients: {
      x: { values: values.x.data, terms: u.map((v, i) => [calc.gated(D[i], v)]) },
      z: { values: values.z.data, terms: dz },
      ...(values.zBias && { zBias: { values: values.zBias.data, terms: columnsOf(dz, width) } }),
    },
  };
}

/** silu′(u) as two factors. */
const slope = (u: Approx) => [
  calc.sigmoid(u),
  calc.add(ONE, calc.mul(u, calc.sigmoid(negated(u)))),
];

function rmsNormCase(sizes: Sizes): Case {
  const [rows, width] = [sizes.upTo(70), sizes.upTo(40)];
  const input = { x: sizes.tensor(rows, width), weight: sizes.tensor(width), eps: 1e-5 };
  const dy = sizes.tensor(rows, width);
  const { x, weight } = rmsNormGradient(input, dy);
  const values = { x: x.data, weight: weight.data };
  const y = bounded(rmsNorm(input).y.data, gatedRmsNormBounds(input, calc).y);
  return { input, dy, y, gradients: normTerms({ ...input, groupSize: width }, dy, values) };
}

function gatedRmsNormCase(sizes: Sizes): Case {
  const [rows, groups, groupSize] = [sizes.upTo(70), sizes.upTo(4), sizes.upTo(12)];
  const shape = [rows, groups * groupSize] as const;
  const input = {
    x: sizes.tensor(...shape),
    z: sizes.tensor(...shape),
    weight: sizes.tensor(shape[1]),
    ...{ eps: 1e-5, groupSize, normBeforeGate: sizes.isSo() },
  };
  const dy = sizes.tensor(...shape);
  const { x, z, weight } = gatedRmsNormGradient(input, dy);
  const values = { x: x.data, z: z?.data, weight: weight.data };
  const y = bounded(gatedRmsNorm(input).y.data, gatedRmsNormBounds(input, calc).y);
  return { input, dy, y, gradients: normTerms(input, dy, values) };
}

interface NormIn {
  x: Tensor;
  z?: Tensor;
  weight: Tensor;
  eps: number;
  groupSize: number;
  normBeforeGate?: boolean;
}

/** The gradients of a norm as sums, from dv = s·w·g − v·s³·mean(v·w·g). */
function normTerms(input: NormIn, dy: Tensor, values: Record<string, Vector | undefined>) {
  const { x, z, weight, eps, groupSize, normBeforeGate = false } = input;
  const width = x.shape[1];
  const [X, D] = [x.data, dy.data].map(exact);
  const Z = z && exact(z.data);
  const w = (i: number) => exactly(weight.data[i % width]);
  const gated = (value: Approx, i: number) => (Z ? calc.gated(value, Z[i]) : value);
  const dx: Approx[][] = [];
  const dz: Approx[][] = [];
  const dWeight: Approx[][] = [];
  for (let start = 0; start < X.length; start += groupSize) {
    const places = Array.from({ length: groupSize }, (_, i) => start + i);
    const v = places.map((i) => (normBeforeGate ? X[i] : gated(X[i], i)));
    const g = places.map((i) => (normBeforeGate ? gated(D[i], i) : D[i]));
    const mean = calc.div(calc.dot(v, v), exactly(groupSize));
    const s = calc.div(ONE, calc.sqrt(calc.add(mean, calc.rounded(eps, 0))));
    const along = calc.sum(v.map((value, k) => calc.product([value, g[k], w(start + k)])));
    const pull = calc.div(along, exactly(groupSize));
    for (const [k, i] of places.entries()) {
      const pulled = calc.product([v[k], s, s, s, pull]);
      const dv = calc.sub(calc.product([s, w(i), g[k]]), pulled);
      dx.push([normBeforeGate ? dv : gated(dv, i)]);
      dWeight.push([calc.product([g[k], v[k], s])]);
      if (!Z) continue;
      const factors = normBeforeGate ? [D[i], X[i], s, w(i)] : [dv, X[i]];
      dz.push([calc.product([...factors, ...slope(Z[i])])]);
    }
  }
  return {
    x: { values: values.x as Vector, terms: dx },
    weight: { values: values.weight as Vector, terms: columnsOf(dWeight, width) },
    ...(values.z && { z: { values: values.z, terms: dz } }),
  };
}

/** Draws a case of each op. */
export const CASES = {
  linear: linearCase,
  embedding: embeddingCase,
  add: addCase,
  columns: columnsCase,
  repeatGroups: repeatGroupsCase,
  gate: gateCase,
  rmsNorm: rmsNormCase,
  gatedRmsNorm: gatedRmsNormCase,
} as const satisfies Record<string, (sizes: Sizes) => Case>;
