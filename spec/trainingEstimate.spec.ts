/** What a run is said to need is what it takes: memory at its most, whatever is trained and in whatever lengths. */

import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import type { TrainingDevice } from '../backends/training.ts';
import { openWasmTraining } from '../backends/wasm/training/index.ts';
import { initFromAttention } from '../lib/distil/initFromAttention.ts';
import { type StageName, stageOf } from '../lib/distil/stages.ts';
import { STUDENT_KINDS, type StudentKind } from '../lib/distil/studentConfig.ts';
import { VOCABULARY } from '../lib/tasks/vocabulary.ts';
import type { Batch } from '../lib/train/batches.ts';
import { crossEntropyOf } from '../lib/train/crossEntropy.ts';
import {
  type LimitedDevice,
  largestBatch,
  memoryNeeds,
  type Phase,
  timeNeeds,
} from '../lib/train/estimate.ts';
import { train } from '../lib/train/loop.ts';
import { initialWeights, teacherConfig } from '../lib/train/teacher.ts';
import { SEED } from './support.ts';

const config = teacherConfig({
  ...{ vocabSize: VOCABULARY.length, dModel: 64, layers: 2, nHeads: 4, nKvHeads: 2 },
});
const teacher = { config, weights: initialWeights(config, 3) };

const opened: TrainingDevice[] = [];
afterAll(() => Promise.all(opened.map((device) => device.close())));
async function open(): Promise<LimitedDevice> {
  const device = await openWasmTraining({ threads: 2 });
  opened.push(device);
  return device as LimitedDevice;
}

/** Stages of a student, as `distil` runs them. */
function phasesOf(kind: StudentKind, keptAttention: number[], stages: StageName[]): Phase[] {
  const student = initFromAttention(teacher, { kind, keptAttention, seed: 1 });
  return stages.map((name) => ({
    ...{ name, steps: 1, weights: student.weights },
    prepare: (device, batch) => stageOf(name, { device, teacher, student, batch }),
  }));
}

/** A batch whose rows are so long, every token to be learned. */
function batchOf(batch: number, seqlen: number): Batch {
  const tokens = Int32Array.from({ length: batch * seqlen }, (_, i) => i % VOCABULARY.length);
  return { tokens, targets: tokens, seqlen };
}

/** Trains on batches of these lengths, phase after phase, and tells how much memory was ever taken. */
async function peakOf(device: LimitedDevice, phases: Phase[], batch: number, lengths: number[]) {
  for (const phase of phases) {
    const { objective, isTrained, free } = phase.prepare(device, (step) =>
      batchOf(batch, lengths[step - 1]),
    );
    const { weights } = phase;
    const schedule = { learningRate: 1e-3 };
    await train({ device, weights, isTrained, objective, schedule, steps: lengths.length });
    free();
  }
  return device.memory.peak;
}

const ALL: [StudentKind, number[], StageName[]][] = STUDENT_KINDS.flatMap((kind) => {
  const stages: StageName[] = ['hidden', 'forward', 'reverse', 'soft', 'sft'];
  if (kind === 'llamba') stages.unshift('matrices');
  return stages.map((stage): [StudentKind, number[], StageName[]] => [
    ...([kind, kind === 'llamba' ? [] : [1], [stage]] as [StudentKind, number[], StageName[]]),
  ]);
});

describe('the memory that a run is said to need', () => {
  it.each([
    ...ALL,
    ['llamba', [], ['matrices', 'hidden', 'soft', 'sft']] as const,
    ['mambaInLlama', [0, 1], ['sft']] as const,
  ])('is what a %s student that keeps %j takes in %j', async (kind, kept, stages) => {
    const device = await open();
    const phases = phasesOf(kind, [...kept], [...stages]);
    const size = { batch: 6, seqlen: 72 };
    const needs = memoryNeeds(device as LimitedDevice, phases, size);
    device.memory.reserve(needs.most);
    const peak = await peakOf(device, phases, size.batch, [40, 72, 8, 64, 72]);
    expect(peak).toBeLessThanOrEqual(needs.peak);
    expect(peak).toBeGreaterThan(0.98 * needs.peak);
    await opened.pop()?.close();
  });

  it('is never less than what batches of any lengths take', async () => {
    const lengths = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 4 });
    const kinds = fc.constantFrom(...ALL);
    await fc.assert(
      fc.asyncProperty(kinds, fc.integer({ min: 1, max: 9 }), lengths, async (of, batch, some) => {
        const device = await open();
        const phases = phasesOf(...of);
        const needs = memoryNeeds(device, phases, { batch, seqlen: 50 });
        device.memory.reserve(needs.most);
        expect(await peakOf(device, phases, batch, some)).toBeLessThanOrEqual(needs.peak);
        await opened.pop()?.close();
      }),
      { seed: SEED, numRuns: 8 },
    );
  });

  it('has in it what is measured and judged around the training', async () => {
    const device = await open();
    const phases = phasesOf('mambaInLlama2', [], ['sft']);
    const size = { batch: 6, seqlen: 72 };
    const judge = (on: TrainingDevice) => {
      const tokens = new Array<number>(73).fill(1);
      const examples = Array.from({ length: 6 }, () => ({ tokens, learnFrom: 1 }));
      crossEntropyOf(on, teacher, examples, size);
    };
    const needs = memoryNeeds(device, phases, size, judge);
    const without = memoryNeeds(device, phases, size);
    expect(needs.peak).toBeGreaterThan(without.peak);
    device.memory.reserve(needs.most);
    timeNeeds(device, phases, size);
    await peakOf(device, phases, size.batch, [72]);
    judge(device);
    expect(device.memory.peak).toBeLessThanOrEqual(needs.peak);
    expect(device.memory.peak).toBeGreaterThan(0.98 * needs.peak);
  });

  it('tells weights, moments and a teacher from the numbers of a step', async () => {
    const device = await open();
    const [hidden, sft] = phasesOf('llamba', [], ['hidden', 'sft']);
    const needs = memoryNeeds(device, [hidden, sft], { batch: 6, seqlen: 72 });
    const [first, second] = needs.phases;
    expect(first.parameters).toBe(second.parameters);
    expect(first.trained).toBeLessThan(second.trained);
    expect(second.trained).toBe(second.parameters);
    expect(second.moments).toBe(2 * second.weights);
    expect(second.teacher).toBe(0);
    expect(first.teacher).toBeGreaterThan(4 * 0.9 * first.parameters * 0.5);
    expect(needs.saving).toBe(8 * 3 * second.parameters);
    // twice the batch is twice the numbers of a step, and no more of what is kept
    const twice = memoryNeeds(device, [hidden, sft], { batch: 12, seqlen: 72 }).phases[1];
    expect(twice.weights).toBe(second.weights);
    expect(twice.activations / second.activations).toBeCloseTo(2, 1);
  });
});

describe('a device that counts', () => {
  it('takes none of the memory that it counts', async () => {
    const device = await open();
    const before = device.memory.peak;
    const needs = memoryNeeds(device, phasesOf('llamba', [], ['sft']), {
      ...{ batch: 4096, seqlen: 2048 },
    });
    expect(needs.peak).toBeGreaterThan(4 * 2 ** 30);
    expect(device.memory.peak).toBe(before);
  });
});

describe('the largest batch that fits', () => {
  it('fits, and the next one does not', () => {
    fc.assert(
      fc.property(fc.nat(2000), fc.integer({ min: 1, max: 2000 }), (most, more) => {
        const asked: number[] = [];
        const fits = (batch: number) => asked.push(batch) > 0 && batch <= most;
        expect(largestBatch(most + more, fits)).toBe(most);
        expect(Math.max(0, ...asked)).toBeLessThanOrEqual(Math.max(2 * most, 1));
      }),
      { seed: SEED },
    );
  });
});

describe('the time that a run is said to need', () => {
  it('grows with its steps, and leaves the device as it was', async () => {
    const device = await open();
    const [sft] = phasesOf('llamba', [], ['sft']);
    const bits = async () => {
      const [{ weights }, prepared] = [sft, sft.prepare(device, () => batchOf(4, 24))];
      const { objective } = prepared;
      const made = await train({
        ...{ device, weights, objective, steps: 2, schedule: { learningRate: 1e-3 } },
      });
      return made.curve;
    };
    const before = await bits();
    const [few] = timeNeeds(device, [{ ...sft, steps: 1 }], { batch: 16, seqlen: 24 });
    const [many] = timeNeeds(device, [{ ...sft, steps: 1000 }], { batch: 16, seqlen: 24 });
    expect(few).toBeGreaterThan(0);
    expect(many).toBeGreaterThan(50 * few);
    expect(await bits()).toEqual(before);
  });
});
