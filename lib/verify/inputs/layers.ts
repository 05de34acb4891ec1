/** Random inputs of the ops around the recurrences, and of choosing tokens. */

import fc from 'fast-check';
import { ropeAngles, ropeFrequencies } from '../../../reference/rope.ts';
import type { Tensor } from '../../../reference/tensor.ts';
import { takeTokens } from '../tokens.ts';
import type { Draws, ValueFamily } from '../values.ts';
import {
  type Drawn,
  drawn,
  flag,
  type InputOf,
  long,
  mapDrawn,
  moderate,
  sequence,
  size,
} from './drawn.ts';

export const linearInput = drawn(
  { rows: long(4, 40), dIn: long(9, 150), dOut: long(5, 70), hasBias: flag },
  (d, draws): InputOf<'linear'> => ({
    x: draws.tensor(d.family, d.rows, d.dIn),
    weight: draws.tensor('usual', d.dOut, d.dIn),
    ...(d.hasBias && { bias: draws.tensor('usual', d.dOut) }),
  }),
);

export const embeddingInput = drawn(
  { rows: size(5), vocabSize: size(9), dModel: size(5) },
  (d, draws): InputOf<'embedding'> => ({
    tokens: Array.from({ length: d.rows }, () => draws.below(d.vocabSize)),
    weight: draws.tensor(d.family, d.vocabSize, d.dModel),
  }),
);

const eps = fc.constantFrom(1e-5, 1e-6, 1e-2);
const normDims = {
  rows: size(4),
  width: long(9, 300),
  hasBias: flag,
  eps,
  offset: fc.constantFrom(0, 0, 100, 1000), // a mean beside which the variance is small
};

function drawOffset(draws: Draws, d: { family: ValueFamily; offset: number }, ...shape: number[]) {
  const t = draws.tensor(d.family, ...shape);
  return { ...t, data: t.data.map((x) => Math.fround(x + d.offset)) };
}

export const rmsNormInput = drawn(
  normDims,
  (d, draws): InputOf<'rmsNorm'> => ({
    x: drawOffset(draws, d, d.rows, d.width),
    weight: draws.tensor('usual', d.width),
    ...(d.hasBias && { bias: draws.tensor('usual', d.width) }),
    eps: d.eps,
  }),
);
export const layerNormInput = rmsNormInput as fc.Arbitrary<Drawn<InputOf<'layerNorm'>>>;

export const gatedRmsNormInput = drawn(
  {
    rows: size(4),
    nGroups: size(3),
    groupSize: long(4, 70),
    eps,
    hasBias: flag,
    hasZ: flag,
    normBeforeGate: flag,
    isGrouped: flag,
  },
  (d, draws): InputOf<'gatedRmsNorm'> => {
    const width = d.nGroups * d.groupSize;
    return {
      x: draws.tensor(d.family, d.rows, width),
      ...(d.hasZ && { z: draws.tensorBetween(-4, 4, d.rows, width) }),
      weight: draws.tensor('usual', width),
      ...(d.hasBias && { bias: draws.tensor('usual', width) }),
      eps: d.eps,
      ...(d.isGrouped && { groupSize: d.groupSize }),
      normBeforeGate: d.normBeforeGate,
    };
  },
);

const mlpDims = { rows: size(3), dModel: long(5, 40), dHidden: long(6, 70), hasBias: flag };

export const swigluMlpInput = drawn(mlpDims, (d, draws): InputOf<'swigluMlp'> => {
  const bias = (width: number) => (d.hasBias ? draws.tensor('usual', width) : undefined);
  return {
    x: draws.tensor(d.family, d.rows, d.dModel),
    gateWeight: draws.tensor('usual', d.dHidden, d.dModel),
    gateBias: bias(d.dHidden),
    upWeight: draws.tensor('usual', d.dHidden, d.dModel),
    upBias: bias(d.dHidden),
    downWeight: draws.tensor('usual', d.dModel, d.dHidden),
    downBias: bias(d.dModel),
  };
});

export const gatedMlpInput = drawn(mlpDims, (d, draws): InputOf<'gatedMlp'> => {
  const bias = (width: number) => (d.hasBias ? draws.tensor('usual', width) : undefined);
  return {
    x: draws.tensor(d.family, d.rows, d.dModel),
    fc1Weight: draws.tensor('usual', 2 * d.dHidden, d.dModel),
    fc1Bias: bias(2 * d.dHidden),
    fc2Weight: draws.tensor('usual', d.dModel, d.dHidden),
    fc2Bias: bias(d.dModel),
  };
});

export const ropeInput = drawn(
  {
    ...sequence,
    nHeads: size(3),
    nPairs: long(4, 40),
    pass: size(3, 0),
    from: size(5000, 0),
    pairing: fc.constantFrom('half', 'interleaved' as const),
  },
  (d, draws): InputOf<'rope'> => {
    const positions = Array.from({ length: d.seqlen }, (_, t) => d.from + t);
    return {
      x: draws.tensor(d.family, d.batch, d.seqlen, d.nHeads, 2 * d.nPairs + d.pass),
      angles: ropeAngles(positions, ropeFrequencies({ rotaryDim: 2 * d.nPairs, theta: 10000 })),
      pairing: d.pairing,
    };
  },
);

export const attentionInput = moderate(
  drawn(
    {
      ...sequence,
      seqlen: long(9, 70), // the work grows with its square
      nKvHeads: size(3),
      perKvHead: size(3),
      headDim: long(4, 40),
      earlier: fc.oneof(
        { arbitrary: size(4, 0), weight: 20 },
        { arbitrary: fc.integer({ min: 5, max: 150 }), weight: 1 },
      ),
      scale: fc.option(fc.constantFrom(1, 0.25), { nil: undefined }),
      reach: fc.constantFrom(2, 2, 200), // with 200, e^score overflows
      isCausal: flag,
    },
    (d, draws): InputOf<'attention'> => {
      const length = d.seqlen + d.earlier;
      return {
        q: draws.tensorBetween(
          -d.reach,
          d.reach,
          d.batch,
          d.seqlen,
          d.nKvHeads * d.perKvHead,
          d.headDim,
        ),
        keys: draws.tensor('usual', d.batch, length, d.nKvHeads, d.headDim),
        values: draws.tensor(d.family, d.batch, length, d.nKvHeads, d.headDim),
        isCausal: d.isCausal,
        ...(d.scale !== undefined && { scale: d.scale }),
        withWeights: true,
      };
    },
  ),
  (d) => d.batch * d.seqlen * (d.seqlen + d.earlier) * d.nKvHeads * d.perKvHead * d.headDim,
);

export const attentionStepInput = mapDrawn(
  attentionInput,
  ({ q, keys, values, scale }): InputOf<'attentionStep'> => ({
    q: takeTokens({ q }, 0, 1, 'step').q,
    keys,
    values,
    ...(scale !== undefined && { scale }),
    withWeights: true,
  }),
);

const pointwiseDims = { rows: size(3), width: long(7, 300), reach: fc.constantFrom(1, 30, 800) };
export const pointwiseInput = drawn(pointwiseDims, (d, draws): { x: Tensor } => ({
  x:
    d.family === 'usual'
      ? draws.tensorBetween(-d.reach, d.reach, d.rows, d.width)
      : draws.tensor(d.family, d.rows, d.width),
}));
