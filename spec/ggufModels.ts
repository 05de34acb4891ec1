/** Small models of every architecture of GGUF files, for several specs. */

import type {
  AttentionConfig,
  LayerConfig,
  Mamba2Config,
  MambaConfig,
  ModelConfig,
} from '../reference/config.ts';

export const norm = { kind: 'rms', eps: 1e-5 } as const;
const none = { hasQkvBias: false, hasOutBias: false };
export const rope = { rotaryDim: 8, theta: 10_000, pairing: 'half' } as const;
export const attention: AttentionConfig = {
  ...{ kind: 'attention', nHeads: 4, nKvHeads: 2, headDim: 8, ...none },
};
export const mamba: MambaConfig = {
  ...{ kind: 'mamba', dInner: 64, dState: 4, dConv: 4, dtRank: 3 },
  ...{ hasBias: false, hasConvBias: true },
};
export const mamba2: Mamba2Config = {
  ...{ kind: 'mamba2', dInner: 64, nHeads: 8, headDim: 8, nGroups: 2, dState: 4, dConv: 4 },
  gatedNorm: { eps: norm.eps, groupSize: 32, normBeforeGate: false },
  ...{ hasDPerChannel: false, hasBias: false, hasConvBias: true },
};
export const mlp = { kind: 'swiglu', dHidden: 64, hasBias: false } as const;

export function config(layers: readonly LayerConfig[], isTied = true): ModelConfig {
  const sizes = { vocabSize: 40, vocabRows: 40, dModel: 32 };
  return { ...sizes, layers, finalNorm: norm, isTied, hasHeadBias: false };
}

export const GGUF_MODELS: Record<string, ModelConfig> = {
  mamba: config([
    { norm, mixer: mamba },
    { norm, mixer: mamba },
  ]),
  mamba2: config([{ norm, mixer: mamba2 }], false),
  llama: config([{ norm, mixer: { ...attention, rope }, mlp }]),
  granitehybrid: config([
    { norm, mixer: mamba2, mlp },
    { norm, mixer: attention, mlp },
  ]),
};
