/** What the WASM backend promises beyond its laws: threads, 8 bits, long runs, memory, and what stays in its row. */

import { afterAll, describe, expect, it } from 'vitest';
import type { Executor } from '../backends/types.ts';
import {
  CALL_TOKENS,
  CALL_WORDS,
  RMS_NORM,
  ROWS_TOKENS,
  STEP_WORDS,
} from '../backends/wasm/abi.ts';
import { openWasm } from '../backends/wasm/index.ts';
import { Kernels } from '../backends/wasm/kernels.ts';
import { loadOn } from '../lib/backend.ts';
import { collect } from '../lib/decode/events.ts';
import { generate } from '../lib/decode/generate.ts';
import { loadModel } from '../lib/loadModel.ts';
import { weightNamed } from '../lib/plan/weights.ts';
import { randomWeights } from '../lib/verify/randomModel.ts';
import type { LayerConfig } from '../reference/config.ts';
import { createModel, type Model, prefill, step } from '../reference/model.ts';
import { newState } from '../reference/state.ts';
import type { Tensor } from '../reference/tensor.ts';
import { SEED, TINY_STORIES } from './support.ts';
import { configOf, HYBRID, mamba, modelWith, norm, tokensFrom } from './wasmModels.ts';

const closing: (() => unknown)[] = [];
afterAll(async () => {
  for (const close of closing) await close();
});

async function open(model: Model, options: Parameters<typeof openWasm>[0]): Promise<Executor> {
  const backend = await openWasm({ alwaysShares: true, ...options });
  closing.push(() => backend.close());
  return loadOn(backend, model);
}

describe('threads', () => {
  it('do not change a bit, however many there are', async () => {
    const prompts = [tokensFrom(1, 150), tokensFrom(2, 3), tokensFrom(3, 40)];
    const all = await Promise.all(
      [1, 2, 3, 5].map(async (threads) => {
        const executor = await open(modelWith(HYBRID), { threads });
        const taken = await executor.prefill(prompts);
        const rows = taken.map(({ row }) => row);
        const after = await executor.step(rows, [1, 2, 3]);
        return [...taken.map(({ logits }) => logits), ...after].map((x) => Array.from(x));
      }),
    );
    for (const one of all) expect(one).toEqual(all[0]);
  });

  it('that fail are an error for whoever waits for them, not a hang', async () => {
    const kernels = await Kernels.start({ threads: 2, memoryLimit: 2 ** 20 });
    const { memory } = kernels;
    const [program, call, room] = [4 * STEP_WORDS, 4 * CALL_WORDS, 4096].map((bytes) =>
      memory.allocateZeros(bytes),
    );
    // norms of two rows, of which only the first thread's lies in memory
    const width = 8;
    const x = memory.wasm.buffer.byteLength - 4 * width;
    const step = [RMS_NORM, ROWS_TOKENS, x, width, room, width, 0, room + 1024, width];
    memory.u32.set(step, program / 4);
    memory.u32[call / 4 + CALL_TOKENS] = 2;
    expect(() => kernels.run(program, 1, call)).toThrow(/^wasm: a thread of the team has failed/);
    await kernels.close();
  });

  it.each([0, 65, 1.5])('%s of them are refused in one line', async (threads) => {
    const opening = openWasm({ threads });
    await expect(opening).rejects.toMatchObject({ code: 'Range' });
    await expect(opening).rejects.toThrow(/^threads: expected a whole number from 1 to 64, got/);
  });
});

describe('8-bit weights', () => {
  it('are the model of the rounded weights, up to 16-bit activations', async () => {
    const rounded = modelWith(HYBRID, (weights) => {
      for (const [name, t] of weights)
        if (t.shape.length === 2) weights.set(name, roundedTo8(name, t));
    });
    const executor = await open(modelWith(HYBRID), { threads: 1, weights: 'int8' });
    const tokens = tokensFrom(4, 20);
    const [{ logits }] = await executor.prefill([tokens]);
    const state = newState(HYBRID, 'float32');
    const want = prefill({ model: rounded, state, tokens, logits: 'last' }).logits.data;
    // an activation is off by 2^-16 of the largest of its block at most; 11 products follow one another
    const most = 11 * 2 ** -16 * 8 * Math.max(...Array.from(want, Math.abs));
    const errors = Array.from(want, (x, i) => Math.abs(x - logits[i]));
    expect(errors.every((error) => error <= most)).toBe(true);
    expect(Math.max(...errors)).toBeGreaterThan(0); // it is not float32
  });

  it('give a chain the same tokens alone and among others', async () => {
    const loaded = await loadModel(TINY_STORIES);
    const executor = await open(loaded.model, { threads: 2, weights: 'int8' });
    const options = { seed: 5, maxTokens: 30, backend: executor };
    const all = await collect(generate(loaded, ['Once'], { ...options, samples: 23 }));
    for (const firstSample of [0, 7, 22]) {
      const [alone] = await collect(generate(loaded, ['Once'], { ...options, firstSample }));
      expect(alone).toEqual(all[firstSample]);
    }
  });
});

/** What int8.ts stores of a matrix: the convolution and the rates are matrices by shape alone. */
function roundedTo8(name: string, { data, shape }: Tensor): Tensor {
  if (/convWeight|ALog/.test(name) || shape[1] % 32 !== 0) return { data, shape };
  const out = Float32Array.from(data);
  for (let from = 0; from < out.length; from += 32) {
    const block = out.subarray(from, from + 32);
    const scale = Math.fround(Math.max(...block.map(Math.abs)) / 127);
    block.forEach((x, i) => {
      block[i] = scale * Math.max(-127, Math.min(127, Math.round(x * (1 / scale))));
    });
  }
  return { data: out, shape };
}

describe('a long run', () => {
  it.each([
    ['usual', 0],
    // Δ·A near 1e-6: almost nothing is forgotten, and every rounding is kept (RELIABILITY N3)
    ['almost none', -12],
  ])(
    'of 100,000 steps keeps its state as float32 does, decay: %s',
    async (_, ALog) => {
      const small = { ...mamba.mixer, dInner: 8, dtRank: 1 } as LayerConfig['mixer'];
      const config = {
        ...configOf({ norm, mixer: small }),
        dModel: 4,
        vocabSize: 47,
        vocabRows: 47,
      };
      const slow = (weights: Map<string, Tensor>) => {
        if (ALog !== 0) weights.get('layers.0.mixer.ALog')?.data.fill(ALog);
      };
      const model = modelWith(config, slow);
      const executor = await open(model, { threads: 1 });
      const [{ row }] = await executor.prefill([[0]]);
      const exact = createModel(config, doubled(model), 'float64');
      const [state, rounded] = [newState(config), newState(config, 'float32')];
      const feed = (token: number) => {
        step(exact, state, token);
        step(model, rounded, token);
      };
      feed(0);
      for (let t = 1; t < 100_000; t++) {
        const token = (t * t + 3 * t) % 47;
        feed(token);
        await executor.stepAndDraw?.([row], [token], [{ temperature: 0, u: 0 }]);
      }
      const want = state.layers[0].h?.data ?? [];
      const lossOf = (h: ArrayLike<number> = []) => {
        const squares = (f: (i: number) => number) =>
          Array.from(want, (_, i) => f(i) ** 2).reduce((sum, x) => sum + x, 0);
        return Math.sqrt(squares((i) => h[i] - want[i]) / squares((i) => want[i]));
      };
      const got = (await executor.save(row)).layers[0].h?.data;
      expect(got?.length).toBe(want.length);
      // another order of operations and exponentials within 2.5 ulp: a few times what the reference's float32 loses
      expect(lossOf(got)).toBeLessThanOrEqual(4 * lossOf(rounded.layers[0].h?.data));
    },
    240_000,
  );
});

function doubled({ config, weights }: Model): Map<string, Tensor> {
  const names = [...randomWeights(config, SEED, 'float32').keys()];
  const model = { config, weights } as Model;
  return new Map(
    names.map((name) => {
      const { data, shape } = weightNamed(model, name);
      return [name, { data: Float64Array.from(data), shape }];
    }),
  );
}

it('a NaN stays in its row', async () => {
  const poisoned = modelWith(HYBRID, (weights) => {
    weights.get('embedding')?.data.fill(Number.NaN, 40 * 32, 41 * 32);
  });
  for (const weights of ['float32', 'int8'] as const) {
    const executor = await open(poisoned, { threads: 2, weights });
    const prompts = [tokensFrom(1, 5), [40, 1], tokensFrom(2, 5)].map((p, i) =>
      i === 1 ? p : p.filter((token) => token !== 40),
    );
    const together = (await executor.prefill(prompts)).map(({ logits }) => Array.from(logits));
    // the head is tied, so token 40 has no logit in any row
    const others = (row: number[]) => row.filter((_, token) => token !== 40);
    expect(others(together[1]).every(Number.isNaN)).toBe(true);
    for (const i of [0, 2]) {
      const [alone] = await executor.prefill([prompts[i]]);
      expect(others(together[i])).toEqual(others(Array.from(alone.logits)));
      expect(others(together[i]).some(Number.isNaN)).toBe(false);
    }
  }
});
