/**
 * Convolution and recurrences of WASM's training against the gradients of the reference in Float64.
 *
 * Every number that is compared is a sum of products of inputs and of factors of the kernels (Δ, decays, slopes), and
 * an error analysis of first order bounds what is lost: at most (roundings along one product and the sums above it)
 * units of float32 of the sum of the products' absolute values (Higham 2002, section 3.1). That sum comes from the same
 * gradient of absolute inputs; the numbers of roundings are counted below. Nothing is tuned.
 */

import { setFlagsFromString } from 'node:v8';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Numbers } from '../backends/training.ts';
import { hasRelaxed, Kernels, type Simd } from '../backends/wasm/kernels.ts';
import { type Buffer, TrainingMemory } from '../backends/wasm/training/device.ts';
import { recurrenceOps } from '../backends/wasm/training/recurrences.ts';
import { ShapeError } from '../reference/errors.ts';
import type { Tensor } from '../reference/tensor.ts';
import { RUNS, SEED } from './support.ts';
import { CASES, type Case, type Drawn, GRADIENT_CASES, type OpName } from './trainingCases.ts';

// Node 20 has relaxed SIMD behind a flag
setFlagsFromString('--experimental-wasm-relaxed-simd');
const BUILDS: Simd[] = (await hasRelaxed()) ? ['plain', 'relaxed'] : ['plain'];

/** Half the distance of neighbours, and room for the terms of second order. */
const UNIT = 2 ** -24 * 1.01;
/** Decays below 2^-126 are 0, and what they are multiplied by here is below 2^26. */
const VANISHED = 2 ** -100;

interface Device {
  memory: TrainingMemory;
  ops: ReturnType<typeof recurrenceOps>;
  close(): Promise<void>;
}

async function start(simd: Simd, threads: number): Promise<Device> {
  const kernels = await Kernels.start({ simd, threads, alwaysShares: true });
  const memory = new TrainingMemory(kernels);
  return { memory, ops: recurrenceOps(memory), close: () => kernels.close() };
}

/** What an op and its gradient make of a case: y, and the gradients that were wanted, each from what stood there. */
function runOn({ memory, ops }: Device, op: OpName, one: Case): Record<string, Float32Array> {
  const put = ({ shape, data }: { shape: readonly number[]; data: ArrayLike<number> }) => {
    const buffer = memory.zeros(shape);
    memory.write(buffer, data);
    return buffer;
  };
  const inputs = Object.fromEntries(Object.entries(one.inputs).map(([k, v]) => [k, put(v)]));
  const grads = Object.fromEntries(Object.entries(one.before).map(([k, v]) => [k, put(v)]));
  const input = { ...inputs, ...one.attributes };
  const { forward, backward } = ops[op] as unknown as Loose;
  const output = forward(input);
  backward(input, output, put(one.dy), grads);
  const all = { y: output.y as Buffer, ...grads };
  const read = Object.fromEntries(Object.entries(all).map(([k, v]) => [k, memory.read(v)]));
  for (const [name, buffer] of Object.entries(all)) expectNothingBeyond(memory, name, buffer);
  memory.reset();
  return read;
}

interface Loose {
  forward(input: object): { y: Numbers; kept?: unknown };
  backward(input: object, output: object, dy: Numbers, grads: object): void;
}

/** Columns beyond the width stay 0. */
function expectNothingBeyond(memory: TrainingMemory, name: string, buffer: Buffer): void {
  const { address, rows, width, stride } = buffer;
  const { f32 } = memory.kernels.memory;
  for (let row = 0; row < rows; row++) {
    for (let i = width; i < stride; i++) {
      const value = f32[address / 4 + row * stride + i];
      if (value !== 0)
        throw new Error(`${name}: ${value} in row ${row} beyond its ${width} columns`);
    }
  }
}

/** The first number that is further from what it should be than it may be. */
function problemOf(one: Case, got: Record<string, Float32Array>): string | undefined {
  const { want, size, roundings } = one.expected();
  const unit = UNIT * roundings;
  for (const [name, values] of Object.entries(got)) {
    const before = one.before[name]?.data;
    for (let i = 0; i < values.length; i++) {
      const stood = before?.[i] ?? 0;
      const exact = want[name][i] + stood;
      // chunks are added one after the other to what stood there
      const error = unit * (size[name][i] + Math.abs(stood)) + VANISHED;
      if (Math.abs(values[i] - exact) <= error) continue;
      return `${name}[${i}]: expected ${exact} ± ${error}, got ${values[i]}`;
    }
  }
  return undefined;
}

describe.each(BUILDS)('the %s build', (simd) => {
  let device: Device;
  beforeAll(async () => {
    device = await start(simd, 1);
  });
  afterAll(() => device.close());

  it.each(GRADIENT_CASES)('$op: y and every gradient are within their bounds', ({ op, drawn }) => {
    const law = fc.property(drawn as fc.Arbitrary<Drawn>, (dimensions) => {
      const one = CASES[op](dimensions);
      const problem = problemOf(one, runOn(device, op, one));
      if (problem) throw new Error(problem);
    });
    fc.assert(law, { seed: SEED, numRuns: Math.ceil(RUNS / 3) });
  });
});

it.each(GRADIENT_CASES)(
  '$op: threads do not change a bit, however many there are',
  async ({ op, drawn }) => {
    const cases = fc.sample(drawn as fc.Arbitrary<Drawn>, { seed: SEED, numRuns: 15 });
    const all = [];
    for (const threads of [1, 2, 3]) {
      const device = await start('plain', threads);
      all.push(cases.map((dimensions) => runOn(device, op, CASES[op](dimensions))));
      await device.close();
    }
    expect(all[1]).toEqual(all[0]);
    expect(all[2]).toEqual(all[0]);
  },
);

it.each(['selectiveScan', 'ssd', 'discreteSsd'] as const)(
  '%s: what is no number stays in its sequence and its group',
  async (op) => {
    const device = await start('plain', 1);
    const sizes = { batch: 2, seqlen: 3, channels: 5, headsPerGroup: 1, nGroups: 2, dState: 5 };
    const one = CASES[op]({
      ...sizes,
      ...{ seed: 1, dConv: 1, isSilu: true, hasOptional: true, wanted: -1 },
    });
    const clean = runOn(device, op, one);
    // the last group of the first sequence
    const poisoned = (t: Tensor): Tensor => {
      const isRow = t.shape.length === 2 && t.shape[0] === 6;
      const width = t.shape[1];
      const isOut = (i: number) => isRow && i < 3 * width && i % width >= width / 2;
      return { ...t, data: t.data.map((x, i) => (isOut(i) ? Number.NaN : x)) };
    };
    const inputs = Object.fromEntries(Object.entries(one.inputs).map(([k, t]) => [k, poisoned(t)]));
    const got = runOn(device, op, { ...one, inputs, dy: poisoned(one.dy) });
    await device.close();
    for (const name of Object.keys(got).filter((name) => got[name].length % 6 === 0)) {
      const width = got[name].length / 6;
      got[name].forEach((x, i) => {
        const isOut = i < 3 * width && i % width >= width / 2;
        expect(Number.isNaN(x), `${name}[${i}]`).toBe(isOut);
        if (!isOut) expect(x).toBe(clean[name][i]);
      });
    }
  },
);

describe('what does not fit together', () => {
  let device: Device;
  beforeAll(async () => {
    device = await start('plain', 1);
  });
  afterAll(() => device.close());

  const zeros = (...shape: number[]) => device.memory.zeros(shape);

  it('is refused: a sequence that is no whole one', () => {
    const input = { x: zeros(6, 4), weight: zeros(4, 3), activation: 'silu', seqlen: 4 } as const;
    expect(() => device.ops.causalConv1d.forward(input)).toThrow(ShapeError);
  });

  it('is refused: groups that do not divide the heads', () => {
    const [a, B, C] = [zeros(4, 3), zeros(4, 8), zeros(4, 8)];
    const input = { x: zeros(4, 6), a, B, C, nHeads: 3, nGroups: 2, seqlen: 4 };
    expect(() => device.ops.discreteSsd.forward(input)).toThrow(ShapeError);
  });

  it('is refused: a gradient of another shape', () => {
    const [x, weight] = [zeros(4, 4), zeros(4, 3)];
    const input = { x, weight, activation: 'identity', seqlen: 4 } as const;
    const output = device.ops.causalConv1d.forward(input);
    const backward = () =>
      device.ops.causalConv1d.backward(input, output, zeros(4, 4), { weight: zeros(3, 4) });
    expect(backward).toThrow(ShapeError);
  });
});
