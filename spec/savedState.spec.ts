import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeSafetensors } from '../lib/checkpoint/tensorFile.ts';
import { restoreState, saveState } from '../lib/decode/savedState.ts';
import { expectSameBits } from '../lib/verify/compare.ts';
import { drawnModel, modelOf, randomWeights } from '../lib/verify/randomModel.ts';
import { Draws } from '../lib/verify/values.ts';
import type { MixerConfig, ModelConfig } from '../reference/config.ts';
import { createModel, type Model, prefill, step } from '../reference/model.ts';
import { newState, type SequenceState } from '../reference/state.ts';
import type { Tensor, Vector } from '../reference/tensor.ts';
import { SEED } from './support.ts';

const options = { seed: SEED, numRuns: 100 };

const tokensFor = (model: Model, seed: number, length: number): number[] => {
  const draws = new Draws(seed ^ 0xabc);
  return Array.from({ length }, () => draws.below(model.config.vocabRows));
};
const fresh = (model: Model) => newState(model.config, model.precision);
const expectSameState = (got: SequenceState, want: SequenceState) =>
  expect(Buffer.compare(saveState(got), saveState(want))).toBe(0);
const vector = (data: Vector): Tensor => ({ data, shape: [data.length] });

const configOf = (kind: MixerConfig): ModelConfig => ({
  vocabSize: 6,
  vocabRows: 6,
  dModel: 4,
  layers: [{ norm: { kind: 'rms', eps: 1e-5 }, mixer: kind }],
  finalNorm: { kind: 'rms', eps: 1e-5 },
  isTied: false,
  hasHeadBias: false,
});
const MAMBA: MixerConfig = {
  kind: 'mamba',
  dInner: 6,
  dState: 3,
  dConv: 3,
  dtRank: 1,
  hasBias: false,
  hasConvBias: true,
};
const ATTENTION: MixerConfig = {
  kind: 'attention',
  nHeads: 4,
  nKvHeads: 2,
  headDim: 2,
  rope: { rotaryDim: 2, theta: 10000, pairing: 'half' },
  hasQkvBias: false,
  hasOutBias: false,
};

describe('saved states', () => {
  it('a state saved and restored decodes to the same bits', async () => {
    const precisions = fc.constantFrom('float64' as const, 'float32' as const);
    await fc.assert(
      fc.asyncProperty(drawnModel(), precisions, fc.nat(4), async ({ input }, precision, n) => {
        const model = modelOf(input, precision);
        const tokens = tokensFor(model, input.seed, n + 3);
        const state = fresh(model);
        for (const token of tokens.slice(0, n)) step(model, state, token);
        const restored = await restoreState(saveState(state), model.config, precision);
        expectSameState(restored, state);
        for (const token of tokens.slice(n)) {
          const [got, want] = [step(model, restored, token), step(model, state, token)];
          expectSameBits('logits', vector(got), vector(want));
        }
        expectSameState(restored, state);
      }),
      options,
    );
  });

  const saved = (config: ModelConfig) => {
    const model = createModel(config, randomWeights(config, 1));
    const state = fresh(model);
    prefill({ model, state, tokens: [1, 2, 3] });
    return saveState(state);
  };

  it('a state that ends early is a CheckpointError wherever it ends', async () => {
    const config = configOf(ATTENTION);
    const bytes = saved(config);
    for (let length = 0; length < bytes.length; length += 3) {
      const cut = restoreState(bytes.slice(0, length), config);
      await expect(cut).rejects.toMatchObject({ name: 'CheckpointError' });
    }
  });

  it('a flipped bit of the header is a CheckpointError or harmless, never another error', async () => {
    const config = configOf(ATTENTION);
    const bytes = saved(config);
    const end = 8 + Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
    let refused = 0;
    for (let bit = 0; bit < 8 * end; bit += 5) {
      const damaged = bytes.slice();
      damaged[bit >> 3] ^= 1 << (bit & 7);
      const error = await restoreState(damaged, config).then(
        () => undefined,
        (reason: Error) => reason,
      );
      if (!error) continue;
      expect(error.name).toBe('CheckpointError');
      refused++;
    }
    expect(refused).toBeGreaterThan(end);
  });

  it('a state of another model is refused with code StateMismatch', async () => {
    const mamba = configOf(MAMBA);
    const attention = configOf(ATTENTION);
    const wider = configOf({ ...MAMBA, dState: 4 });
    const deeper = { ...mamba, layers: [...mamba.layers, ...mamba.layers] };
    for (const [from, to] of [
      [mamba, attention],
      [attention, mamba],
      [mamba, wider],
      [mamba, deeper],
      [deeper, mamba],
    ]) {
      const other = restoreState(saved(from), to);
      await expect(other).rejects.toMatchObject({ name: 'CheckpointError', code: 'StateMismatch' });
      await expect(other).rejects.toThrow(/is it a state of this model\?$/);
    }
    const plain = encodeSafetensors(new Map([['x', vector(new Float32Array(2))]]));
    await expect(restoreState(plain, mamba)).rejects.toThrow(/expected format selscan-state-1/);
  });
});
