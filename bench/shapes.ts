/** Shapes that benches run at: those of small published models, and large batches of them. */

import type { LayerConfig, MixerConfig, ModelConfig } from '../reference/config.ts';

/** Mamba-130M and Mamba-2-130M: dModel 768, expand 2. */
export const MAMBA_130M = {
  dInner: 1536,
  dState: 16,
  nHeads: 24,
  headDim: 64,
  dStateOfMamba2: 128,
};

export const BATCHES = [1, 8, 64];

/** The small models and the kernels in them: what a software GPU can run in a minute. */
export const SMALL = {
  dModel: 256,
  dInner: 512,
  dConv: 4,
  dState: 16,
  dtRank: 16,
  nHeads: 8,
  nKvHeads: 2,
  headDim: 64,
  dStateOfMamba2: 64,
  dHidden: 704,
  vocabSize: 2048,
  nLayers: 4,
} as const;

const norm = { kind: 'rms', eps: 1e-5 } as const;
const { dInner, dConv, dState, dtRank, nHeads, headDim, dHidden, vocabSize } = SMALL;

function stack(mixer: MixerConfig, rest: Pick<LayerConfig, 'mlp'> = {}): ModelConfig {
  return {
    vocabSize,
    vocabRows: vocabSize,
    dModel: SMALL.dModel,
    layers: Array.from({ length: SMALL.nLayers }, () => ({ norm, mixer, ...rest })),
    finalNorm: norm,
    isTied: true,
    hasHeadBias: false,
  };
}

/** One model of each family that decodes differently: 4 layers of dModel 256, vocabulary 2,048. */
export const SMALL_MODELS: Readonly<Record<string, ModelConfig>> = {
  mamba: stack({
    kind: 'mamba',
    dInner,
    dState,
    dConv,
    dtRank,
    hasBias: false,
    hasConvBias: true,
  }),
  mamba2: stack({
    kind: 'mamba2',
    dInner,
    nHeads,
    headDim,
    nGroups: 1,
    dState: SMALL.dStateOfMamba2,
    dConv,
    gatedNorm: { eps: 1e-5, groupSize: dInner, normBeforeGate: false },
    hasDPerChannel: false,
    hasBias: false,
    hasConvBias: true,
  }),
  transformer: stack(
    {
      kind: 'attention',
      nHeads: SMALL.dModel / headDim,
      nKvHeads: SMALL.nKvHeads,
      headDim,
      rope: { rotaryDim: headDim, theta: 10_000, pairing: 'half' },
      hasQkvBias: false,
      hasOutBias: false,
    },
    { mlp: { kind: 'swiglu', dHidden, hasBias: false } },
  ),
};
