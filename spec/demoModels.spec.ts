/** The demo models: small enough to ship, whole, and as able as their cards say, up to chance. */

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { collect } from '../lib/decode/events.ts';
import { generate } from '../lib/decode/generate.ts';
import { loadModel } from '../lib/loadModel.ts';
import { namedWeights } from '../lib/plan/weights.ts';
import { crossEntropyOf } from '../lib/train/crossEntropy.ts';
import { openTraining } from '../lib/train/device.ts';
import { evaluate } from '../lib/train/evaluate.ts';
import { path } from './support.ts';

const [A, M, P] = ['attention', 'mambaInLlama2', 'discreteMamba2'];
/** Layers of each, and how many problems are solved here. */
const REASONERS = {
  'base-teacher': { mixers: [A, A, A, A], problems: 100 },
  'base-verifier': { mixers: [A, A, A, A], problems: 100 },
  'base-hybrid': { mixers: [M, M, M, A], problems: 100 },
  'base-pure': { mixers: [P, P, P, P], problems: 100 },
  'long-teacher': { mixers: [A, A, A, A], problems: 24 },
  'long-hybrid': { mixers: [M, M, M, A], problems: 24 },
  'long-pure': { mixers: [P, P, P, P], problems: 24 },
};
const STORYTELLERS = {
  'stories-hybrid': [M, M, M, A, M],
  'stories-pure': [P, P, P, P, P],
};
/** Standard deviations that chance is allowed. */
const SIGMAS = 4;

const folderOf = (name: string) => path('fixtures/models', name);
const cardOf = (name: string) => readFileSync(join(folderOf(name), 'README.md'), 'utf8');
const recipeOf = (name: string) =>
  JSON.parse(/```json\n([\s\S]*?)\n```/.exec(cardOf(name))?.[1] ?? '') as Record<string, unknown>;

function expectWhole(name: string): void {
  const sizes = readdirSync(folderOf(name)).map(
    (file) => statSync(join(folderOf(name), file)).size,
  );
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(8e6);
  expect(cardOf(name)).toMatch(/Training took \d+ (s|min)/);
  const shipped = JSON.parse(readFileSync(path('fixtures/recipes', `${name}.json`), 'utf8'));
  expect(recipeOf(name)).toEqual(shipped);
}

describe.each(Object.entries(REASONERS))('%s', (name, { mixers, problems }) => {
  it('is under 8 MB, and its card has the recipe that is shipped, training time and accuracy', () => {
    expectWhole(name);
    expect(cardOf(name)).toMatch(/of \d+ unseen problems [\d.]+ % \(± [\d.]+\)/);
  });

  it('solves about as many problems as its card says', async () => {
    const model = await loadModel(folderOf(name), { precision: 'float32' });
    expect(model.config.layers.map(({ mixer }) => mixer.kind)).toEqual(mixers);
    const [, count, percent] = /of (\d+) unseen problems ([\d.]+) %/.exec(cardOf(name)) ?? [];
    const claimed = Number(percent) / 100;
    const { judged, seqlen } = recipeOf(name) as { judged: string[]; seqlen: number };
    const { greedy } = await evaluate(model, {
      ...{ tasks: judged, problems, samples: 1, maxTokens: seqlen, seed: 77 }, // others than the card's
    });
    // none of 100 says no more than that the share is small
    const share = Math.max(claimed, 1 / Number(count));
    const deviation = Math.sqrt(share * (1 - share) * (1 / problems + 1 / Number(count)));
    expect(Math.abs(greedy - claimed)).toBeLessThan(SIGMAS * deviation);
  });
});

describe.each(Object.entries(STORYTELLERS))('%s', (name, mixers) => {
  it('is under 8 MB, and its card has the recipe that is shipped, training time and nats', () => {
    expectWhole(name);
    expect(cardOf(name)).toMatch(/needs [\d.]+ nats per token, its teacher [\d.]+/);
  });

  it('is as surprised by new stories of its teacher as its card says, within 0.25 nats of it', async () => {
    const student = await loadModel(folderOf(name), { precision: 'float32' });
    expect(student.config.layers.map(({ mixer }) => mixer.kind)).toEqual(mixers);
    const teacher = await loadModel(folderOf('tinystories-260k'), { precision: 'float32' });
    const begin = [teacher.bosToken as number];
    const how = { maxTokens: 128, samples: 32, seed: 77 };
    const stories = (await collect(generate(teacher, [begin], how))).map(({ tokens }) => ({
      tokens: [...begin, ...tokens],
      learnFrom: 1,
    }));
    const device = await openTraining('wasm', { threads: 1 });
    const natsOf = ({ config, model }: typeof student) =>
      stories.map((story) =>
        crossEntropyOf(device, { config, weights: namedWeights(model) }, [story], {
          ...{ batch: 1, seqlen: story.tokens.length - 1 },
        }),
      );
    const [own, theirs] = [natsOf(student), natsOf(teacher)];
    await device.close();
    // on the same stories, so what makes a story surprising to both is no noise
    const gaps = own.map((nats, i) => nats - theirs[i]);
    const mean = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length;
    const variance = gaps.reduce((sum, gap) => sum + (gap - mean) ** 2, 0) / (gaps.length - 1);
    const [, studentNats, teacherNats] =
      /needs ([\d.]+) nats per token, its teacher (\d+\.\d+)/.exec(cardOf(name)) ?? [];
    const claimed = Number(studentNats) - Number(teacherNats);
    const error = SIGMAS * Math.sqrt(variance / gaps.length);
    expect(Math.abs(mean - claimed)).toBeLessThan(error);
    expect(claimed).toBeLessThan(0.25);
  });
});
