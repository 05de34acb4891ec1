/** Whole models trained on WASM: their gradients are the reference's, as far as float32 can tell. */

import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import type { TrainingDevice } from '../backends/training.ts';
import { openWasmTraining } from '../backends/wasm/training/index.ts';
import { modelOnTape } from '../lib/train/graph.ts';
import { ParameterSet } from '../lib/train/optimiser.ts';
import { referenceDevice } from '../lib/train/referenceDevice.ts';
import { Tape } from '../lib/train/tape.ts';
import { MIXER_KINDS, randomWeights } from '../lib/verify/randomModel.ts';
import { Draws } from '../lib/verify/values.ts';
import type { LayerConfig, MixerConfig, ModelConfig } from '../reference/config.ts';
import type { Tensor } from '../reference/tensor.ts';
import { RUNS, SEED } from './support.ts';

const SEQLEN = 37; // more than a chunk of a recurrence, and more than a block of an attention
const BATCH = 2;
const norm = { kind: 'rms', eps: 1e-3 } as const;
const mlp = { kind: 'swiglu', dHidden: 20, hasBias: false } as const;

const MIXERS: Record<MixerConfig['kind'], MixerConfig> = {
  mamba: {
    ...{ kind: 'mamba', dInner: 20, dState: 5, dConv: 4, dtRank: 3 },
    ...{ hasBias: true, hasConvBias: true },
  },
  mamba2: {
    ...{ kind: 'mamba2', dInner: 24, nHeads: 4, headDim: 6, nGroups: 2, dState: 5, dConv: 3 },
    gatedNorm: { eps: 1e-3, groupSize: 12, normBeforeGate: false },
    ...{ hasDPerChannel: false, hasBias: false, hasConvBias: true },
  },
  discreteMamba2: {
    ...{ kind: 'discreteMamba2', nHeads: 4, headDim: 6, nGroups: 2, dState: 5, dConv: 4 },
    ...{ activation: 'identity', hasBias: false, hasConvBias: true },
  },
  mambaInLlama: {
    ...{ kind: 'mambaInLlama', dInner: 24, dXb: 12, dState: 4, dConv: 4, dtRank: 3 },
    ...{ repeatsBeforeConv: true, hasXBias: false, hasZBias: false },
    ...{ hasOutBias: false, hasConvBias: true },
  },
  mambaInLlama2: {
    ...{ kind: 'mambaInLlama2', nHeads: 4, headDim: 6, dState: 6, dXb: 12, dConv: 4 },
    gatedNorm: { eps: 1e-3, groupSize: 24, normBeforeGate: false },
    ...{ repeatsBeforeConv: false, hasDPerChannel: false, hasBias: false, hasConvBias: true },
  },
  attention: {
    ...{ kind: 'attention', nHeads: 4, nKvHeads: 2, headDim: 6 },
    rope: { rotaryDim: 6, theta: 10_000, pairing: 'half' },
    ...{ hasQkvBias: true, hasOutBias: false },
  },
};

/** Two layers of a kind, the second without MLP. */
function configOf(kind: MixerConfig['kind']): ModelConfig {
  const mixer = MIXERS[kind];
  const layers: LayerConfig[] = [
    { norm, mixer, mlp },
    { norm, mixer },
  ];
  const rows = { vocabSize: 21, vocabRows: 22 };
  return { ...rows, dModel: 18, layers, finalNorm: norm, isTied: true, hasHeadBias: false };
}

const devices: TrainingDevice[] = [];
afterAll(async () => {
  for (const device of devices) await device.close();
});

interface Made {
  loss: number;
  gradients: Map<string, ArrayLike<number>>;
}

function gradientsOn(
  device: TrainingDevice,
  config: ModelConfig,
  weights: ReadonlyMap<string, Tensor>,
  seed: number,
): Made {
  const draws = new Draws(seed);
  const ids = (least: number) =>
    Int32Array.from(draws.tensorBetween(least, 21, BATCH * SEQLEN).data, Math.floor);
  const [tokens, drawn] = [ids(0), ids(-4)];
  const targets = drawn.map((target) => (target < 0 ? -100 : target));
  const tape = new Tape(device);
  const parameters = new ParameterSet(device, weights).variables();
  const logits = modelOnTape({ tape, config, parameters, tokens, seqlen: SEQLEN });
  const loss = tape.loss('crossEntropy', { logits, targets });
  tape.backward();
  const gradients = new Map(
    [...parameters].flatMap(([name, { gradient }]) =>
      gradient ? [[name, device.read(gradient)] as const] : [],
    ),
  );
  const made = { loss: device.read(loss)[0], gradients };
  device.reset();
  return made;
}

const distance = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Math.hypot(...Array.from(a, (x, i) => x - b[i]));

/** Half an ulp of float32, and what a number has lost after some hundred operations that round at random. */
const UNIT = 2 ** -24;
const SPREAD = 16 * UNIT;

describe.each(MIXER_KINDS)('a model of %s layers', (kind) => {
  it.each([1, 3])('has the gradients of the reference on %i threads', async (threads) => {
    const wasm = await openWasmTraining({ threads });
    devices.push(wasm);
    const config = configOf(kind);
    await fc.assert(
      fc.asyncProperty(fc.nat(0x7fffffff), async (seed) => {
        const weights = randomWeights(config, seed, 'float32');
        const want = gradientsOn(referenceDevice(), config, weights, seed);
        const got = gradientsOn(wasm, config, weights, seed);
        // how far the true gradients move when every weight is off by what float32 loses on the way
        const draws = new Draws(seed + 1);
        const moved = Array.from({ length: 3 }, () => {
          const near = new Map(
            [...weights].map(([name, { data, shape }]) => {
              const off = draws.tensorBetween(-1, 1, ...shape).data;
              return [
                name,
                { data: Float64Array.from(data, (x, i) => x * (1 + SPREAD * off[i])), shape },
              ];
            }),
          );
          return gradientsOn(referenceDevice(), config, near, seed);
        });
        expect([...got.gradients.keys()]).toEqual([...want.gradients.keys()]);
        for (const [name, gradient] of want.gradients) {
          const shifts = moved.map(({ gradients }) =>
            distance(gradients.get(name) as ArrayLike<number>, gradient),
          );
          const size = distance(gradient, new Float64Array(gradient.length));
          const bound = 4 * Math.max(...shifts) + SPREAD * size;
          const error = distance(got.gradients.get(name) as ArrayLike<number>, gradient);
          expect(error, name).toBeLessThanOrEqual(bound);
        }
        expect(Math.abs(got.loss - want.loss)).toBeLessThan(64 * UNIT * want.loss);
      }),
      { seed: SEED, numRuns: Math.ceil(RUNS / 50) },
    );
  });
});
