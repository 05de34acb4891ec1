/** Runs of training: the same seed gives the same bytes, an interrupted run ends like one that was not, NaN ends it. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TrainingDevice } from '../backends/training.ts';
import { openWasmTraining } from '../backends/wasm/training/index.ts';
import { initFromAttention } from '../lib/distil/initFromAttention.ts';
import { plain, type StageName, stageOf } from '../lib/distil/stages.ts';
import { VOCABULARY } from '../lib/tasks/vocabulary.ts';
import { batchOf } from '../lib/train/batches.ts';
import { firstNotFinite } from '../lib/train/cause.ts';
import { type TrainOptions, train } from '../lib/train/loop.ts';
import { ParameterSet } from '../lib/train/optimiser.ts';
import { learningRateAt } from '../lib/train/schedule.ts';
import { Tape } from '../lib/train/tape.ts';
import { taskBatches } from '../lib/train/taskData.ts';
import { initialWeights, teacherConfig } from '../lib/train/teacher.ts';
import type { Tensor } from '../reference/tensor.ts';
import { temporaryFolder } from './support.ts';

const config = teacherConfig({
  ...{ vocabSize: VOCABULARY.length, dModel: 32, layers: 2, nHeads: 2, nKvHeads: 1 },
});
const weights = initialWeights(config, 3);
const batch = taskBatches({ tasks: ['listops-cot:tiny'], batch: 4, seqlen: 52, seed: 1 });
const teacher = { config, weights };

let device: TrainingDevice;
beforeAll(async () => {
  device = await openWasmTraining({ threads: 2 });
});
afterAll(() => device.close());

const options = (more: Partial<TrainOptions> = {}): TrainOptions => ({
  ...{ device, weights, steps: 6, objective: plain({ config }, batch) },
  schedule: { learningRate: 0.003 },
  ...more,
});

const bits = (made: ReadonlyMap<string, Tensor>) =>
  [...made].map(([name, { data }]) => [name, Array.from(data)]);

describe('a run', () => {
  it('learns, and ends with the same bytes whatever the threads', async () => {
    const first = await train(options({ steps: 20 }));
    expect(first.curve[19][1]).toBeLessThan(first.curve[0][1] - 0.5);
    const alone = await openWasmTraining({ threads: 1 });
    const again = await train({ ...options({ steps: 20 }), device: alone });
    await alone.close();
    expect(bits(again.weights)).toEqual(bits(first.weights));
    expect(again.curve).toEqual(first.curve);
  });

  it('that was interrupted goes on and ends like one that was not', async () => {
    const whole = await train(options());
    const saved = { folder: join(temporaryFolder(), 'run'), recipe: 'one' };
    const abort = new AbortController();
    const onProgress = ({ step }: { step: number }) => step === 3 && abort.abort();
    const part = await train(options({ saved, onProgress, signal: abort.signal }));
    expect(part.step).toBe(3);
    const rest = await train(options({ saved }));
    expect(rest.step).toBe(6);
    expect(rest.seconds).toBeGreaterThan(part.seconds);
    expect(bits(rest.weights)).toEqual(bits(whole.weights));
    expect(rest.curve).toEqual(whole.curve);
    // a whole run is only read
    expect(bits((await train(options({ saved }))).weights)).toEqual(bits(whole.weights));
    await expect(train(options({ saved: { ...saved, recipe: 'two' } }))).rejects.toMatchObject({
      code: 'OtherRun',
    });
  });

  it('whose loss is not finite ends with the step, the cause and the last good save', async () => {
    const broken = new Map(weights);
    const name = 'layers.1.mlp.up';
    const { data, shape } = weights.get(name) as Tensor;
    broken.set(name, { data: data.map((x) => x * 3e38), shape });
    const folder = join(temporaryFolder(), 'run');
    const run = train(
      options({
        weights: broken,
        saved: { folder, recipe: 'broken' },
        findCause: (parameters, step) => firstNotFinite(device, config, parameters, batch(step)),
      }),
    );
    await expect(run).rejects.toMatchObject({ code: 'LossNotFinite' });
    await expect(run).rejects.toThrow(
      /^train: expected a finite loss, got NaN in step 1: layer 1 makes numbers that are not finite; nothing had been saved; take/,
    );
    expect(existsSync(join(folder, 'run.safetensors'))).toBe(false);
    // the device is good for other runs
    expect((await train(options({ steps: 1 }))).step).toBe(1);
  });

  it.each([
    ['steps: expected a whole number', { steps: 0 }],
    ['learningRate: expected a number above 0', { schedule: { learningRate: Number.NaN } }],
    ['warmUp: expected a share', { schedule: { learningRate: 1, warmUp: 2 } }],
  ])('refuses %s', async (message, more) => {
    await expect(train(options(more))).rejects.toThrow(message);
  });
});

describe('a batch', () => {
  it('predicts the next token, learns no prompt, and is padded behind', () => {
    const examples = [
      { tokens: [1, 5, 6, 7, 2], learnFrom: 3 },
      { tokens: [1, 8, 2], learnFrom: 1 },
    ];
    const { tokens, targets } = batchOf(examples, 5, 0);
    expect([...tokens]).toEqual([1, 5, 6, 7, 0, 1, 8, 0, 0, 0]);
    expect([...targets]).toEqual([-100, -100, 7, 2, -100, 8, 2, -100, -100, -100]);
    expect(() => batchOf(examples, 3, 0)).toThrow(/take a larger seqlen/);
  });
});

describe('the learning rate', () => {
  it('rises, stays and falls', () => {
    const at = (step: number) => learningRateAt({ learningRate: 1, least: 0 }, step, 100);
    expect([1, 5, 10, 50, 90, 95, 100].map(at)).toEqual([0.1, 0.5, 1, 1, 1, 0.5, 0]);
    const cosine = { learningRate: 1, shape: 'cosine', warmUp: 0, least: 0 } as const;
    expect(learningRateAt(cosine, 50, 100)).toBeCloseTo(0.5, 12);
    expect(learningRateAt(cosine, 100, 100)).toBe(0);
  });
});

describe('a stage', () => {
  /** Loss and gradient norm of a stage's first step. */
  function firstStep(
    stage: StageName,
    student: { config: typeof config; weights: typeof weights },
  ) {
    const { objective, isTrained, free } = stageOf(stage, { device, teacher, student, batch });
    const parameters = new ParameterSet(device, student.weights, isTrained);
    const variables = parameters.variables();
    const tape = new Tape(device);
    const { loss } = objective({ tape, parameters: variables, step: 1 });
    tape.backward();
    const value = device.read(loss)[0];
    const gradients = [...variables.values()].flatMap(({ gradient }) => gradient ?? []);
    const norm = Math.sqrt(device.read(device.ops.sumOfSquares(gradients))[0]);
    const trained = [...variables].filter(([, { gradient }]) => gradient).map(([name]) => name);
    device.reset();
    parameters.free();
    free();
    return { value, norm, trained };
  }

  it.each(['forward', 'reverse'] as const)('%s asks nothing of the teacher itself', (stage) => {
    const { value, norm } = firstStep(stage, teacher);
    // ln p of both is the same number: what is left is the rounding of Σ p·0
    expect(Math.abs(value)).toBeLessThan(1e-6);
    expect(norm).toBeLessThan(1e-6);
  });

  it.each([
    ['matrices', /^layers\.[01]\.mixer\.(inProj|convWeight|convBias|D)$|^layers\.[01]\.mixerNorm/],
    ['hidden', /^layers\.[01]\./],
    ['soft', /./],
    ['sft', /./],
  ] as const)('%s has a finite loss, and trains what it says', (stage, pattern) => {
    const student = initFromAttention(teacher, { kind: 'llamba', seed: 1 });
    const { value, norm, trained } = firstStep(stage, student);
    expect(value).toBeGreaterThan(0);
    expect(norm).toBeGreaterThan(0);
    expect(trained.length).toBeGreaterThan(0);
    for (const name of trained) expect(name).toMatch(pattern);
  });

  it('matrices refuses a student that has none', () => {
    const student = initFromAttention(teacher, { kind: 'mambaInLlama2', seed: 1 });
    expect(() => firstStep('matrices', student)).toThrow(/^stage matrices: expected a Llamba/);
    expect(() => firstStep('hidden', teacher)).toThrow(/^stage: expected a student/);
  });
});
