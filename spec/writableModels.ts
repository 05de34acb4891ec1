/** Random models that the published layouts of their families can say, for fast-check; and what reading must give. */

import fc from 'fast-check';
import { expect } from 'vitest';
import type { ModelToWrite } from '../lib/checkpoint/modelWriter.ts';
import type { LoadedModel } from '../lib/loadModel.ts';
import { namedWeights } from '../lib/plan/weights.ts';
import { type Drawn, flag, printable, size } from '../lib/verify/inputs/drawn.ts';
import { MIXERS, randomWeights } from '../lib/verify/randomModel.ts';
import type { AttentionConfig, LayerConfig, ModelConfig } from '../reference/config.ts';
import type { RopeScaling } from '../reference/rope.ts';
import type { Tensor, Vector } from '../reference/tensor.ts';

const eps = fc.constantFrom(1e-5, 1e-6, 0.001, 3.0517578125e-5);
const scaling: fc.Arbitrary<RopeScaling | undefined> = fc.constantFrom(
  undefined,
  { kind: 'linear', factor: 2.5 },
  {
    ...{ kind: 'llama3', factor: 32, lowFreqFactor: 1, highFreqFactor: 4 },
    originalContext: 8192,
  },
);

/** Everything around the layers. */
const shell = fc.record({
  vocabSize: size(19, 2),
  dModel: size(6, 1),
  isTied: flag,
  eps,
  nLayers: size(4),
  seed: fc.nat(0x7fffffff),
  bosToken: fc.option(fc.constant(1), { nil: undefined }),
  eosTokens: fc.constantFrom([], [0], [1, 0]),
});

const llamaLayer: fc.Arbitrary<LayerConfig> = fc
  .record({
    ...{ nKvHeads: size(2), perKvHead: size(3), nPairs: size(2), scaling, dHidden: size(5), eps },
    theta: fc.constantFrom(10_000, 500_000.5),
    hasBias: flag,
    hasMlpBias: flag,
  })
  .map(({ nKvHeads, perKvHead, nPairs, theta, hasBias, eps, ...d }) => {
    const rope = { rotaryDim: 2 * nPairs, theta, pairing: 'half' } as const;
    const mixer: AttentionConfig = {
      ...{ kind: 'attention', nHeads: nKvHeads * perKvHead, nKvHeads, headDim: 2 * nPairs },
      rope: d.scaling ? { ...rope, scaling: d.scaling } : rope,
      ...{ hasQkvBias: hasBias, hasOutBias: hasBias },
    };
    const mlp = { kind: 'swiglu', dHidden: d.dHidden, hasBias: d.hasMlpBias } as const;
    return { norm: { kind: 'rms', eps }, mixer, mlp };
  });

type Shell = typeof shell extends fc.Arbitrary<infer T> ? T : never;

/** A model of layers, with weights and tokens. */
function modelOf(
  { vocabSize, dModel, isTied, eps, seed, bosToken, eosTokens }: Shell,
  layers: LayerConfig[],
  more: Partial<ModelConfig> = {},
): Drawn<ModelToWrite> {
  const config: ModelConfig = {
    ...{ vocabSize, vocabRows: vocabSize, dModel, layers, isTied, hasHeadBias: false },
    finalNorm: { kind: 'rms', eps },
    ...more,
  };
  const weights = randomWeights(config, seed);
  layers.forEach(({ mixer }, i) => {
    const bias = weights.get(`layers.${i}.mixer.inProjBias`);
    if (mixer.kind !== 'mambaInLlama' || !bias) return;
    // of z and x alone there are biases
    const { dInner, dXb, hasXBias, hasZBias } = mixer;
    if (!hasZBias) bias.data.fill(0, 0, dInner);
    bias.data.fill(0, dInner + (hasXBias ? dXb : 0));
  });
  const embedding = weights.get('embedding') as Tensor;
  embedding.data.set([-0, 1e-45], 0); // the smallest of all, and a sign without a number
  return printable({ seed, config }, { config, weights, bosToken, eosTokens });
}

const llama = fc.tuple(shell, llamaLayer, size(99)).map(([around, layer, contextLength]) => {
  const same = { ...layer, norm: { kind: 'rms', eps: around.eps } as const };
  return modelOf(around, Array(around.nLayers).fill(same), { contextLength });
});

const llamba = fc
  .tuple(shell, MIXERS.discreteMamba2, size(5), flag, size(3, 0), flag)
  .filter(([{ dModel }, { nHeads, headDim }]) => {
    const dInner = nHeads * headDim;
    return (dInner / dModel) * dModel === dInner; // the layout has a ratio
  })
  .map(([around, mixer, dHidden, hasMlpBias, padding, hasHeadBias]) => {
    const layer: LayerConfig = {
      norm: { kind: 'rms', eps: 1e-5 },
      mixer,
      mlp: { kind: 'swiglu', dHidden, hasBias: hasMlpBias },
    };
    return modelOf(around, Array(around.nLayers).fill(layer), {
      vocabRows: around.vocabSize + padding,
      hasHeadBias: hasHeadBias && !around.isTied,
    });
  });

const inLlama = (kind: 'mambaInLlama' | 'mambaInLlama2') =>
  fc
    .tuple(shell, MIXERS[kind], llamaLayer, size(5), eps, fc.nat(15), size(99))
    .map(([around, mixer, llamaLike, dHidden, mambaEps, bits, contextLength]) => {
      const attention = { ...llamaLike, norm: { kind: 'rms', eps: around.eps } as const };
      const isKept = (i: number) => i > 0 && ((bits >> i) & 1) === 1;
      const mamba: LayerConfig = {
        norm: { kind: 'rms', eps: mambaEps },
        mixer:
          mixer.kind === 'mambaInLlama2' && mixer.gatedNorm
            ? { ...mixer, gatedNorm: { ...mixer.gatedNorm, groupSize: mixer.headDim } }
            : mixer,
        mlp: { kind: 'swiglu', dHidden, hasBias: false },
      };
      const layers = Array.from({ length: around.nLayers }, (_, i) =>
        isKept(i) ? attention : mamba,
      );
      return modelOf(around, layers, layers.some((_, i) => isKept(i)) ? { contextLength } : {});
    });

/** By the names under which the loader knows them. */
export const FAMILIES: Record<string, fc.Arbitrary<Drawn<ModelToWrite>>> = {
  llama,
  llamba,
  mambainllama: inLlama('mambaInLlama'),
  mambainllama2: inLlama('mambaInLlama2'),
};

const bitsOf = (data: Vector) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

/** Fails unless a loaded model is the one that was written in F32: its config, its tokens, its bits. */
export function expectSameModel(got: LoadedModel, wanted: ModelToWrite) {
  expect(got.config).toEqual(wanted.config);
  const weights = namedWeights(got.model);
  expect(got.eosTokens).toEqual(wanted.eosTokens ?? []);
  expect(got.bosToken).toBe(wanted.bosToken);
  for (const [name, { data, shape }] of weights) {
    const want = wanted.weights.get(name) as Tensor;
    expect(shape, name).toEqual(want.shape);
    expect(Buffer.compare(bitsOf(data), bitsOf(Float32Array.from(want.data))), name).toBe(0);
  }
}
