/** Reward models from drawing to training: resumable to the bit; and what they are measured by. */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TrainingDevice } from '../backends/training.ts';
import type { Executor } from '../backends/types.ts';
import { openWasmTraining } from '../backends/wasm/training/index.ts';
import { openExecutor } from '../lib/backend.ts';
import { type LoadedModel, loadModel } from '../lib/loadModel.ts';
import { namedWeights } from '../lib/plan/weights.ts';
import { type DrawnProblem, type DrawOptions, drawChains } from '../lib/reward/drawChains.ts';
import { evaluateReward } from '../lib/reward/evaluate.ts';
import { resumeChains, saveChains } from '../lib/reward/savedChains.ts';
import { labelDrawn, rewardBatches, trainReward } from '../lib/reward/train.ts';
import { encodeText, SPECIAL_IDS } from '../lib/tasks/vocabulary.ts';
import { fingerprintOf } from '../lib/train/savedRun.ts';
import { initialWeights } from '../lib/train/teacher.ts';
import type { Tensor } from '../reference/tensor.ts';
import { rewardOf, TEACHER_CONFIG } from './rewards.ts';
import { path, temporaryFolder } from './support.ts';

const folder = temporaryFolder();
const at = (name: string) => join(folder, name);
const drawing = {
  ...{ tasks: ['listops-cot:tiny', 'word-problems:tiny'], seed: 4, split: 'train' as const },
  ...{ problems: 70, samples: 3, seqlen: 90 },
};
const recipe = { ...drawing, batch: 8, steps: 6, learningRate: 0.002 };

let device: TrainingDevice;
let executor: Executor;
let teacher: LoadedModel;
beforeAll(async () => {
  teacher = await loadModel(path('fixtures/models/base-teacher'), { precision: 'float32' });
  device = await openWasmTraining({ threads: 2 });
  executor = await openExecutor(teacher.model, 'wasm', { threads: 1 });
});
afterAll(async () => {
  await executor.close();
  await device.close();
});

const draw = (more: Partial<DrawOptions> = {}) =>
  drawChains(teacher, { ...drawing, executor, ...more });
/** Without the functions of tasks, which equal only themselves. */
const plainOf = (drawn: readonly DrawnProblem[]) =>
  drawn.map(({ problem, prompt, chains }) => ({ problem, prompt, chains }));
const bits = (weights: ReadonlyMap<string, Tensor>) =>
  [...weights].map(([name, { data }]) => [name, Array.from(data)]);

describe('drawn chains', () => {
  it('go on from those of before, and are the same as drawn at once', async () => {
    const blocks: number[] = [];
    const whole = await draw({ onBlock: (chains) => void blocks.push(chains.length) });
    expect(blocks).toEqual([64, 70]);
    expect(whole.every(({ chains }) => chains.length === 3)).toBe(true);
    expect(new Set(whole.map(({ problem }) => problem.task)).size).toBe(2);
    const texts = whole.map(({ chains }) => chains.map(String));
    // not the same chain over and over
    expect(new Set(texts.flat()).size).toBeGreaterThan(whole.length);
    const before = whole.slice(0, 9).map(({ chains }) => chains);
    const rest = await draw({ before });
    expect(plainOf(rest)).toEqual(plainOf(whole));
    const abort = new AbortController();
    const part = await draw({ signal: abort.signal, onBlock: () => abort.abort() });
    expect(plainOf(part)).toEqual(plainOf(whole).slice(0, 64));
  });

  it('are cut to seqlen, which must hold every right chain', async () => {
    const longest = Math.max(...(await draw()).map(({ prompt }) => prompt.length));
    await expect(draw({ seqlen: longest })).rejects.toMatchObject({ code: 'ExampleLength' });
    const few = await draw({ problems: 20, temperature: 50 });
    const lengths = few.flatMap(({ prompt, chains }) =>
      chains.map((c) => prompt.length + c.length),
    );
    expect(Math.max(...lengths)).toBe(90);
  });

  it('are saved whole, and read back only for their own recipe and teacher', async () => {
    const saved = at('chains');
    expect(await resumeChains(saved, 'mine')).toEqual([]);
    const chains = [
      [[5, 2], [6]],
      [[], [7, 24, 2]],
    ];
    await saveChains(saved, 'mine', chains);
    expect(await resumeChains(saved, 'mine')).toEqual(chains);
    await expect(resumeChains(saved, 'another')).rejects.toMatchObject({ code: 'OtherRun' });
    const file = join(saved, 'chains.jsonl');
    const lines = readFileSync(file, 'utf8').split('\n');
    for (const [damaged, why] of [
      ['[[5,2]', 'cut'],
      ['[[5,"2"]]', 'a text'],
      ['{}', 'no list'],
    ]) {
      writeFileSync(file, [lines[0], lines[1], damaged].join('\n'));
      const read = resumeChains(saved, 'mine');
      await expect(read, why).rejects.toMatchObject({ code: 'ChainsFile' });
      await expect(read, why).rejects.toThrow(/line 3: expected chains of token ids/);
    }
    const weights = namedWeights(teacher.model);
    const [name, { data, shape }] = [...weights][0];
    const other = new Map(weights).set(name, { data: data.map((x) => x + 1), shape });
    expect(await fingerprintOf(weights)).toBe(await fingerprintOf(new Map(weights)));
    expect(await fingerprintOf(other)).not.toBe(await fingerprintOf(weights));
  });
});

describe('training', () => {
  it('learns, and one that was interrupted ends like one that was not', async () => {
    const chains = labelDrawn(await draw());
    const small = { config: TEACHER_CONFIG, weights: initialWeights(TEACHER_CONFIG, 1) };
    const options = { device, judge: small, chains, recipe };
    const whole = await trainReward(options);
    expect(whole.curve[0][1]).toBeCloseTo(Math.LN2, 5);
    expect(whole.weights.get('score')?.shape).toEqual([1, 32]);
    const saved = { folder: at('run'), recipe: 'one' };
    const abort = new AbortController();
    const onProgress = ({ step }: { step: number }) => step === 3 && abort.abort();
    const part = await trainReward({ ...options, saved, onProgress, signal: abort.signal });
    expect(part.step).toBe(3);
    const rest = await trainReward({ ...options, saved });
    expect(bits(rest.weights)).toEqual(bits(whole.weights));
    expect(rest.curve).toEqual(whole.curve);
    const longer = await trainReward({
      ...options,
      recipe: { ...recipe, steps: 80, learningRate: 0.005 },
    });
    const last = longer.curve.slice(-8).map(([, loss]) => loss);
    expect(last.reduce((sum, loss) => sum + loss, 0) / 8).toBeLessThan(0.6);
  });

  it('sees every chain once before any comes again', () => {
    const label = { labels: [1], begin: 0, stepEnds: [], isEnded: true };
    const chains = Array.from({ length: 16 }, (_, i) => ({ ...label, tokens: [i] }));
    const batch = rewardBatches(chains, { batch: 2, seqlen: 8, seed: 1 });
    const seenIn = (from: number) =>
      Array.from({ length: 8 }, (_, i) => batch(from + i).tokens).flatMap((t) => [t[0], t[8]]);
    const [first, second] = [seenIn(1), seenIn(9)];
    const sorted = (list: number[]) => [...list].sort((a, b) => a - b);
    expect(sorted(first)).toEqual(chains.map((_, i) => i));
    expect(sorted(second)).toEqual(sorted(first));
    // not the same ones side by side again
    const pairsOf = (seen: number[]) =>
      sorted(
        Array.from(
          { length: 8 },
          (_, i) =>
            100 * Math.min(...seen.slice(2 * i, 2 * i + 2)) +
            Math.max(...seen.slice(2 * i, 2 * i + 2)),
        ),
      );
    expect(pairsOf(second)).not.toEqual(pairsOf(first));
    const { tokens, targets, seqlen } = batch(1);
    expect([seqlen, ...targets]).toEqual([8, ...[0, 1].flatMap(() => [1, ...Array(7).fill(-100)])]);
    expect(tokens).toHaveLength(16);
  });

  it('refuses to learn from nothing', async () => {
    const { config } = teacher;
    const nothing = { judge: { config, weights: namedWeights(teacher.model) }, chains: [] };
    await expect(trainReward({ device, recipe, ...nothing })).rejects.toMatchObject({
      code: 'NothingCounted',
    });
  });
});

describe('on unseen problems', () => {
  it('shares and separations are of the chains that were drawn', async () => {
    const unseen = await draw({ split: 'test', seed: 5, problems: 20, samples: 8 });
    const drawn = rewardOf(3);
    const accuracy = await evaluateReward(drawn, unseen, { backend: device });
    const { mean, coverage, bestOfN, majority, weighted, outcome, steps } = accuracy;
    expect(accuracy).toMatchObject({ problems: 20, samples: 8 });
    expect(outcome.count).toBe(160);
    expect(outcome.right).toBeCloseTo(mean, 12);
    expect(steps?.count).toBeGreaterThan(100);
    for (const share of [mean, bestOfN, majority, weighted]) {
      expect(share).toBeGreaterThanOrEqual(0);
      expect(share).toBeLessThanOrEqual(coverage);
    }
    // where no problem has a wrong chain, every way of choosing solves it
    const solved = unseen.map((one) => {
      const { task, problem } = one;
      const chain = [...encodeText(problem.chain), SPECIAL_IDS.eos];
      expect(task.split(problem)).toBe('test');
      return { ...one, chains: [chain, chain] };
    });
    const all = await evaluateReward(drawn, solved, { backend: device });
    expect(all).toMatchObject({ mean: 1, bestOfN: 1, majority: 1, weighted: 1, coverage: 1 });
    expect(all.outcome.auc).toBeUndefined();
    expect(all.steps?.right).toBe(1);
  });
});
