/** A small Llama to be trained here: its config by a few sizes, and weights to begin with. */

import type { LayerConfig, ModelConfig } from '../../reference/config.ts';
import { ConfigError } from '../../reference/errors.ts';
import { weightShapes } from '../../reference/model.ts';
import { uniform } from '../../reference/philox.ts';
import { sizeOf, type Tensor } from '../../reference/tensor.ts';

export interface TeacherSizes {
  readonly vocabSize: number;
  readonly dModel: number;
  readonly layers: number;
  readonly nHeads: number;
  /** Default nHeads. */
  readonly nKvHeads?: number;
  /** Of the MLPs. Default 8/3·dModel, rounded to a multiple of 8. */
  readonly dHidden?: number;
  /** Default 2,048. */
  readonly contextLength?: number;
}

/** Llama's layers, RMS norms and rotary positions; the embedding is the head as well. @throws ConfigError. */
export function teacherConfig(sizes: TeacherSizes): ModelConfig {
  const { vocabSize, dModel, layers, nHeads, nKvHeads = nHeads } = sizes;
  const { contextLength = 2048 } = sizes;
  const dHidden = sizes.dHidden ?? 8 * Math.round(dModel / 3);
  const whole = { vocabSize, dModel, layers, nHeads, nKvHeads, dHidden };
  for (const [name, n] of Object.entries(whole)) {
    if (!Number.isInteger(n) || n < 1) {
      throw new ConfigError(`${name}: expected a whole number ≥ 1, got ${n}`);
    }
  }
  const headDim = dModel / nHeads;
  if (!Number.isInteger(headDim) || headDim % 2 !== 0 || nHeads % nKvHeads !== 0) {
    throw new ConfigError(
      `dModel: expected an even number of channels for each of ${nHeads} heads shared by ${nKvHeads} key heads, got ${dModel}`,
    );
  }
  const norm = { kind: 'rms', eps: 1e-5 } as const;
  const layer: LayerConfig = {
    norm,
    mixer: {
      ...{ kind: 'attention' as const, nHeads, nKvHeads, headDim },
      rope: { rotaryDim: headDim, theta: 10_000, pairing: 'half' as const },
      ...{ hasQkvBias: false, hasOutBias: false },
    },
    mlp: { kind: 'swiglu', dHidden, hasBias: false },
  };
  return {
    ...{ vocabSize, vocabRows: vocabSize, dModel },
    layers: Array.from({ length: layers }, () => layer),
    ...{ finalNorm: norm, isTied: true, hasHeadBias: false, contextLength },
  };
}

/**
 * Weights to begin with: norms 1; the embedding uniform with deviation 0.02; matrices uniform in ±√(3/dIn), which keeps
 * a unit variance, and less by √(2·layers) where they write into the residual stream (as GPT-2's).
 */
export function initialWeights(config: ModelConfig, seed: number): Map<string, Tensor> {
  const intoStream = 1 / Math.sqrt(2 * config.layers.length);
  const weights = new Map<string, Tensor>();
  [...weightShapes(config)].forEach(([name, shape], index) => {
    const data = new Float32Array(sizeOf(shape));
    if (shape.length === 1) data.fill(1);
    else {
      const written = /\.(outProj|down)$/.test(name) ? intoStream : 1;
      const reach = name === 'embedding' ? 0.02 * Math.sqrt(3) : written * Math.sqrt(3 / shape[1]);
      for (let i = 0; i < data.length; i++) {
        const place = { seed, problem: index, sample: 0, position: i, purpose: 'weights' } as const;
        data[i] = reach * (2 * uniform(place) - 1);
      }
    }
    weights.set(name, { data, shape });
  });
  return weights;
}
