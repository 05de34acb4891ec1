/** Random inputs of the recurrences, their steps and their other forms. */

import fc from 'fast-check';
import { discretise } from '../../../reference/ssdChunked.ts';
import type { Tensor } from '../../../reference/tensor.ts';
import { takeTokens } from '../tokens.ts';
import type { Draws } from '../values.ts';
import {
  drawn,
  flag,
  type InputOf,
  long,
  mapDrawn,
  moderate,
  sequence,
  size,
  withDim,
} from './drawn.ts';

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
  const steps = draws.tensorBetween(low, high, ...shape);
  // e^89 overflows in float32
  for (let i = 3; kind === 'extreme' && i < steps.data.length; i += 4) {
    steps.data[i] = Math.fround(85 + Math.abs(steps.data[i]) / 8);
  }
  return steps;
}

const ssmFlags = { hasBias: flag, hasD: flag, hasZ: flag, hasState: flag, extent };

export const selectiveScanInput = moderate(
  drawn(
    { ...sequence, nGroups: size(3), perGroup: size(3), dState: long(4, 20), ...ssmFlags },
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
  ),
  (d) => d.batch * d.seqlen * d.nGroups * d.perGroup * d.dState,
);

const headWork = (
  d: Record<'batch' | 'seqlen' | 'nGroups' | 'perGroup' | 'headDim' | 'dState', number>,
) => d.batch * d.seqlen * d.nGroups * d.perGroup * d.headDim * d.dState;

const limit = fc.option(fc.constantFrom<[number, number]>([0.05, 0.5], [0, 0.25]), {
  nil: undefined,
});

export const ssdInput = moderate(
  drawn(
    {
      ...sequence,
      nGroups: size(3),
      perGroup: size(2),
      headDim: long(3, 40),
      dState: long(4, 20),
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
  ),
  headWork,
);

export const discreteSsdInput = moderate(
  drawn(
    {
      ...sequence,
      nGroups: size(3),
      perGroup: size(2),
      headDim: long(3, 40),
      dState: long(4, 20),
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
  ),
  headWork,
);

export const causalConv1dInput = drawn(
  {
    ...sequence,
    channels: long(4, 20),
    dConv: size(5),
    hasBias: flag,
    hasState: flag,
    hasSilu: flag,
  },
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
    seqlen: long(20, 270),
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

const chunkLen = size(11);

const zeroState = (...shape: number[]): Tensor => ({
  data: new Float64Array(shape.reduce((product, n) => product * n, 1)),
  shape,
});

/** A sequence op's input with its first token alone: what the step takes, but for the state. */
const firstToken = <Input extends object>(input: Input) => takeTokens(input, 0, 1, 'step');

export const selectiveScanStepInput = mapDrawn(
  selectiveScanInput,
  (scan): InputOf<'selectiveScanStep'> => ({
    ...firstToken(scan),
    h: scan.h ?? zeroState(scan.x.shape[0], ...scan.A.shape),
  }),
);

export const ssdStepInput = mapDrawn(
  ssdInput,
  (scan): InputOf<'ssdStep'> => ({ ...firstToken(scan), h: scan.h ?? headState(scan) }),
);

export const discreteSsdStepInput = mapDrawn(
  discreteSsdInput,
  (scan): InputOf<'discreteSsdStep'> => ({ ...firstToken(scan), h: scan.h ?? headState(scan) }),
);

function headState({ x, B }: { x: Tensor; B: Tensor }): Tensor {
  const [batch, , nHeads, headDim] = x.shape;
  return zeroState(batch, nHeads, headDim, B.shape[3]);
}

export const selectiveScanChunkedInput = withDim(selectiveScanInput, 'chunkLen', chunkLen);
export const ssdChunkedInput = withDim(ssdInput, 'chunkLen', chunkLen);
export const discreteSsdChunkedInput = withDim(discreteSsdInput, 'chunkLen', chunkLen);

const method = fc.constantFrom('sequential', 'hillisSteele', 'blelloch', 'chunked' as const);
export const selectiveScanAssociativeInput = withDim(selectiveScanChunkedInput, 'method', method);
export const ssdAssociativeInput = withDim(ssdChunkedInput, 'method', method);

/** The matrix forms have one D per head, and no gate or state. */
const onePerHead = <Input extends { D?: Tensor }>({ D, ...rest }: Input) => ({
  ...rest,
  ...(D && D.shape[1] === 1 && { D }),
});
export const selectiveScanMatrixInput = mapDrawn(
  selectiveScanInput,
  ({ z: _z, h: _h, ...rest }) => rest,
);
export const ssdMatrixInput = mapDrawn(ssdInput, ({ z: _z, h: _h, ...rest }) => onePerHead(rest));
export const discreteSsdMatrixInput = mapDrawn(discreteSsdInput, ({ h: _h, ...rest }) => rest);

export const semiseparableMatrixInput = mapDrawn(
  ssdInput,
  (scan): InputOf<'semiseparableMatrix'> => discretise('semiseparableMatrixInput', scan),
);
export const semiseparableChunkedInput = withDim(semiseparableMatrixInput, 'chunkLen', chunkLen);

export const causalConv1dStepInput = mapDrawn(
  causalConv1dInput,
  (conv): InputOf<'causalConv1dStep'> => {
    const [batch, , channels] = conv.x.shape;
    const kept = conv.weight.shape[1] - 1;
    return {
      ...firstToken(conv),
      convState: conv.convState ?? zeroState(batch, channels, kept),
    };
  },
);
