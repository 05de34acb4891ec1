/** Layers that train on WASM: forward and backward against Float64, the same bits for any number of threads. */

import { setFlagsFromString } from 'node:v8';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AdamWStep, Differentiable, Numbers } from '../backends/training.ts';
import { hasRelaxed, Kernels, type Simd } from '../backends/wasm/kernels.ts';
import { type Buffer, own, TrainingMemory } from '../backends/wasm/training/device.ts';
import { layerOps } from '../backends/wasm/training/layers.ts';
import { linearOp } from '../backends/wasm/training/linear.ts';
import { optimiserOps } from '../backends/wasm/training/optimiser.ts';
import type { Approx } from '../lib/verify/approx.ts';
import { exactly } from '../lib/verify/approx.ts';
import { Draws } from '../lib/verify/values.ts';
import type { Tensor, Vector } from '../reference/tensor.ts';
import { RUNS, SEED } from './support.ts';
import { CASES, type Case, calc, linearCase, Sizes } from './trainingLayerCases.ts';

// Node 20 has relaxed SIMD behind a flag
setFlagsFromString('--experimental-wasm-relaxed-simd');
const BUILDS: readonly Simd[] = (await hasRelaxed()) ? ['plain', 'relaxed'] : ['plain'];
const THREADS = [1, 2, 3];
/** Words behind a buffer that kernels must leave alone. */
const BEHIND = 16;

type Op = keyof typeof CASES;
type AnyOp = Differentiable<Record<string, unknown>, string>;

const newOps = (memory: TrainingMemory) => ({
  ...layerOps(memory),
  ...linearOp(memory),
  ...optimiserOps(memory),
});
interface Team {
  kernels: Kernels;
  memory: TrainingMemory;
  ops: ReturnType<typeof newOps>;
}

/** What an op made: y and the gradients that were wanted, by name. */
type Made = Record<string, Float32Array>;

const isTensor = (value: unknown): value is Tensor =>
  typeof value === 'object' && value !== null && 'shape' in value;

/**
 * Runs an op forward and backward, adding to gradients that hold something already.
 * @throws when anything but y and the wanted gradients has changed, or what lies between and behind their rows.
 */
function runCase({ memory, ops }: Team, op: Op, drawn: Case, wanted: Record<string, Tensor>): Made {
  const placed: [buffer: Buffer, behind: Float32Array][] = [];
  const behind = ({ address, rows, stride }: Buffer) => {
    const end = address / 4 + rows * stride;
    return memory.kernels.memory.f32.slice(end, end + BEHIND);
  };
  const place = (tensor: Tensor) => {
    const buffer = put(memory, tensor);
    placed.push([buffer, behind(buffer)]);
    return buffer;
  };
  const placeAll = (named: Record<string, unknown>) =>
    Object.fromEntries(
      Object.entries(named).map(([name, value]) => [name, isTensor(value) ? place(value) : value]),
    );
  const input = placeAll(drawn.input);
  const dy = place(drawn.dy);
  const before = placed.map(([buffer]) => memory.read(buffer));
  const grads = placeAll(wanted) as Record<string, Numbers>;

  const { forward, backward } = ops[op] as unknown as AnyOp;
  const output = forward(input);
  placed.push([own(output.y), behind(own(output.y))]);
  backward(input, output, dy, grads);

  const made = Object.fromEntries(
    Object.entries({ y: output.y, ...grads }).map(([name, numbers]) => [
      name,
      memory.read(own(numbers)),
    ]),
  );
  before.forEach((data, i) => {
    expect(memory.read(placed[i][0]), 'inputs and dy').toEqual(data);
  });
  for (const [buffer, was] of placed) {
    expect(paddingOf(buffer, memory), 'columns beyond the width').toEqual([]);
    expect(behind(buffer), 'what lies behind').toEqual(was);
  }
  memory.reset();
  return made;
}

/** What is not 0 between the rows. */
function paddingOf({ address, rows, width, stride }: Buffer, memory: TrainingMemory): number[] {
  const { f32 } = memory.kernels.memory;
  return Array.from({ length: rows }, (_, row) => {
    const at = address / 4 + row * stride;
    return [...f32.subarray(at + width, at + stride)];
  })
    .flat()
    .filter((value) => value !== 0);
}

/** Fails where a number is further from what it must be than its bound; NaN always is. */
function expectWithin(got: ArrayLike<number>, expected: readonly Approx[], what: string): void {
  expect(got.length, what).toBe(expected.length);
  expected.forEach(({ value, error }, i) => {
    const isWithin = Math.abs(got[i] - value) <= error;
    if (!isWithin) expect.fail(`${what}[${i}]: expected ${value} ± ${error}, got ${got[i]}`);
  });
}

/** before + what is added: its value from the reference, its bound from the terms. */
function sumsOf(before: Vector, { values, terms }: Case['gradients'][string]): Approx[] {
  return terms.map((some, i) => {
    const { error } = calc.sum([exactly(before[i]), ...some]);
    return { value: before[i] + values[i], error };
  });
}

/** Which gradients are wanted, and what they hold before. */
function wantedOf(drawn: Case, draws: Draws, isWanted: () => boolean): Record<string, Tensor> {
  const some = Object.entries(drawn.gradients).filter(isWanted);
  return Object.fromEntries(
    some.map(([name]) => {
      const of = drawn.input[name] as Tensor;
      return [name, draws.tensor('usual', ...of.shape)];
    }),
  );
}

describe.each(BUILDS)('%s SIMD', (simd) => {
  let teams: Team[];
  beforeAll(async () => {
    const started = THREADS.map((threads) => Kernels.start({ simd, threads }));
    teams = (await Promise.all(started)).map((kernels) => {
      const memory = new TrainingMemory(kernels);
      return { kernels, memory, ops: newOps(memory) };
    });
  });
  afterAll(() => Promise.all(teams.map(({ kernels }) => kernels.close())));

  function expectCase(op: Op, drawn: Case, wanted: Record<string, Tensor>): void {
    const [one, ...others] = teams.map((team) => runCase(team, op, drawn, wanted));
    for (const other of others) expect(other, 'with more threads').toEqual(one);
    expectWithin(one.y, drawn.y, 'y');
    for (const [name, { data }] of Object.entries(wanted)) {
      expectWithin(one[name], sumsOf(data, drawn.gradients[name]), `gradient of ${name}`);
    }
  }

  it.each(Object.keys(CASES) as Op[])('%s is what its equations say, backward too', (op) => {
    const property = fc.property(fc.nat(0x7fffffff), (seed) => {
      const sizes = new Sizes(seed);
      const drawn = CASES[op](sizes);
      expectCase(
        op,
        drawn,
        wantedOf(drawn, sizes.draws, () => sizes.isSo()),
      );
    });
    fc.assert(property, { seed: SEED, numRuns: Math.ceil(RUNS / 6) });
  });

  it.each([
    [513, 9, 70],
    [1030, 5, 37],
    [600, 33, 5],
  ])('linear over several blocks: %d rows of %d to %d', (rows, dIn, dOut) => {
    const sizes = new Sizes(SEED + rows);
    const drawn = linearCase(sizes, rows, dIn, dOut, true);
    expectCase(
      'linear',
      drawn,
      wantedOf(drawn, sizes.draws, () => true),
    );
  });

  it('AdamW is what a loop in Float64 makes of it', () => {
    const property = fc.property(fc.nat(0x7fffffff), (seed) => {
      const sizes = new Sizes(seed);
      const shape = [sizes.upTo(9), sizes.upTo(300)];
      const start = [
        ...[sizes.draws.tensor('usual', ...shape), sizes.draws.tensor('usual', ...shape)],
        sizes.draws.tensorBetween(0.01, 2, ...shape),
      ];
      const gradients = Array.from({ length: 3 }, () => sizes.draws.tensor('usual', ...shape));
      const options: AdamWOptions = {
        ...{ learningRate: sizes.draws.between(1e-4, 0.1), betas: [0.9, 0.999], eps: 1e-8 },
        ...{ weightDecay: sizes.draws.between(0, 0.3), gradientScale: sizes.draws.between(0, 2) },
      };
      const [one, ...others] = teams.map((team) => stepped(team, start, gradients, options));
      for (const other of others) expect(other, 'with more threads').toEqual(one);
      const expected = steppedExactly(start, gradients, options);
      one.forEach((got, i) => {
        expectWithin(got, expected[i], ['p', 'm', 'v'][i]);
      });
    });
    fc.assert(property, { seed: SEED, numRuns: Math.ceil(RUNS / 20) });
  });

  it('sums of squares are those of Float64, rounded', () => {
    const draws = new Draws(SEED);
    const shapes = [[3, 5], [7], [130, 129], [1, 20_000], [1]];
    const tensors = shapes.map((shape) => draws.tensor('usual', ...shape));
    const sums = teams.map(({ memory, ops }) => {
      const y = ops.sumOfSquares(tensors.map((tensor) => put(memory, tensor)));
      const [sum] = memory.read(own(y));
      memory.reset();
      return sum;
    });
    expect(sums).toEqual(sums.map(() => sums[0]));
    const all = tensors.flatMap(({ data }) => [...data]);
    const value = all.reduce((sum, x) => sum + x * x, 0);
    // one rounding to float32, and one to float64 for every term of both sums
    expectWithin([sums[0]], [{ value, error: value * (2 ** -24 + all.length * 2 ** -52) }], 'sum');
  });
});

type AdamWOptions = Pick<
  AdamWStep,
  'learningRate' | 'betas' | 'eps' | 'weightDecay' | 'gradientScale'
>;

function put(memory: TrainingMemory, { data, shape }: Tensor): Buffer {
  const buffer = memory.zeros(shape);
  memory.write(buffer, data);
  return buffer;
}

/** p, m and v after some steps. */
function stepped(
  { memory, ops }: Team,
  start: readonly Tensor[],
  gradients: readonly Tensor[],
  options: AdamWOptions,
): Float32Array[] {
  const [parameter, m, v] = start.map((tensor) => put(memory, tensor));
  gradients.forEach((tensor, i) => {
    const gradient = put(memory, tensor);
    ops.adamW({ parameter, gradient, m, v, step: i + 1, ...options });
  });
  const made = [parameter, m, v].map((buffer) => memory.read(buffer));
  for (const buffer of [parameter, m, v]) expect(paddingOf(buffer, memory)).toEqual([]);
  memory.reset();
  return made;
}

/** The same in Float64, with bounds: PyTorch's order, constants rounded once. */
function steppedExactly(
  start: readonly Tensor[],
  gradients: readonly Tensor[],
  { learningRate, betas: [beta1, beta2], eps, weightDecay, gradientScale }: AdamWOptions,
): Approx[][] {
  const [p, m, v] = start.map(({ data }) => Array.from(data, exactly));
  const constant = (value: number) => calc.rounded(value, 0);
  gradients.forEach(({ data }, n) => {
    const [first, second] = [1 - beta1 ** (n + 1), 1 - beta2 ** (n + 1)];
    data.forEach((value, i) => {
      const g = calc.mul(exactly(value), constant(gradientScale));
      m[i] = calc.sum([calc.mul(constant(beta1), m[i]), calc.mul(constant(1 - beta1), g)]);
      v[i] = calc.sum([calc.mul(constant(beta2), v[i]), calc.product([constant(1 - beta2), g, g])]);
      const spread = calc.add(
        calc.mul(calc.sqrt(v[i]), constant(1 / Math.sqrt(second))),
        constant(eps),
      );
      const step = calc.div(calc.mul(m[i], constant(learningRate / first)), spread);
      p[i] = calc.sub(calc.mul(p[i], constant(1 - learningRate * weightDecay)), step);
    });
  });
  return [p, m, v];
}
