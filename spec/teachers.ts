/** Small Transformers of the Llama family for fast-check: grouped queries, any even head width. */

import fc from 'fast-check';
import { flag, printable, size } from '../lib/verify/inputs/drawn.ts';
import { randomWeights } from '../lib/verify/randomModel.ts';
import type { AttentionConfig, ModelConfig } from '../reference/config.ts';
import type { Precision, Tensor } from '../reference/tensor.ts';

export interface Teacher {
  config: ModelConfig;
  weights: Map<string, Tensor>;
}

export interface TeacherSizes {
  nKvHeads: number;
  perKvHead: number;
  /** Half the width of a head. */
  nPairs: number;
  dModel: number;
  nLayers: number;
  isTied: boolean;
  seed: number;
}

/** A teacher by its sizes; every weight is a float32 number. */
export function teacherOf(
  { nKvHeads, perKvHead, nPairs, dModel, nLayers, isTied, seed }: TeacherSizes,
  precision: Precision = 'float64',
): Teacher {
  const norm = { kind: 'rms', eps: 1e-6 } as const;
  const mixer: AttentionConfig = {
    kind: 'attention',
    nHeads: nKvHeads * perKvHead,
    nKvHeads,
    headDim: 2 * nPairs,
    rope: { rotaryDim: 2 * nPairs, theta: 500_000, pairing: 'half' },
    hasQkvBias: false,
    hasOutBias: false,
  };
  const mlp = { kind: 'swiglu', dHidden: 5, hasBias: false } as const;
  const config: ModelConfig = {
    ...{ vocabSize: 11, vocabRows: 11, dModel, isTied, hasHeadBias: false, contextLength: 64 },
    layers: Array.from({ length: nLayers }, () => ({ norm, mixer, mlp })),
    finalNorm: norm,
  };
  return { config, weights: randomWeights(config, seed, precision) };
}

export const sizes: fc.Arbitrary<TeacherSizes> = fc.record({
  nKvHeads: size(3),
  perKvHead: size(3),
  nPairs: size(3),
  dModel: size(7, 2),
  nLayers: size(3),
  isTied: flag,
  seed: fc.nat(0x7fffffff),
});

/** A teacher, and some of its layers. */
export const teachers = fc
  .record({ dims: sizes, bits: fc.nat(7) })
  .map(({ dims, bits }) =>
    printable({ ...dims, bits }, { teacher: teacherOf(dims), kept: layersOf(dims, bits) }),
  );

function layersOf({ nLayers }: TeacherSizes, bits: number): number[] {
  return Array.from({ length: nLayers }, (_, i) => i).filter((i) => (bits >> i) & 1);
}
