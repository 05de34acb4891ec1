/** Random inputs of every op for fast-check, with awkward sizes; they print as dimensions and a seed. */

import fc from 'fast-check';
import type { OpName, Ops } from '../../reference/ops.ts';
import { ropeAngles, ropeFrequencies } from '../../reference/rope.ts';
import type { Tensor } from '../../reference/tensor.ts';
import { Draws, VALUE_FAMILIES, type ValueFamily } from './values.ts';

export type InputOf<Name extends OpName> = Parameters<Ops[Name]>[0];

/** An op's input and the few numbers that it was made from. */
export interface Drawn<Input, Dims = Record<string, unknown>> {
  readonly dims: Dims & { readonly seed: number; readonly family: ValueFamily };
  readonly input: Input;
}

/** Makes an input from dimensions and a source of numbers; called again, it makes the same. */
function drawn<Dims extends object, Input>(
  dims: { [K in keyof Dims]: fc.Arbitrary<Dims[K]> },
  make: (dims: Dims & { family: ValueFamily }, draws: Draws) => Input,
  families: readonly ValueFamily[] = VALUE_FAMILIES,
): fc.Arbitrary<Drawn<Input, Dims>> {
  const all = {
    ...dims,
    family: fc.constantFrom(...families),
    seed: fc.nat(0x7fffffff),
  } as { [K in keyof Dims]: fc.Arbitrary<Dims[K]> } & {
    family: fc.Arbitrary<ValueFamily>;
    seed: fc.Arbitrary<number>;
  };
  return fc.record(all).map((values) => {
    const d = values as Dims & { seed: number; family: ValueFamily };
    const input = make(d, new Draws(d.seed));
    return { dims: d, input, [fc.toStringMethod]: () => JSON.stringify(d) };
  });
}

const size = (max: number, min = 1) => fc.integer({ min, max });
const flag = fc.boolean();

/** Dimensions that the inputs of all recurrences have. */
const sequence = { batch: size(3), seqlen: size(9) };

/** Step sizes and rates over the whole range that models and hostile weights reach. */
type Extent = 'usual' | 'slow' | 'fast' | 'extreme';
const extent = fc.constantFrom<Extent>('usual', 'usual', 'slow', 'fast', 'extreme');

function drawRates(draws: Draws, kind: Extent, ...shape: number[]): Tensor {
  const low = { usual: -16, slow: -1e-5, fast: -100, extreme: -1e30 }[kind];
  const high = { usual: -0.1, slow: -1e-8, fast: -10, extreme: -1e-8 }[kind];
  return draws.tensorBetween(low, high, ...shape);
}

function drawSteps(draws: Draws, kind: Extent, ...shape: number[]): Tensor {
  // before softplus: from e^-20 to 100
  const [low, high] = { usual: [-5, 2], slow: [-20, -15], fast: [2, 25], extreme: [-30, 100] }[
    kind
  ];
  return draws.tensorBetween(low, high, ...shape);
}

const ssmFlags = { hasBias: flag, hasD: flag, hasZ: flag, hasState: flag, extent };

export const selectiveScanInput = drawn(
  { ...sequence, nGroups: size(3), perGroup: size(3), dState: size(4), ...ssmFlags },
  (d, draws): InputOf<'selectiveScan'> => {
    const { batch, seqlen, nGroups, dState, family } = d;
    const dInner = nGroups * d.perGroup;
    return {
      x: draws.tensor(family, batch, seqlen, dInner),
      dtRaw: drawSteps(draws, d.extent, batch, seqlen, dInner),
      ...(d.hasBias && { dtBias: draws.tensorBetween(-1, 1, dInner) }),
      A: drawRates(draws, d.extent, dInner, dState),
      B: draws.tensor(family, batch, seqlen, nGroups, dState),
      C: draws.tensor('usual', batch, seqlen, nGroups, dState),
      ...(d.hasD && { D: draws.tensor('usual', dInner) }),
      ...(d.hasZ && { z: draws.tensorBetween(-4, 4, batch, seqlen, dInner) }),
      ...(d.hasState && { h: draws.tensor(family, batch, dInner, dState) }),
    };
  },
);

const limit = fc.option(fc.constantFrom<[number, number]>([0.05, 0.5], [0, 0.25]), {
  nil: undefined,
});

export const ssdInput = drawn(
  {
    ...sequence,
    nGroups: size(3),
    perGroup: size(2),
    headDim: size(3),
    dState: size(4),
    limit,
    hasDPerChannel: flag,
    ...ssmFlags,
  },
  (d, draws): InputOf<'ssd'> => {
    const { batch, seqlen, nGroups, headDim, dState, family } = d;
    const nHeads = nGroups * d.perGroup;
    return {
      x: draws.tensor(family, batch, seqlen, nHeads, headDim),
      dtRaw: drawSteps(draws, d.extent, batch, seqlen, nHeads),
      ...(d.hasBias && { dtBias: draws.tensorBetween(-1, 1, nHeads) }),
      ...(d.limit && { dtLimit: d.limit }),
      A: drawRates(draws, d.extent, nHeads),
      B: draws.tensor(family, batch, seqlen, nGroups, dState),
      C: draws.tensor('usual', batch, seqlen, nGroups, dState),
      ...(d.hasD && { D: draws.tensor('usual', nHeads, d.hasDPerChannel ? headDim : 1) }),
      ...(d.hasZ && { z: draws.tensorBetween(-4, 4, batch, seqlen, nHeads, headDim) }),
      ...(d.hasState && { h: draws.tensor(family, batch, nHeads, headDim, dState) }),
    };
  },
);

export const discreteSsdInput = drawn(
  {
    ...sequence,
    nGroups: size(3),
    perGroup: size(2),
    headDim: size(3),
    dState: size(4),
    hasD: flag,
    hasState: flag,
    reach: fc.constantFrom(4, 40, 800),
  },
  (d, draws): InputOf<'discreteSsd'> => {
    const { batch, seqlen, nGroups, headDim, dState, family, reach } = d;
    const nHeads = nGroups * d.perGroup;
    return {
      x: draws.tensor(family, batch, seqlen, nHeads, headDim),
      a: draws.tensorBetween(-reach, reach, batch, seqlen, nHeads),
      B: draws.tensor(family, batch, seqlen, nGroups, dState),
      C: draws.tensor('usual', batch, seqlen, nGroups, dState),
      ...(d.hasD && { D: draws.tensor('usual', nHeads, 1) }),
      ...(d.hasState && { h: draws.tensor(family, batch, nHeads, headDim, dState) }),
    };
  },
);

export const causalConv1dInput = drawn(
  { ...sequence, channels: size(4), dConv: size(5), hasBias: flag, hasState: flag, hasSilu: flag },
  (d, draws): InputOf<'causalConv1d'> => {
    const { batch, seqlen, channels, dConv, family } = d;
    return {
      x: draws.tensor(family, batch, seqlen, channels),
      weight: draws.tensor('usual', channels, dConv),
      ...(d.hasBias && { bias: draws.tensor('usual', channels) }),
      activation: d.hasSilu ? 'silu' : 'identity',
      ...(d.hasState && { convState: draws.tensor(family, batch, channels, dConv - 1) }),
    };
  },
);

export const associativeScanInput = drawn(
  {
    lanes: size(3),
    seqlen: size(20),
    chunkLen: size(7),
    method: fc.constantFrom('sequential', 'hillisSteele', 'blelloch', 'chunked' as const),
  },
  (d, draws): InputOf<'associativeScan'> => ({
    a:
      d.family === 'dyadic'
        ? powersOfHalf(draws, d.lanes, d.seqlen)
        : draws.tensorBetween(0, 1, d.lanes, d.seqlen),
    b: draws.tensor(d.family, d.lanes, d.seqlen),
    method: d.method,
    chunkLen: d.chunkLen,
  }),
);

/** Decays of 1, ½ and 0: products and sums with dyadic numbers stay exact in Float64. */
function powersOfHalf(draws: Draws, ...shape: number[]): Tensor {
  const t = draws.tensorBetween(0, 3, ...shape);
  return { data: t.data.map((x) => [1, 0.5, 0][Math.floor(x)] ?? 1), shape };
}

export const linearInput = drawn(
  { rows: size(4), dIn: size(9), dOut: size(5), hasBias: flag },
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

const normDims = {
  rows: size(4),
  width: size(9),
  hasBias: flag,
  eps: fc.constantFrom(1e-5, 1e-6, 1e-2),
};

export const rmsNormInput = drawn(
  normDims,
  (d, draws): InputOf<'rmsNorm'> => ({
    x: draws.tensor(d.family, d.rows, d.width),
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
    groupSize: size(4),
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
      eps: 1e-5,
      ...(d.isGrouped && { groupSize: d.groupSize }),
      normBeforeGate: d.normBeforeGate,
    };
  },
);

const mlpDims = { rows: size(3), dModel: size(5), dHidden: size(6), hasBias: flag };

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
    nPairs: size(4),
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

export const attentionInput = drawn(
  {
    ...sequence,
    nKvHeads: size(3),
    perKvHead: size(3),
    headDim: size(4),
    earlier: size(4, 0),
    isCausal: flag,
  },
  (d, draws): InputOf<'attention'> => {
    const length = d.seqlen + d.earlier;
    return {
      q: draws.tensor('usual', d.batch, d.seqlen, d.nKvHeads * d.perKvHead, d.headDim),
      keys: draws.tensor('usual', d.batch, length, d.nKvHeads, d.headDim),
      values: draws.tensor(d.family, d.batch, length, d.nKvHeads, d.headDim),
      isCausal: d.isCausal,
      withWeights: true,
    };
  },
);

/** Logits of a small vocabulary, often with ties. */
export const logitsInput = drawn(
  { rows: size(3), vocabSize: size(12), isTied: flag },
  (d, draws): { logits: Tensor } => {
    const logits = draws.tensorBetween(-6, 6, d.rows, d.vocabSize);
    return { logits: d.isTied ? { ...logits, data: logits.data.map(Math.round) } : logits };
  },
  ['usual'],
);
