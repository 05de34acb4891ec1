/** Reward models: one head from two rows, labels of chains, scores that hang on nothing but their chain. */

import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TrainingDevice } from '../backends/training.ts';
import { openWasmTraining } from '../backends/wasm/training/index.ts';
import { withOneRow, withOwnHead, withScore, withTwoRows } from '../lib/reward/head.ts';
import { scoreChains } from '../lib/reward/scoreChains.ts';
import { createTask } from '../lib/tasks/catalogue.ts';
import { encodeText, SPECIAL_IDS, VOCABULARY } from '../lib/tasks/vocabulary.ts';
import { modelOnTape } from '../lib/train/graph.ts';
import { ParameterSet } from '../lib/train/optimiser.ts';
import { Tape } from '../lib/train/tape.ts';
import { exampleOf } from '../lib/train/taskData.ts';
import { logSigmoid, sigmoid } from '../reference/activations.ts';
import { crossEntropy } from '../reference/losses.ts';
import { aggregateStepScores } from '../reference/votes.ts';
import { rewardOf } from './rewards.ts';
import { SEED } from './support.ts';

const exact = (x: number) => x;
const reward = rewardOf(7);

let device: TrainingDevice;
beforeAll(async () => {
  device = await openWasmTraining({ threads: 2 });
});
afterAll(() => device.close());

describe('a head of two rows', () => {
  const logit = fc.double({ min: -30, max: 30, noNaN: true });
  const rows = fc.array(fc.record({ wrong: logit, right: logit, label: fc.constantFrom(0, 1) }), {
    minLength: 1,
    maxLength: 12,
  });

  it('has the logistic loss of the difference of its rows, and the gradient of it', () => {
    const law = fc.property(rows, (drawn) => {
      const data = Float64Array.from(drawn.flatMap(({ wrong, right }) => [wrong, right]));
      const targets = drawn.map(({ label }) => label);
      const { loss, gradient } = crossEntropy({
        logits: { data, shape: [drawn.length, 2] },
        targets,
      });
      const scores = drawn.map(({ wrong, right }) => right - wrong);
      const losses = scores.map((r, i) => -logSigmoid(targets[i] === 1 ? r : -r, exact));
      expect(loss).toBeCloseTo(losses.reduce((sum, one) => sum + one, 0) / drawn.length, 12);
      scores.forEach((r, i) => {
        const slope = (sigmoid(r, exact) - targets[i]) / drawn.length;
        expect(gradient.data[2 * i + 1]).toBeCloseTo(slope, 12);
        expect(gradient.data[2 * i]).toBeCloseTo(-slope, 12);
      });
    });
    fc.assert(law, { seed: SEED, numRuns: 200 });
  });

  it('is written as the difference of its rows, which gives the same probabilities', () => {
    const { config, weights } = reward;
    const dModel = config.dModel;
    const trained = withTwoRows(weights, dModel);
    expect([...(trained.get('head')?.data ?? [])].every((x) => x === 0)).toBe(true);
    const score = weights.get('score')?.data as Float32Array;
    const data = Float32Array.from(
      { length: 2 * dModel },
      (_, i) => (i % 7) / 9 - score[i % dModel],
    );
    trained.set('head', { data, shape: [2, dModel] });
    const single = withScore(trained);
    expect(single.get('score')?.shape).toEqual([1, dModel]);
    expect(single.has('head')).toBe(false);
    const tokens = Int32Array.from(encodeText('[MAX 1 [MIN 2 3 ] ]'));
    const logitsOf = (weightsOf: ReturnType<typeof withScore>) => {
      const parameters = new ParameterSet(device, weightsOf, () => false).variables();
      const tape = new Tape(device);
      const own = { tape, config: withOwnHead(config), parameters, tokens, seqlen: tokens.length };
      return [...device.read(modelOnTape(own).value)];
    };
    const both = logitsOf(trained);
    const one = logitsOf(withOneRow(single));
    device.reset();
    expect(one).toHaveLength(tokens.length);
    one.forEach((r, t) => {
      const [wrong, right] = both.slice(2 * t, 2 * t + 2);
      const p = Math.exp(right) / (Math.exp(wrong) + Math.exp(right));
      expect(sigmoid(r, exact)).toBeCloseTo(p, 5);
    });
  });
});

describe('scores', () => {
  const tasks = [createTask('listops-cot', 'tiny'), createTask('word-problems', 'tiny')];
  const chains = Array.from({ length: 12 }, (_, i) => {
    const { tokens, learnFrom } = exampleOf(tasks[i % 2].problem(5, i));
    return { prompt: tokens.slice(0, learnFrom), tokens: tokens.slice(learnFrom) };
  });

  it('have one for each step, the conclusion last, and that is the outcome', async () => {
    const scores = await scoreChains(reward, chains, { backend: device });
    scores.forEach(({ outcome, steps }, i) => {
      expect(steps).toHaveLength(
        chains[i].tokens.filter((id) => VOCABULARY[id] === ';').length + 1,
      );
      expect(steps.every((score) => score > 0 && score < 1)).toBe(true);
      expect(aggregateStepScores({ scores: steps, method: 'last' }).score).toBe(outcome);
    });
    expect(new Set(scores.map(({ outcome }) => outcome)).size).toBeGreaterThan(6);
  });

  it('are the same bits whatever is beside a chain, in whatever order, with whatever padding', async () => {
    const together = await scoreChains(reward, chains, { backend: device });
    const alone: unknown[] = [];
    for (const chain of chains) {
      alone.push(...(await scoreChains(reward, [chain], { backend: device })));
    }
    expect(alone).toEqual(together);
    const backwards = await scoreChains(reward, [...chains].reverse(), {
      backend: 'wasm',
      threads: 1,
    });
    expect(backwards.reverse()).toEqual(together);
    const pairs = await scoreChains(reward, chains, { backend: device, batchTokens: 150 });
    expect(pairs).toEqual(together);
    // so much longer that most of each other row is padding
    const prompt = [SPECIAL_IDS.bos, ...encodeText(`[MAX ${'1 '.repeat(150)}]`)];
    const longest = { prompt, tokens: [SPECIAL_IDS.eos] };
    const padded = await scoreChains(reward, [longest, ...chains], { backend: device });
    expect(padded.slice(1)).toEqual(together);
  });

  it('are those of the reference', async () => {
    const want = await scoreChains(reward, chains, { backend: 'reference' });
    const got = await scoreChains(reward, chains, { backend: device });
    got.forEach(({ steps }, i) => {
      for (const [k, score] of steps.entries()) expect(score).toBeCloseTo(want[i].steps[k], 5);
    });
  });

  it('of a beginning are those of the whole chain so far; cut off, it has no answer', async () => {
    const { prompt, tokens } = chains[0];
    const [{ steps }] = await scoreChains(reward, [chains[0]], { backend: device });
    const first = tokens.indexOf(encodeText(';')[0]) + 1;
    const cut = tokens.slice(0, first);
    const [beginning] = await scoreChains(reward, [{ prompt, tokens: cut }], { backend: device });
    expect(beginning).toEqual({ outcome: 0, steps: [steps[0], 0] });
    const [nothing] = await scoreChains(reward, [{ prompt, tokens: [] }], { backend: device });
    expect(nothing).toEqual({ outcome: 0, steps: [0] });
  });

  it('of a text are those of its tokens', async () => {
    const problem = tasks[0].problem(5, 0);
    const text = { prompt: problem.prompt, text: problem.chain };
    const scores = await scoreChains(
      reward,
      [
        chains[0],
        text,
        { ...text, finishReason: 'length' },
        { ...text, ...chains[0], text: '# 1' },
      ],
      { backend: device },
    );
    expect(scores[1]).toEqual(scores[0]);
    expect(scores[2]).toEqual({ outcome: 0, steps: [...scores[0].steps.slice(0, -1), 0] });
    expect(scores[3]).toEqual(scores[0]);
  });

  it('are none of nothing', async () => {
    expect(await scoreChains(reward, [], { backend: device })).toEqual([]);
  });

  const one = { prompt: [1, 5], tokens: [5, 2] };
  it.each([
    ['TokenRange', 'chain 1: expected token ids in [0, 82), got 82', { ...one, tokens: [5, 82] }],
    ['TokenRange', 'prompt 1: expected token ids in [0, 82), got -1', { ...one, prompt: [-1] }],
    ['EmptyPrompt', 'prompt 1: expected at least one token', { ...one, prompt: [] }],
    ['EmptyChain', 'chain 1: expected its text or its tokens', { prompt: [1, 5] }],
    ['ContextLength', 'chain 1: expected at most 256', { ...one, tokens: new Array(255).fill(5) }],
  ])('%s: %s', async (code, message, wrong) => {
    const scored = scoreChains(reward, [one, wrong], { backend: device });
    await expect(scored).rejects.toMatchObject({ code });
    await expect(scored).rejects.toThrow(message);
  });

  it('that are not finite, and a signal, end it with a code', async () => {
    const score = { data: new Float32Array(32).fill(3e38), shape: [1, 32] };
    const broken = { ...reward, weights: new Map(reward.weights).set('score', score) };
    await expect(scoreChains(broken, [one], { backend: device })).rejects.toMatchObject({
      code: 'NonFiniteScore',
    });
    const signal = AbortSignal.abort();
    await expect(scoreChains(reward, [one], { backend: device, signal })).rejects.toMatchObject({
      code: 'Aborted',
    });
    // the device is good for others
    expect(await scoreChains(reward, [one], { backend: device })).toHaveLength(1);
  });
});
