/** What inspect says of memory is what the wasm backend takes. */

import { afterAll, describe, expect, it } from 'vitest';
import { wasmExecutor } from '../backends/wasm/executor.ts';
import { footprintOf } from '../backends/wasm/footprint.ts';
import { Kernels } from '../backends/wasm/kernels.ts';
import { type Capacity, capacityOf } from '../lib/capacity.ts';
import { buildPlan } from '../lib/plan/index.ts';
import { weightNamed } from '../lib/plan/weights.ts';
import { modelOf } from '../lib/verify/index.ts';
import type { LayerConfig, MixerConfig, ModelConfig } from '../reference/config.ts';
import { weightShapes } from '../reference/model.ts';

const closing: (() => unknown)[] = [];
afterAll(async () => {
  for (const close of closing) await close();
});

const norm = { kind: 'rms', eps: 1e-5 } as const;
const mlp = { kind: 'swiglu', dHidden: 160, hasBias: false } as const;
const biases = { hasBias: false, hasConvBias: true };
const MIXERS: Record<string, MixerConfig> = {
  mamba: { kind: 'mamba', dInner: 128, dState: 16, dConv: 4, dtRank: 4, ...biases },
  mamba2: {
    ...{ kind: 'mamba2', dInner: 128, nHeads: 4, headDim: 32, nGroups: 1, dState: 32, dConv: 4 },
    gatedNorm: { eps: 1e-5, groupSize: 128, normBeforeGate: false },
    ...{ hasDPerChannel: false, ...biases },
  },
  llamba: {
    ...{ kind: 'discreteMamba2', nHeads: 4, headDim: 16, nGroups: 4, dState: 16, dConv: 4 },
    ...{ activation: 'identity', ...biases },
  },
  attention: {
    ...{ kind: 'attention', nHeads: 4, nKvHeads: 2, headDim: 16 },
    rope: { rotaryDim: 16, theta: 10_000, pairing: 'half' },
    ...{ hasQkvBias: false, hasOutBias: false },
  },
};

const CONTEXT = 48;

function configOf(mixers: readonly MixerConfig[], isTied: boolean): ModelConfig {
  const layers = mixers.map((mixer): LayerConfig => ({ norm, mixer, mlp }));
  const rows = { vocabSize: 320, vocabRows: 320, dModel: 64 };
  return { ...rows, layers, finalNorm: norm, isTied, hasHeadBias: false, contextLength: CONTEXT };
}

const CONFIGS = Object.entries(MIXERS)
  .map(([name, mixer], i) => [name, configOf([mixer, mixer], i % 2 === 0)] as const)
  .concat([['hybrid', configOf([MIXERS.mamba2, MIXERS.attention], true)]]);

/** The model on kernels whose memory can be looked at, and what that holds with nothing on it. */
async function open(config: ModelConfig, weights: 'float32' | 'int8', memoryLimit = 64e6) {
  const kernels = await Kernels.start({ threads: 1, memoryLimit });
  closing.push(() => kernels.close());
  const empty = kernels.memory.used;
  const model = modelOf({ config, seed: 1 }, 'float32');
  const info = { backend: 'wasm', precision: 'float32', arithmetic: 'ieee', weights } as const;
  const executor = wasmExecutor(kernels, () => info, {
    config,
    ...{ prefill: plansOf(config)[0], step: plansOf(config)[1] },
    weight: (name) => weightNamed(model, name),
  });
  return { kernels, executor, empty };
}

const plansOf = (config: ModelConfig) =>
  [buildPlan(config, 'prefill'), buildPlan(config, 'step')] as const;

const storedAs = (capacity: Capacity, weights: string) => {
  const stored = capacity.stored.find((one) => one.weights === weights);
  if (!stored) throw new Error(`no ${weights}`);
  return stored;
};

describe.each(CONFIGS)('%s', (_name, config) => {
  it('a sequence takes what was said, to the byte', async () => {
    const { kernels, executor } = await open(config, 'float32');
    const { sequences } = await capacityOf(config, { freeBytes: 64e6 });
    const prompt = Array.from({ length: CONTEXT }, (_, t) => t);
    const before = kernels.memory.used;
    const [{ row }] = await executor.prefill([prompt]);
    expect(sequences).toEqual([{ tokens: CONTEXT, bytes: kernels.memory.used - before }]);
    executor.release(row);
    expect(kernels.memory.used).toBe(before);
  });

  it.each(['float32', 'int8'] as const)('%s weights take what was said', async (weights) => {
    const { kernels, empty } = await open(config, weights);
    const stored = storedAs(await capacityOf(config, { freeBytes: 64e6 }), weights);
    const planned = { plans: plansOf(config), shapes: weightShapes(config), threads: 1 };
    const { work } = footprintOf(planned, weights);
    // not counted: the call, the programs and rotations of 512 tokens
    const rest = kernels.memory.used - empty - stored.bytes - work(CONTEXT);
    expect(rest).toBeGreaterThanOrEqual(0);
    expect(rest).toBeLessThan(80_000);
  });

  it.each(['float32', 'int8'] as const)('as many fit beside %s weights', async (weights) => {
    const memoryLimit = 32 * 65_536 * 4;
    const { executor } = await open(config, weights, memoryLimit);
    const stored = storedAs(await capacityOf(config, { freeBytes: memoryLimit }), weights);
    const room = executor.room?.(CONTEXT) ?? 0;
    const [{ sequences }] = stored.fits;
    expect(room).toBeGreaterThan(50);
    // programs, tables of rotations and quantised inputs are not counted: less than 3 % here, nothing beside real models
    expect(sequences).toBeGreaterThanOrEqual(room);
    expect(sequences).toBeLessThanOrEqual(room * 1.03 + 1);
  });
});

describe('the memory at hand', () => {
  const config = configOf([MIXERS.attention], false);

  it('is the less of what is free and what WASM can address', async () => {
    const limits = async (freeBytes: number) => {
      const { memoryBytes, limitedBy } = await capacityOf(config, { freeBytes });
      return { memoryBytes, limitedBy };
    };
    expect(await limits(2 ** 32 - 1)).toEqual({ memoryBytes: 2 ** 32 - 1, limitedBy: 'machine' });
    expect(await limits(2 ** 32 + 1)).toEqual({ memoryBytes: 2 ** 32, limitedBy: 'wasm' });
  });

  it('without room for the weights holds no sequence', async () => {
    const { stored } = await capacityOf(config, { freeBytes: 0 });
    expect(stored.flatMap(({ fits }) => fits.map(({ sequences }) => sequences))).toEqual([0, 0]);
  });

  it('tells a speed where one was measured: in proportion, and less with more to read', async () => {
    const of = async (bytesPerSecond?: number) =>
      (await capacityOf({ ...config, contextLength: 40_000 }, { freeBytes: 1e9, bytesPerSecond }))
        .stored;
    const [one, twice, none] = [await of(1e9), await of(2e9), await of()];
    expect(none.every(({ speeds }) => speeds === undefined)).toBe(true);
    for (const [i, { weights, speeds = [] }] of one.entries()) {
      expect(
        speeds.map(({ tokens }) => tokens),
        weights,
      ).toEqual([4096, 32_768]);
      const [short, long] = speeds.map(({ tokensPerSecond }) => tokensPerSecond);
      expect(short).toBeGreaterThan(long);
      expect(twice[i].speeds?.[0].tokensPerSecond).toBeCloseTo(2 * short, 6);
      // of the embedding, which is no head here, a row is read: 64 of 320 · 64 numbers
      const kv = 4 * 2 * 32 * 4096;
      expect(1e9 / short).toBeGreaterThan(kv);
    }
  });
});
