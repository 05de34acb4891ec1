/** Attention, positions and matrices of mixers that train on WASM: forward and backward against Float64. */

import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Differentiable, Numbers } from '../backends/training.ts';
import { own } from '../backends/wasm/training/device.ts';
import { exactly } from '../lib/verify/approx.ts';
import { ConfigError, ShapeError } from '../reference/errors.ts';
import type { Tensor } from '../reference/tensor.ts';
import { RUNS, SEED } from './support.ts';
import {
  attentionCase,
  attentionMatrixCase,
  CASES,
  type Case,
  calc,
  mixerMatrixCase,
  Sizes,
} from './trainingAttentionCases.ts';
import {
  BUILDS,
  closeTeams,
  expectSameBits,
  expectWithin,
  read,
  startTeams,
  type Team,
  Watched,
} from './trainingTeams.ts';

type Op = keyof typeof CASES;
type AnyOp = Differentiable<Record<string, unknown>, string>;

/** y, and what the wanted gradients are after something was added to what they held. */
function runCase({ memory, ops }: Team, op: Op, drawn: Case, wanted: Record<string, Tensor>) {
  const watched = new Watched(memory);
  const input = watched.placeAll(drawn.input);
  const dy = watched.place(drawn.dy);
  const grads = watched.placeAll(wanted, false) as Record<string, Numbers>;
  const { forward, backward } = ops[op] as unknown as AnyOp;
  const output = forward(input);
  watched.watch(own(output.y));
  backward(input, output, dy, grads);
  const made = read(memory, { y: output.y, ...grads });
  watched.expectUntouched();
  memory.reset();
  return made;
}

/** Gradients that are wanted, with what they hold before. */
function wantedOf({ gradients, input }: Case, sizes: Sizes, isWanted = () => true) {
  const names = Object.keys(gradients).filter(isWanted);
  return Object.fromEntries(
    names.map((name) => [name, sizes.draws.tensor('usual', ...(input[name] as Tensor).shape)]),
  );
}

describe.each(BUILDS)('%s SIMD', (simd) => {
  let teams: Team[];
  beforeAll(async () => {
    teams = await startTeams(simd);
  });
  afterAll(() => closeTeams(teams));

  function expectCase(op: Op, drawn: Case, wanted: Record<string, Tensor>): void {
    const made = teams.map((team) => runCase(team, op, drawn, wanted));
    expectSameBits(made);
    const [one] = made;
    expectWithin(one.y, drawn.y, 'y');
    for (const [name, { data }] of Object.entries(wanted)) {
      const { values, terms } = drawn.gradients[name];
      const sums = terms.map((some, i) => ({
        value: data[i] + values[i],
        error: calc.sum([exactly(data[i]), ...some]).error,
      }));
      expectWithin(one[name], sums, `gradient of ${name}`);
    }
  }

  it.each(Object.keys(CASES) as Op[])('%s is what its equations say, backward too', (op) => {
    const property = fc.property(fc.nat(0x7fffffff), (seed) => {
      const sizes = new Sizes(seed);
      const drawn = CASES[op](sizes);
      expectCase(op, drawn, wantedOf(drawn, sizes, sizes.isSo() ? undefined : () => sizes.isSo()));
    });
    fc.assert(property, { seed: SEED, numRuns: Math.ceil(RUNS / 5) });
  });

  it('attention and matrices are so for one token, and for whole blocks of them', () => {
    for (const seqlen of [1, 32, 64]) {
      const sizes = new Sizes(seqlen);
      const attended = attentionCase(sizes, 1, seqlen, 8, 1, 2);
      expectCase('attention', attended, wantedOf(attended, sizes));
      const mixed = mixerMatrixCase(sizes, 1, seqlen, 8, 1, 1);
      expectCase('mixerMatrix', mixed, wantedOf(mixed, sizes));
    }
  });

  it('attentionMatrix is what its equation says', () => {
    const property = fc.property(fc.nat(0x7fffffff), (seed) => {
      const drawn = attentionMatrixCase(new Sizes(seed));
      const all = teams.map(({ memory, ops }) => {
        const watched = new Watched(memory);
        const input = watched.placeAll(drawn.input) as never;
        const y = ops.attentionMatrix(input);
        const made = read(memory, { y });
        watched.watch(own(y));
        watched.expectUntouched();
        memory.reset();
        return made;
      });
      expectSameBits(all);
      expectWithin(all[0].y, drawn.y, 'y');
    });
    fc.assert(property, { seed: SEED, numRuns: Math.ceil(RUNS / 10) });
  });

  it('a token knows nothing of later ones: not a bit of them', () => {
    const seqlen = 45;
    const drawn = attentionCase(new Sizes(9), 1, seqlen, 8, 1, 2);
    const changed = structuredClone(drawn);
    for (const name of ['q', 'k', 'v']) (changed.input[name] as Tensor).data.fill(3, -8);
    const [y, other] = [drawn, changed].map((one) => runCase(teams[1], 'attention', one, {}).y);
    const [q] = [drawn.input.q as Tensor];
    expect(other.slice(0, -q.shape[1])).toEqual(y.slice(0, -q.shape[1]));
    expect(other).not.toEqual(y);
  });

  it('NaN in a query, key or value is NaN wherever it is read', () => {
    for (const name of ['q', 'k', 'v']) {
      const drawn = attentionCase(new Sizes(3), 1, 20, 8, 1, 1);
      (drawn.input[name] as Tensor).data[8 * 5 + 3] = Number.NaN;
      const { y } = runCase(teams[0], 'attention', drawn, {});
      const last = name === 'q' ? 6 : 20;
      for (let t = 5; t < last; t++) expect(y[8 * t + 3], `${name}, token ${t}`).toBeNaN();
    }
  });

  it('scores of any size have weights: those far below the largest have none', () => {
    const drawn = attentionCase(new Sizes(4), 1, 12, 4, 1, 1);
    const { data } = drawn.input.q as Tensor;
    for (let i = 0; i < data.length; i++) data[i] = 1e4;
    const made = runCase(teams[0], 'attention', drawn, wantedOf(drawn, new Sizes(5)));
    for (const values of Object.values(made)) {
      expect(Array.from(values).every(Number.isFinite)).toBe(true);
    }
  });
});

describe('what does not fit together is refused', () => {
  let teams: Team[];
  beforeAll(async () => {
    teams = await startTeams('plain', [1]);
  });
  afterAll(() => closeTeams(teams));
  const zeros = (...shape: number[]) => teams[0].memory.zeros(shape);

  it('heads that are no multiple of key/value heads', () => {
    const [q, k] = [zeros(4, 12), zeros(4, 8)];
    const input = { q, k, v: k, nHeads: 3, nKvHeads: 2, scale: 1, seqlen: 4 };
    expect(() => teams[0].ops.attention.forward(input)).toThrow(ConfigError);
  });

  it('sequences that are not whole', () => {
    const x = zeros(5, 4);
    const same = { nHeads: 1, nKvHeads: 1, scale: 1, seqlen: 4 };
    const { ops } = teams[0];
    expect(() => ops.attention.forward({ q: x, k: x, v: x, ...same })).toThrow(ShapeError);
    const angles = { headDim: 4, frequencies: new Float64Array(2), pairing: 'half' } as const;
    expect(() => ops.rope.forward({ x, ...angles, seqlen: 4 })).toThrow(ShapeError);
    const mixed = { a: zeros(5, 1), B: x, C: x, nHeads: 1, nGroups: 1, seqlen: 4 };
    expect(() => ops.mixerMatrix.forward(mixed)).toThrow(ShapeError);
  });

  it('values and gradients of other shapes', () => {
    const [q, k] = [zeros(4, 8), zeros(4, 4)];
    const input = { q, k, v: q, nHeads: 2, nKvHeads: 1, scale: 1, seqlen: 4 };
    const { attention } = teams[0].ops;
    expect(() => attention.forward(input)).toThrow(ShapeError);
    const right = { ...input, v: k };
    const output = attention.forward(right);
    expect(() => attention.backward(right, output, q, { k: q })).toThrow(ShapeError);
    expect(() => attention.backward(right, output, k, {})).toThrow(ShapeError);
  });
});
