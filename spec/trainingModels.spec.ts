/** Whole models on a tape: their logits are the reference's, their gradients are how its loss changes. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { modelOnTape } from '../lib/train/graph.ts';
import { ParameterSet } from '../lib/train/optimiser.ts';
import { referenceDevice } from '../lib/train/referenceDevice.ts';
import { Tape } from '../lib/train/tape.ts';
import { drawnModel, MIXER_KINDS, randomWeights } from '../lib/verify/randomModel.ts';
import { Draws } from '../lib/verify/values.ts';
import type { LayerConfig, ModelConfig } from '../reference/config.ts';
import { crossEntropy } from '../reference/losses.ts';
import { createModel, prefill } from '../reference/model.ts';
import { newState } from '../reference/state.ts';
import type { Tensor } from '../reference/tensor.ts';
import { derivative, inner } from './centralDifferences.ts';
import { RUNS, SEED } from './support.ts';

const BATCH = 2;
const SEQLEN = 4;

/**
 * The nearest config whose gradients there are. With a large eps: the norm of two numbers near 0 bends so sharply that
 * differences say nothing of its slope.
 */
function trainable(config: ModelConfig): ModelConfig {
  const norm = { kind: 'rms', eps: 0.1 } as const;
  const smooth = <Norm extends object>(gatedNorm: Norm | undefined) =>
    gatedNorm && { gatedNorm: { ...gatedNorm, eps: 0.1 } };
  const layers = config.layers.map((layer): LayerConfig => {
    const { mixer } = layer;
    switch (mixer.kind) {
      case 'attention': {
        const { dConv: _c, dParallelMlp: _m, ...plain } = mixer;
        return { ...layer, norm, mixer: plain };
      }
      case 'mamba2': {
        const { dtLimit: _l, ...plain } = mixer;
        const dInner = mixer.nHeads * mixer.headDim;
        const own = { ...plain, dInner, hasDPerChannel: false, ...smooth(mixer.gatedNorm) };
        return { ...layer, norm, mixer: own };
      }
      case 'mambaInLlama2': {
        const plain = { ...mixer, hasDPerChannel: false, repeatsBeforeConv: false };
        const own = { ...plain, ...smooth(mixer.gatedNorm) };
        return { ...layer, norm, mixer: own };
      }
      default:
        return { ...layer, norm };
    }
  });
  return { ...config, layers, finalNorm: norm };
}

/** Tokens and targets, some of them ignored. */
function drawBatch(config: ModelConfig, seed: number) {
  const draws = new Draws(seed + 1);
  const ids = (least: number) =>
    Int32Array.from(draws.tensorBetween(least, config.vocabSize, BATCH * SEQLEN).data, Math.floor);
  const targets = ids(-1).map((target) => (target < 0 ? -100 : target));
  targets[0] = 0;
  return { tokens: ids(0), targets };
}

/** Logits of the reference model, sequence after sequence. */
function referenceLogits(
  config: ModelConfig,
  weights: ReadonlyMap<string, Tensor>,
  tokens: Int32Array,
): Tensor {
  const model = createModel(config, weights);
  const parts = Array.from({ length: BATCH }, (_, b) => {
    const own = tokens.slice(b * SEQLEN, (b + 1) * SEQLEN);
    return prefill({ model, state: newState(config), tokens: own }).logits.data;
  });
  const data = Float64Array.from(parts.flatMap((part) => Array.from(part)));
  return { data, shape: [BATCH * SEQLEN, config.vocabRows] };
}

/** Logits, loss and all gradients on the tape. */
function onTape(config: ModelConfig, weights: ReadonlyMap<string, Tensor>, seed: number) {
  const device = referenceDevice();
  const { tokens, targets } = drawBatch(config, seed);
  const tape = new Tape(device);
  const parameters = new ParameterSet(device, weights).variables();
  const logits = modelOnTape({ tape, config, parameters, tokens, seqlen: SEQLEN });
  const loss = device.read(tape.loss('crossEntropy', { logits, targets }))[0];
  tape.backward();
  return { tokens, targets, loss, logits: logits.value as Tensor, parameters };
}

describe.each(MIXER_KINDS)('a model of %s layers on a tape', (kind) => {
  it('has the logits of the reference, and the gradients of its loss', () => {
    fc.assert(
      fc.property(drawnModel([kind]), ({ input }) => {
        const config = trainable(input.config);
        const weights = randomWeights(config, input.seed);
        const { tokens, targets, loss, logits, parameters } = onTape(config, weights, input.seed);
        const want = referenceLogits(config, weights, tokens);
        // the same operations in Float64; where sums are taken in another order they differ in the last digits
        const apart = Array.from(logits.data, (x, i) => Math.abs(x - want.data[i]));
        for (const difference of apart) expect(difference).toBeLessThan(1e-11);

        const draws = new Draws(input.seed + 2);
        for (const [name, { shape }] of weights) {
          const gradient = parameters.get(name)?.gradient as Tensor | undefined;
          const direction = draws.tensorBetween(-1, 1, ...shape);
          const lossAt = (h: number) => {
            const moved = new Map(weights);
            const { data } = weights.get(name) as Tensor;
            moved.set(name, { data: data.map((x, i) => x + h * direction.data[i]), shape });
            const logitsThere = referenceLogits(config, moved, tokens);
            return crossEntropy({ logits: logitsThere, targets: [...targets] }).loss;
          };
          const { value, error } = derivative(lossAt, 1e-13 * Math.max(1, loss));
          const got = gradient ? inner(gradient, direction) : 0;
          expect(Math.abs(got - value), `${name}: want ${value}, got ${got}`).toBeLessThanOrEqual(
            error,
          );
        }
      }),
      { seed: SEED, numRuns: Math.ceil(RUNS / 15) },
    );
  });
});
