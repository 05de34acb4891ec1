/** Small models of the WASM specs, wide enough for 8-bit matrices. */

import { randomWeights } from '../lib/verify/randomModel.ts';
import type { LayerConfig, ModelConfig } from '../reference/config.ts';
import { createModel, type Model } from '../reference/model.ts';
import type { Tensor } from '../reference/tensor.ts';
import { SEED } from './support.ts';

export const norm = { kind: 'rms', eps: 1e-5 } as const;
export const mamba: LayerConfig = {
  norm,
  mixer: {
    ...{ kind: 'mamba', dInner: 64, dState: 4, dConv: 4, dtRank: 2 },
    ...{ hasBias: false, hasConvBias: true },
  },
};
const attention: LayerConfig = {
  norm,
  mixer: {
    ...{ kind: 'attention', nHeads: 2, nKvHeads: 1, headDim: 16 },
    ...{ rope: { rotaryDim: 16, theta: 10_000, pairing: 'half' }, hasQkvBias: false },
    hasOutBias: false,
  },
  mlp: { kind: 'swiglu', dHidden: 64, hasBias: false },
};

export function configOf(...layers: LayerConfig[]): ModelConfig {
  const rows = { vocabSize: 48, vocabRows: 48 };
  return { ...rows, dModel: 32, layers, finalNorm: norm, isTied: true, hasHeadBias: false };
}

export const HYBRID = configOf(mamba, attention, mamba);

export function modelWith(config: ModelConfig, change = (_: Map<string, Tensor>) => {}): Model {
  const weights = randomWeights(config, SEED, 'float32');
  change(weights);
  return createModel(config, weights, 'float32');
}

export const tokensFrom = (first: number, count: number) =>
  Array.from({ length: count }, (_, i) => (first * 7 + i * 11) % 48);
