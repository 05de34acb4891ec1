/** A sequence as a value: the same on any executor, back in time at a bounded cost, errors on one line. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Executor } from '../backends/types.ts';
import { referenceExecutor } from '../lib/decode/referenceExecutor.ts';
import { restoreState, saveState } from '../lib/decode/savedState.ts';
import { loadSequence, openSequence } from '../lib/decode/sequence.ts';
import { plainExecutor } from '../lib/plan/index.ts';
import { drawnModel, modelOf } from '../lib/verify/randomModel.ts';
import type { MixerConfig } from '../reference/config.ts';
import type { Model } from '../reference/model.ts';
import { SEED } from './support.ts';

/** A random model of some kinds of layers. */
function model(...kinds: MixerConfig['kind'][]): Model {
  const [{ input }] = fc.sample(drawnModel(kinds), { seed: SEED, numRuns: 1 });
  return modelOf(input);
}

const tokens = (length: number) => Array.from({ length }, (_, i) => (i * i) % 2);

/** An executor that counts the tokens that it steps and takes in. */
function counting(executor: Executor) {
  const counts = { steps: 0, prefills: 0, loads: 0, saves: 0 };
  const counted: Executor = {
    ...executor,
    step: (rows, next) => {
      counts.steps += rows.length;
      return executor.step(rows, next);
    },
    prefill: (prompts) => {
      counts.prefills += prompts.flat().length;
      return executor.prefill(prompts);
    },
    save: (row) => {
      counts.saves++;
      return executor.save(row);
    },
  };
  return { executor: counted, counts };
}

describe('going back', () => {
  it('costs a recurrent model at most the way from one checkpoint to the next', async () => {
    const { executor, counts } = counting(referenceExecutor(model('mamba2')));
    const sequence = await openSequence(executor, tokens(3), { checkpointEvery: 4 });
    await sequence.append(tokens(497));
    for (const length of [499, 480, 300, 299, 100, 37]) {
      counts.steps = 0;
      await sequence.rewind(sequence.tokens.length - length);
      expect(sequence.tokens.length).toBe(length);
      // 16 checkpoints at most, so that 500 tokens have one every 64 at the least
      expect(counts.steps).toBeLessThanOrEqual(64);
    }
    expect(counts.prefills).toBeLessThanOrEqual(3 + 37);
  });

  it('costs a Transformer one token, and no checkpoint is kept', async () => {
    const { executor, counts } = counting(referenceExecutor(modelOf({ ...attention(), seed: 3 })));
    const sequence = await openSequence(executor, tokens(20), { checkpointEvery: 2 });
    await sequence.append(tokens(100));
    expect(counts.saves).toBe(1); // the first, which showed that there is nothing to keep
    for (const length of [119, 90, 12, 2]) {
      Object.assign(counts, { steps: 0, prefills: 0 });
      await sequence.rewind(sequence.tokens.length - length);
      expect(counts).toMatchObject({ steps: 1, prefills: 0 });
    }
  });

  it('into the prompt takes the prompt in again', async () => {
    const { executor, counts } = counting(referenceExecutor(model('mamba')));
    const sequence = await openSequence(executor, tokens(50));
    await sequence.rewind(30);
    expect(counts).toMatchObject({ prefills: 50 + 20, steps: 0 });
    const fresh = await openSequence(executor, tokens(20));
    expect(sequence.logits).toEqual(fresh.logits);
  });

  it('by nothing does nothing', async () => {
    const { executor, counts } = counting(referenceExecutor(model('mamba')));
    const sequence = await openSequence(executor, tokens(5));
    const { logits } = sequence;
    expect(await sequence.rewind(0)).toBe(logits);
    expect(counts.prefills).toBe(5);
  });

  it('keeps the sequence as it was when it cannot go on', async () => {
    const reference = referenceExecutor(model('mamba2'));
    let isBroken = false;
    const step: Executor['step'] = (rows, next) =>
      isBroken ? Promise.reject(new Error('no step')) : reference.step(rows, next);
    const sequence = await openSequence({ ...reference, step }, tokens(3), { checkpointEvery: 4 });
    await sequence.append(tokens(9));
    const want = (await sequence.save()).state;
    isBroken = true;
    await expect(sequence.rewind(2)).rejects.toThrow('no step');
    expect(sequence.tokens.length).toBe(12);
    expect((await sequence.save()).state).toEqual(want);
  });
});

const attention = () => {
  const [{ input }] = fc
    .sample(drawnModel(['attention']), { seed: SEED, numRuns: 200 })
    .filter(({ input: { config } }) =>
      config.layers.every(({ mixer }) => mixer.kind === 'attention' && mixer.dConv === undefined),
    );
  return input;
};

it('a saved sequence goes on elsewhere, by way of bytes', async () => {
  const one = model('mamba2', 'attention');
  const here = await openSequence(referenceExecutor(one), tokens(7));
  const saved = await here.save();
  const bytes = saveState(saved.state);
  const state = await restoreState(bytes, one.config, one.precision);
  const there = await loadSequence(plainExecutor(one), structuredClone({ ...saved, state }));
  expect(there.logits).toEqual(here.logits);
  expect(await there.append([1, 0, 1])).toEqual(await here.append([1, 0, 1]));
});

describe('errors', () => {
  it.each([5, -1, 1.5])('rewind(%d) of five tokens is refused', async (k) => {
    const sequence = await openSequence(referenceExecutor(model('mamba')), tokens(5));
    await expect(sequence.rewind(k)).rejects.toThrow(
      `rewind: expected a whole number from 0 to 4, so that one token is left, got ${k}`,
    );
  });

  it('nothing to append, no distance and tokens of another state are refused', async () => {
    const executor = referenceExecutor(model('mamba'));
    const sequence = await openSequence(executor, tokens(5));
    await expect(sequence.append([])).rejects.toMatchObject({ code: 'EmptyPrompt' });
    const distance = openSequence(executor, tokens(5), { checkpointEvery: 0 });
    await expect(distance).rejects.toThrow(/^checkpointEvery: expected a whole number ≥ 1, got 0/);
    const saved = await sequence.save();
    const other = loadSequence(executor, { ...saved, tokens: tokens(4) });
    await expect(other).rejects.toMatchObject({ code: 'StateMismatch' });
  });
});
