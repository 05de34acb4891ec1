/** Attention replaced in rounds: what is converted keeps what it has learned, what follows begins with what attention has. */

import { createHash } from 'node:crypto';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TrainingDevice } from '../backends/training.ts';
import { openWasmTraining } from '../backends/wasm/training/index.ts';
import { distil } from '../lib/distil/distil.ts';
import { convertFurther, initFromAttention } from '../lib/distil/initFromAttention.ts';
import { STUDENT_KINDS } from '../lib/distil/studentConfig.ts';
import { VOCABULARY } from '../lib/tasks/vocabulary.ts';
import type { DistilRecipe } from '../lib/train/recipe.ts';
import { initialWeights, teacherConfig } from '../lib/train/teacher.ts';
import { randomWeights } from '../lib/verify/randomModel.ts';
import type { Tensor } from '../reference/tensor.ts';
import { SEED, temporaryFolder } from './support.ts';
import { teachers } from './teachers.ts';

const config = teacherConfig({
  ...{ vocabSize: VOCABULARY.length, dModel: 32, layers: 3, nHeads: 2, nKvHeads: 1 },
});
const teacher = { config, weights: initialWeights(config, 3) };

let device: TrainingDevice;
beforeAll(async () => {
  device = await openWasmTraining({ threads: 2 });
});
afterAll(() => device.close());

const stage = (name: 'hidden' | 'forward' | 'sft', keptAttention?: number[]) => ({
  ...{ stage: name, steps: 3, learningRate: 0.002 },
  ...(keptAttention && { keptAttention }),
});
const common = { tasks: ['listops-cot:tiny'], seed: 1, batch: 4, seqlen: 52 };
const rounds: DistilRecipe = {
  ...{ ...common, kind: 'mambaInLlama2', keptAttention: [2] },
  stages: [stage('forward', [1, 2]), stage('hidden'), stage('forward')],
};

const bits = (made: ReadonlyMap<string, Tensor>) =>
  [...made].map(([name, { data }]) => [
    name,
    createHash('sha256')
      .update(Buffer.from(data.buffer, data.byteOffset, data.byteLength))
      .digest('hex'),
  ]);

describe('distilling in rounds', () => {
  it('ends with the layers of the last round', async () => {
    const made = await distil({ device, teacher, recipe: rounds });
    expect(made.config.layers.map(({ mixer }) => mixer.kind)).toEqual([
      ...['mambaInLlama2', 'mambaInLlama2', 'attention'],
    ]);
    expect(made.curves).toHaveLength(3);
  });

  it('goes on with what the round before has trained', async () => {
    const [first] = rounds.stages;
    const trained = await distil({ device, teacher, recipe: { ...rounds, stages: [first] } });
    // too little to move any float32
    const still = { ...stage('forward'), steps: 1, learningRate: 1e-30 };
    const made = await distil({ device, teacher, recipe: { ...rounds, stages: [first, still] } });
    const options = { kind: rounds.kind, keptAttention: [2], seed: rounds.seed };
    const want = convertFurther(teacher, trained, options);
    expect(bits(made.weights)).toEqual(bits(want.weights));
  });

  it('is the same as ever where there is one round, to the bit', async () => {
    const stages = [stage('hidden'), stage('forward')];
    const one: DistilRecipe = { ...common, kind: 'mambaInLlama2', keptAttention: [1], stages };
    const spelled = { ...one, stages: stages.map((each) => ({ ...each, keptAttention: [1] })) };
    const initial = initFromAttention(teacher, { kind: one.kind, keptAttention: [1], seed: 1 });
    const want = await distil({ device, teacher, recipe: one, initial });
    const got = await distil({ device, teacher, recipe: spelled });
    expect(bits(got.weights)).toEqual(bits(want.weights));
    expect(got.curves).toEqual(want.curves);
  });

  it('goes on across rounds wherever it was interrupted, to the bit', async () => {
    const whole = await distil({ device, teacher, recipe: rounds });
    const folder = join(temporaryFolder(), 'run');
    // in the first round, at its end, in the second, and once more
    for (const stops of ['0:2', '1:1', '1:3', '2:2']) {
      const abort = new AbortController();
      const part = await distil({
        ...{ device, teacher, recipe: rounds, folder, signal: abort.signal },
        onProgress: (i, { step }) => `${i}:${step}` === stops && abort.abort(),
      });
      expect(part.isDone).toBe(false);
    }
    const rest = await distil({ device, teacher, recipe: rounds, folder });
    expect(rest.isDone).toBe(true);
    expect(bits(rest.weights)).toEqual(bits(whole.weights));
    expect(rest.curves).toEqual(whole.curves);
  });

  it('refuses a layer that was to become attention again', async () => {
    const stages = [stage('forward', [1]), stage('forward', [1, 2])];
    const recipe = { ...rounds, stages };
    await expect(distil({ device, teacher, recipe })).rejects.toThrow(
      /^stages\[1\]: keptAttention: expected some of \[1\], which the stage before keeps, got 2;/,
    );
  });
});

describe('a model that is converted further', () => {
  it('keeps what is converted, and begins with its own attention where it is converted now', () => {
    const kinds = fc.constantFrom(...STUDENT_KINDS.filter((kind) => kind !== 'mambaInLlama'));
    fc.assert(
      fc.property(
        teachers,
        kinds,
        fc.nat(7),
        fc.nat(),
        ({ input: { teacher: of, kept } }, kind, later, seed) => {
          const before = { kind, keptAttention: kept, seed: 5 };
          const drawn = initFromAttention(of, before).config;
          // a student that was trained: no weight is what it began with
          const trained = { config: drawn, weights: randomWeights(drawn, seed, 'float64') };
          const still = kept.filter((layer) => (later >> layer) & 1);
          const after = convertFurther(of, trained, { kind, keptAttention: still, seed: 5 });
          const isNew = (layer: number) => kept.includes(layer) && !still.includes(layer);
          // all layers that are new, from a teacher that had what the student has now
          const asTeacher = new Map(of.weights);
          for (const [name, weight] of trained.weights) {
            const layer = Number(/^layers\.(\d+)\.mixer\./.exec(name)?.[1] ?? -1);
            if (layer < 0 || kept.includes(layer)) asTeacher.set(name, weight);
          }
          const fresh = initFromAttention(
            { config: of.config, weights: asTeacher },
            { kind, keptAttention: still, seed: 5 },
          );
          expect(after.config).toEqual(fresh.config);
          expect([...after.weights.keys()]).toEqual([...fresh.weights.keys()]);
          for (const [name, { data }] of after.weights) {
            const layer = Number(/^layers\.(\d+)\.mixer\./.exec(name)?.[1] ?? -1);
            const want = isNew(layer) ? fresh.weights.get(name) : trained.weights.get(name);
            expect(Array.from(data), name).toEqual(Array.from((want as Tensor).data));
          }
        },
      ),
      { seed: SEED, numRuns: 60 },
    );
  });
});
