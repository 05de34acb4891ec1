/**
 * What a student computes at its beginning. Without decay, with steps that write each key as it is, a
 * convolution that passes tokens on, an open gate and D = 0, a converted layer is linear attention of the
 * teacher's queries, keys and values: y_t = W_O·Σ_{s≤t} (q_t·k_s)·v_s, no softmax, no positions.
 */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type InitOptions, initFromAttention } from '../lib/distil/initFromAttention.ts';
import { OPEN_GATE } from '../lib/distil/initialValues.ts';
import { expectClose } from '../lib/verify/compare.ts';
import { drawn, size } from '../lib/verify/inputs/drawn.ts';
import type { AttentionConfig, ModelConfig } from '../reference/config.ts';
import {
  type DiscreteMamba2Weights,
  discreteMamba2Mixer,
} from '../reference/discreteMamba2Mixer.ts';
import {
  type MambaInLlama2Weights,
  type MambaInLlamaWeights,
  mambaInLlama2Mixer,
  mambaInLlamaMixer,
} from '../reference/mambaInLlamaMixer.ts';
import { createModel } from '../reference/model.ts';
import { newState } from '../reference/state.ts';
import { type Tensor, tensor } from '../reference/tensor.ts';
import { SEED } from './support.ts';
import { type Teacher, teacherOf } from './teachers.ts';

const RUNS = { seed: SEED, numRuns: 60 };
/** softplus(ONE_STEP) = 1: ln(e − 1). */
const ONE_STEP = 0.541324854612918;

const cases = drawn(
  { nKvHeads: size(3), perKvHead: size(3), nPairs: size(3), dModel: size(7, 2), seqlen: size(7) },
  (dims, draws) => {
    const teacher = teacherOf({ ...dims, nLayers: 1, isTied: true, seed: draws.below(2 ** 31) });
    // channel 0 is 1 in every token, so that projections can make constants
    const u = draws.tensorBetween(-1, 1, dims.seqlen, dims.dModel);
    for (let t = 0; t < dims.seqlen; t++) u.data[t * dims.dModel] = 1;
    return { teacher, u };
  },
  ['usual'],
);

/** The attention of a teacher of one layer, as plain numbers. */
function projected({ config, weights }: Teacher, u: Tensor) {
  const mixer = config.layers[0].mixer as AttentionConfig;
  const { nHeads, nKvHeads, headDim } = mixer;
  const inProj = weights.get('layers.0.mixer.inProj') as Tensor;
  const outProj = weights.get('layers.0.mixer.outProj') as Tensor;
  const [seqlen, dModel] = u.shape;
  const all = Array.from({ length: seqlen }, (_, t) =>
    Array.from({ length: inProj.shape[0] }, (_, row) => {
      let sum = 0;
      for (let i = 0; i < dModel; i++)
        sum += inProj.data[row * dModel + i] * u.data[t * dModel + i];
      return sum;
    }),
  );
  const [q, kv] = [nHeads * headDim, nKvHeads * headDim];
  return {
    mixer,
    q: all.map((row) => row.slice(0, q)),
    k: all.map((row) => row.slice(q, q + kv)),
    v: all.map((row) => row.slice(q + kv)),
    outProj,
  };
}

type Rows = number[][];

/**
 * Linear attention of heads `width` wide, `perKey` of which share a key: its heads' outputs, one row a token.
 * With width = headDim these are the teacher's heads; MambaInLlama's Mamba-1 has heads dState wide.
 */
function linearAttention(q: Rows, k: Rows, v: Rows, width: number, perKey: number): Rows {
  return q.map((query, t) =>
    query.map((_, channel) => {
      const head = Math.floor(channel / width);
      const key = Math.floor(head / perKey);
      let sum = 0;
      for (let s = 0; s <= t; s++) {
        let score = 0;
        for (let n = 0; n < width; n++) score += query[head * width + n] * k[s][key * width + n];
        sum += score * v[s][key * width + (channel % width)];
      }
      return sum;
    }),
  );
}

const apply = (rows: Rows, f: (x: number) => number): Rows => rows.map((row) => row.map(f));
const silu = (x: number) => x / (1 + Math.exp(-x));

function out(rows: Rows, { data, shape: [dModel, width] }: Tensor): Tensor {
  const y = rows.flatMap((row) =>
    Array.from({ length: dModel }, (_, i) =>
      row.reduce((sum, x, j) => sum + data[i * width + j] * x, 0),
    ),
  );
  return tensor([rows.length, dModel], y);
}

/** The sum of the magnitudes of all products that a head's output is made of. */
function magnitudes({ q, k, v, mixer }: ReturnType<typeof projected>, width: number): Rows {
  const [a, b, c] = [q, k, v].map((rows) => apply(rows, Math.abs));
  return linearAttention(a, b, c, width, mixer.nHeads / mixer.nKvHeads);
}

/** 1e-12 of magnitudes: far above the rounding of a hundred operations, far below any of the products. */
function allowed(sums: Rows, outProj: Tensor) {
  const weights = { ...outProj, data: outProj.data.map(Math.abs) };
  return { perElement: out(sums, weights).data.map((x) => 1e-12 * x) };
}

/** What the rows of x, B and C are multiplied by. */
interface Signs {
  x?: number;
  B?: number;
  C?: number;
}

/** The mixer of a student's only layer, run on u with decay, steps, convolution, gate and D as the law has them. */
function runStudent(
  teacher: Teacher,
  u: Tensor,
  options: Pick<InitOptions, 'kind' | 'dState'>,
  signs: Signs = {},
  hasNorm = false,
): Tensor {
  const { config, weights } = initFromAttention(teacher, { ...options, seed: 1 });
  const { mixer } = config.layers[0];
  const weight = (name: string) => (weights.get(`layers.0.mixer.${name}`) as Tensor).data;
  const { dModel } = config;
  /** Rows that make a constant of the channel that is 1. */
  const setRows = (from: number, count: number, constant: number) => {
    weight('inProj').fill(0, from * dModel, (from + count) * dModel);
    for (let row = from; row < from + count; row++) weight('inProj')[row * dModel] = constant;
  };
  const scaleRows = (from: number, count: number, by = 1) => {
    for (let i = from * dModel; i < (from + count) * dModel; i++) weight('inProj')[i] *= by;
  };
  weight('D').fill(0);
  if (mixer.kind === 'discreteMamba2') {
    setRows(4 * mixer.nHeads * mixer.headDim, mixer.nHeads, Number.NEGATIVE_INFINITY);
    return run(config, weights, u);
  }
  if (mixer.kind !== 'mambaInLlama' && mixer.kind !== 'mambaInLlama2') throw new Error(mixer.kind);
  const isMamba1 = mixer.kind === 'mambaInLlama';
  const { dXb, dConv } = mixer;
  const dInner = isMamba1 ? mixer.dInner : mixer.nHeads * mixer.headDim;
  setRows(0, dInner, OPEN_GATE);
  scaleRows(dInner, dXb, signs.x);
  scaleRows(dInner + dXb, dXb, signs.B);
  scaleRows(dInner + 2 * dXb, dInner, signs.C);
  setRows(2 * dInner + 2 * dXb, isMamba1 ? mixer.dtRank : mixer.nHeads, 0);
  weight('dtBias').fill(isMamba1 ? ONE_STEP / 2 : ONE_STEP); // Mamba-1's code adds it twice
  weight('ALog').fill(Number.NEGATIVE_INFINITY);
  weight('convBias').fill(0);
  weight('convWeight').set(weight('convWeight').map((_, i) => (i % dConv === dConv - 1 ? 1 : 0)));
  const bare = isMamba1 || hasNorm ? mixer : { ...mixer, gatedNorm: undefined };
  return run({ ...config, layers: [{ ...config.layers[0], mixer: bare }] }, weights, u);
}

/** The first layer's mixer alone. Shape (seqlen, dModel). */
function run(config: ModelConfig, weights: ReadonlyMap<string, Tensor>, u: Tensor): Tensor {
  const model = createModel(config, weights);
  const [state] = newState(config).layers;
  const { mixer } = config.layers[0];
  const input = <W, C>(c: C) => ({
    u,
    weights: model.weights.layers[0].mixer as W,
    config: c,
    state,
  });
  switch (mixer.kind) {
    case 'discreteMamba2':
      return discreteMamba2Mixer(input<DiscreteMamba2Weights, typeof mixer>(mixer));
    case 'mambaInLlama':
      return mambaInLlamaMixer(input<MambaInLlamaWeights, typeof mixer>(mixer));
    case 'mambaInLlama2':
      return mambaInLlama2Mixer(input<MambaInLlama2Weights, typeof mixer>(mixer));
    default:
      throw new Error(mixer.kind);
  }
}

/** Σ s·y over signs s of the given parts: what is left of silu(x), as silu(x) − silu(−x) = x. */
function withoutSilu(parts: readonly (keyof Signs)[], y: (signs: Signs) => Tensor): Tensor {
  const [part, ...others] = parts;
  if (part === undefined) return y({});
  const [plus, minus] = [1, -1].map((sign) =>
    withoutSilu(others, (signs) => y({ ...signs, [part]: sign })),
  );
  return { ...plus, data: plus.data.map((value, i) => value - minus.data[i]) };
}

const check = (judge: (teacher: Teacher, u: Tensor) => void, runs = RUNS) =>
  fc.assert(
    fc.property(cases, ({ input: { teacher, u } }) => judge(teacher, u)),
    runs,
  );

describe('the initialised layer is linear attention of the teacher', () => {
  it('llamba, grouped queries as well', () => {
    check((teacher, u) => {
      const parts = projected(teacher, u);
      const { q, k, v, mixer, outProj } = parts;
      const want = linearAttention(q, k, v, mixer.headDim, mixer.nHeads / mixer.nKvHeads);
      const got = runStudent(teacher, u, { kind: 'llamba' });
      expectClose('y', got, out(want, outProj), allowed(magnitudes(parts, mixer.headDim), outProj));
    });
  });

  it('mambaInLlama2, grouped queries as well, with silu and the norm of heads taken off', () => {
    check((teacher, u) => {
      const parts = projected(teacher, u);
      const { q, k, v, mixer, outProj } = parts;
      const want = linearAttention(q, k, v, mixer.headDim, mixer.nHeads / mixer.nKvHeads);
      const got = withoutSilu(['x', 'B', 'C'], (signs) =>
        runStudent(teacher, u, { kind: 'mambaInLlama2' }, signs),
      );
      expectClose('y', got, out(want, outProj), allowed(magnitudes(parts, mixer.headDim), outProj));
    });
  });

  it('mambaInLlama2 as it is: of silu of the three, each head normalised', () => {
    check((teacher, u) => {
      const parts = projected(teacher, u);
      const { mixer, outProj } = parts;
      const { headDim } = mixer;
      const [q, k, v] = [parts.q, parts.k, parts.v].map((rows) => apply(rows, silu));
      const heads = linearAttention(q, k, v, headDim, mixer.nHeads / mixer.nKvHeads);
      const sumOfHead = (row: number[], channel: number, f: (x: number) => number) => {
        const first = channel - (channel % headDim);
        return row.slice(first, first + headDim).reduce((sum, x) => sum + f(x), 0);
      };
      const want = heads.map((row) =>
        row.map(
          (x, c) => x / Math.sqrt(sumOfHead(row, c, (other) => other * other) / headDim + 1e-5),
        ),
      );
      // x/√(x² + 1e-5) grows by at most 1/√1e-5 < 317 times its argument
      const sums = magnitudes(parts, headDim).map((row) =>
        row.map((_, c) => 1 + 317 * sumOfHead(row, c, (x) => x)),
      );
      const got = runStudent(teacher, u, { kind: 'mambaInLlama2' }, {}, true);
      expectClose('y', got, out(want, outProj), allowed(sums, outProj));
    });
  });

  it('mambaInLlama, by groups of dState channels, of silu of the values', () => {
    check((teacher, u) => {
      const parts = projected(teacher, u);
      const { q, k, mixer, outProj } = parts;
      for (const dState of [1, 2, mixer.headDim, mixer.nKvHeads * mixer.headDim]) {
        const repeats = mixer.nHeads / mixer.nKvHeads;
        const want = linearAttention(q, k, apply(parts.v, silu), dState, repeats);
        const got = runStudent(teacher, u, { kind: 'mambaInLlama', dState });
        expectClose('y', got, out(want, outProj), allowed(magnitudes(parts, dState), outProj));
      }
    });
  });

  it('mambaInLlama with states as wide as a head: of the teacher, silu taken off', () => {
    check((teacher, u) => {
      const parts = projected(teacher, u);
      const { q, k, v, mixer, outProj } = parts;
      const dState = mixer.headDim;
      const want = linearAttention(q, k, v, dState, mixer.nHeads / mixer.nKvHeads);
      const got = withoutSilu(['x'], (signs) =>
        runStudent(teacher, u, { kind: 'mambaInLlama', dState }, signs),
      );
      expectClose('y', got, out(want, outProj), allowed(magnitudes(parts, dState), outProj));
    });
  });

  it('mambaInLlama with 2 states is not that of heads 6 wide: the groups count', () => {
    const sizes = { nKvHeads: 2, perKvHead: 2, nPairs: 3, dModel: 5, nLayers: 1, isTied: true };
    const teacher = teacherOf({ ...sizes, seed: 4 });
    const u = tensor([2, 5], [1, 0.5, -0.25, 0.75, -1, 1, -0.5, 0.125, 0.5, 0.25]);
    const parts = projected(teacher, u);
    const { q, k, outProj } = parts;
    const ofHeads = linearAttention(q, k, apply(parts.v, silu), 6, 2);
    const got = runStudent(teacher, u, { kind: 'mambaInLlama', dState: 2 });
    expect(() => expectClose('y', got, out(ofHeads, outProj), { absolute: 0.01 })).toThrow(/^y/);
  });
});
