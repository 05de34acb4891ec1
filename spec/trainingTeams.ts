/** Ops of training on one, two and three threads: run between things that they must leave alone, and compared. */

import { setFlagsFromString } from 'node:v8';
import { expect } from 'vitest';
import { hasRelaxed, Kernels, type Simd } from '../backends/wasm/kernels.ts';
import { attentionOps } from '../backends/wasm/training/attention.ts';
import { type Buffer, own, TrainingMemory } from '../backends/wasm/training/device.ts';
import { lossOps } from '../backends/wasm/training/losses.ts';
import { mixerMatrixOp } from '../backends/wasm/training/mixerMatrix.ts';
import type { Approx } from '../lib/verify/approx.ts';
import type { Tensor } from '../reference/tensor.ts';

// Node 20 has relaxed SIMD behind a flag
setFlagsFromString('--experimental-wasm-relaxed-simd');
export const BUILDS: readonly Simd[] = (await hasRelaxed()) ? ['plain', 'relaxed'] : ['plain'];
/** Words behind a buffer that kernels must leave alone. */
const BEHIND = 16;

const newOps = (memory: TrainingMemory) => ({
  ...attentionOps(memory),
  ...mixerMatrixOp(memory),
  ...lossOps(memory),
});
export type Ops = ReturnType<typeof newOps>;

export interface Team {
  kernels: Kernels;
  memory: TrainingMemory;
  ops: Ops;
}

export async function startTeams(simd: Simd, threads: readonly number[] = [1, 2, 3]) {
  const started = threads.map((n) => Kernels.start({ simd, threads: n, alwaysShares: true }));
  return (await Promise.all(started)).map((kernels) => {
    const memory = new TrainingMemory(kernels);
    return { kernels, memory, ops: newOps(memory) };
  });
}

export const closeTeams = (teams: readonly Team[]) =>
  Promise.all(teams.map(({ kernels }) => kernels.close()));

/** Buffers of a test, which are watched: what lies between their rows and behind them stays as it is. */
export class Watched {
  readonly #memory: TrainingMemory;
  readonly #watched: { buffer: Buffer; behind: Float32Array; data?: Float32Array }[] = [];

  constructor(memory: TrainingMemory) {
    this.#memory = memory;
  }

  /** Puts numbers there; those of an input are to stay as well. */
  place({ data, shape }: Tensor, isInput = true): Buffer {
    const buffer = this.#memory.zeros(shape);
    this.#memory.write(buffer, data);
    this.watch(buffer, isInput ? this.#memory.read(buffer) : undefined);
    return buffer;
  }

  /** Tensors placed, everything else as it is. */
  placeAll(named: Record<string, unknown>, isInput = true): Record<string, unknown> {
    return Object.fromEntries(
      Object.entries(named).map(([name, value]) => [
        name,
        isTensor(value) ? this.place(value, isInput) : value,
      ]),
    );
  }

  watch(buffer: Buffer, data?: Float32Array): void {
    this.#watched.push({ buffer, behind: this.#behind(buffer), data });
  }

  /** Fails where anything has changed that had to stay. */
  expectUntouched(): void {
    for (const { buffer, behind, data } of this.#watched) {
      if (data) expectSameBits([{ input: data }, { input: this.#memory.read(buffer) }]);
      expect(this.#between(buffer), 'columns beyond the width').toEqual([]);
      expect(this.#behind(buffer), 'what lies behind').toEqual(behind);
    }
  }

  #behind({ address, rows, stride }: Buffer): Float32Array {
    const end = address / 4 + rows * stride;
    return this.#memory.kernels.memory.f32.slice(end, end + BEHIND);
  }

  /** What is not 0 between the rows. */
  #between({ address, rows, width, stride }: Buffer): number[] {
    const { f32 } = this.#memory.kernels.memory;
    return Array.from({ length: rows }, (_, row) => {
      const at = address / 4 + row * stride;
      return [...f32.subarray(at + width, at + stride)];
    })
      .flat()
      .filter((value) => value !== 0);
  }
}

const isTensor = (value: unknown): value is Tensor =>
  typeof value === 'object' && value !== null && 'shape' in value;

export const read = (memory: TrainingMemory, named: Record<string, unknown>) =>
  Object.fromEntries(
    Object.entries(named).map(([name, buffer]) => [name, memory.read(own(buffer as Buffer))]),
  );

/** Fails where any bit differs between what teams made. */
export function expectSameBits([one, ...others]: readonly Record<string, Float32Array>[]): void {
  const bitsOf = ({ buffer, byteOffset, byteLength }: Float32Array) =>
    Buffer.from(buffer, byteOffset, byteLength);
  for (const other of others) {
    expect(Object.keys(other)).toEqual(Object.keys(one));
    for (const [name, values] of Object.entries(other)) {
      const isSame = bitsOf(values).equals(bitsOf(one[name]));
      expect(isSame, `${name} has the same bits`).toBe(true);
    }
  }
}

/** Fails where a number is further from what it must be than its bound; NaN always is. */
export function expectWithin(
  got: ArrayLike<number>,
  expected: readonly Approx[],
  what: string,
): void {
  expect(got.length, what).toBe(expected.length);
  expected.forEach(({ value, error }, i) => {
    const isWithin = Math.abs(got[i] - value) <= error;
    if (!isWithin) expect.fail(`${what}[${i}]: expected ${value} ± ${error}, got ${got[i]}`);
  });
}
