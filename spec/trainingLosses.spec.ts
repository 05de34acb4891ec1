/**
 * Losses that train on WASM, and their gradients: values in Float64 from reference/losses.ts, bounds from the equations,
 * computed with numbers that know how wrong they may be.
 */

import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DifferentiableLoss, Numbers } from '../backends/training.ts';
import { type Approx, exactly } from '../lib/verify/approx.ts';
import { crossEntropy, klDivergence } from '../reference/losses.ts';
import type { Tensor } from '../reference/tensor.ts';
import { RUNS, SEED } from './support.ts';
import { calc, Sizes } from './trainingAttentionCases.ts';
import { CASES, type LossCase } from './trainingLossCases.ts';
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
type AnyLoss = DifferentiableLoss<Record<string, unknown>, string>;

const tensor = (data: ArrayLike<number>, ...shape: number[]): Tensor => ({
  data: Float64Array.from(data),
  shape,
});
const NAMES = {
  ...{ crossEntropy: 'logits', klDivergence: 'logits' },
  ...{ hiddenDistance: 'x', matrixDistance: 'x' },
} as const;

/** The loss, and what the gradient is after weight times its own was added to what it held. */
function runLoss(
  { memory, ops }: Team,
  op: Op,
  given: Record<string, unknown>,
  weight: number,
  before?: Tensor,
): Record<'loss' | 'gradient', Float32Array> {
  const watched = new Watched(memory);
  const input = watched.placeAll(given);
  const gradient = before && watched.place(before, false);
  const { forward, backward } = ops[op] as unknown as AnyLoss;
  const output = forward(input);
  backward(input, output, weight, gradient ? { [NAMES[op]]: gradient as Numbers } : {});
  const made = read(memory, { loss: output.loss, ...(gradient && { gradient }) });
  watched.expectUntouched();
  memory.reset();
  return made as ReturnType<typeof runLoss>;
}

describe.each(BUILDS)('%s SIMD', (simd) => {
  let teams: Team[];
  beforeAll(async () => {
    teams = await startTeams(simd);
  });
  afterAll(() => closeTeams(teams));

  function expectCase(op: Op, drawn: LossCase, sizes: Sizes): void {
    const weight = sizes.draws.between(-2, 2);
    const before = sizes.draws.tensor('usual', ...(drawn.input[NAMES[op]] as Tensor).shape);
    const made = teams.map((team) => runLoss(team, op, drawn.input, weight, before));
    expectSameBits(made);
    const [one] = made;
    expectWithin(one.loss, [drawn.loss], 'loss');
    const factor = calc.rounded(weight, 0);
    const sums = drawn.gradient.map((slope, i): Approx => {
      const was = exactly(before.data[i]);
      // rows that do not count are left as they are, to the bit
      return slope ? calc.add(was, calc.mul(factor, slope)) : was;
    });
    expectWithin(one.gradient, sums, 'gradient');
  }

  it.each(Object.keys(CASES) as Op[])('%s is what its equations say, backward too', (op) => {
    const property = fc.property(fc.nat(0x7fffffff), (seed) => {
      const sizes = new Sizes(seed);
      expectCase(op, CASES[op](sizes), sizes);
    });
    fc.assert(property, { seed: SEED, numRuns: Math.ceil(RUNS / 3) });
  });

  it.each([60, 61, 4096, 50_280])('losses of %d tokens are so too', (width) => {
    const sizes = new Sizes(width);
    expectCase('crossEntropy', CASES.crossEntropy(sizes, 1, width), sizes);
    for (let i = 0; i < 3; i++) {
      expectCase('klDivergence', CASES.klDivergence(sizes, 1, width, i), sizes);
    }
  });

  it('a student that is its teacher has no divergence and no gradient, to the bit', () => {
    const logits = new Sizes(1).draws.tensor('usual', 5, 203);
    const given = { logits, teacherLogits: logits, mask: new Float32Array(5).fill(1), divisor: 5 };
    const before = tensor(new Float64Array(logits.data.length), ...logits.shape);
    for (const direction of ['forward', 'reverse', 'soft'] as const) {
      const made = runLoss(teams[1], 'klDivergence', { ...given, direction }, 1, before);
      if (direction !== 'soft') expect(made.loss).toEqual(new Float32Array(1));
      expect(made.gradient.every((slope) => slope === 0)).toBe(true);
    }
    const same = { x: logits, target: logits };
    const hidden = runLoss(teams[1], 'hiddenDistance', { ...same, mask: given.mask }, 1, before);
    const matrices = runLoss(teams[1], 'matrixDistance', { ...same, seqlen: 5 }, 1, before);
    for (const { loss, gradient } of [hidden, matrices]) {
      expect(loss).toEqual(new Float32Array(1));
      expect(gradient).toEqual(new Float32Array(before.data.length));
    }
  });

  it('NaN makes a loss NaN, wherever it stands; in rows that do not count it is not read', () => {
    const width = 13;
    for (let place = 0; place < 2 * width; place++) {
      const [good, bad] = [0, 1].map(() => new Sizes(2).draws.tensor('usual', 2, width));
      bad.data[place] = Number.NaN;
      const row = Math.floor(place / width);
      for (const counts of [1, 0]) {
        const mask = Float32Array.from([1, 1]);
        mask[row] = counts;
        const targets = Int32Array.from(mask, (is) => (is ? 4 : -100));
        const check = (op: Op, input: Record<string, unknown>) => {
          const { loss } = runLoss(teams[0], op, input, 1);
          expect(Number.isNaN(loss[0]), `${op} ${place} ${counts}`).toBe(counts === 1);
        };
        check('crossEntropy', { logits: bad, targets });
        for (const direction of ['forward', 'reverse', 'soft']) {
          const others = { mask, direction, divisor: 2 };
          check('klDivergence', { logits: bad, teacherLogits: good, ...others });
          check('klDivergence', { logits: good, teacherLogits: bad, ...others });
        }
        check('hiddenDistance', { x: bad, target: good, mask });
        check('hiddenDistance', { x: good, target: bad, mask });
      }
    }
  });

  it('logits of −∞ are excluded: infinite where the other side has them, nothing where it has not', () => {
    const [out, all] = [
      tensor([1, -Infinity, 2, 0, -1], 1, 5),
      tensor([0.5, 1, -1, 0.25, 2], 1, 5),
    ];
    const rest = { mask: Float32Array.of(1), divisor: 1 };
    const losses = (logits: Tensor, teacherLogits: Tensor) =>
      (['forward', 'reverse', 'soft'] as const).map((direction) => {
        const given = { logits, teacherLogits, direction, ...rest };
        const { loss, gradient } = runLoss(teams[0], 'klDivergence', given, 1, all);
        const shaped = (t: Tensor) => ({ ...t, shape: [1, 1, 5] });
        const want = klDivergence({
          ...{ logits: shaped(logits), teacherLogits: shaped(teacherLogits), direction },
        });
        if (Number.isFinite(want.loss)) {
          const sums = Array.from(want.gradient.data, (slope, i) => ({
            ...{ value: all.data[i] + slope, error: 1e-5 },
          }));
          expectWithin(gradient, sums, direction);
          expectWithin(loss, [{ value: want.loss, error: 1e-5 }], direction);
        }
        return loss[0];
      });
    const [forward, , soft] = losses(out, all);
    expect([forward, soft]).toEqual([Infinity, Infinity]);
    expect(losses(all, out)[1]).toBe(Infinity);
    const given = { logits: out, targets: Int32Array.of(1) };
    expect(runLoss(teams[0], 'crossEntropy', given, 1).loss[0]).toBe(Infinity);
  });

  it('logits of any size have losses', () => {
    const data = [1e30, -1e30, 3e38, 0, 88, -3e38];
    const logits = tensor(data.map(Math.fround), 1, 6);
    for (let target = 0; target < 6; target++) {
      const given = { logits, targets: Int32Array.of(target) };
      const want = crossEntropy({ logits, targets: [target] });
      const { loss, gradient } = runLoss(teams[0], 'crossEntropy', given, 1, tensor(data, 1, 6));
      expect(loss[0]).toBe(Math.fround(want.loss));
      expect(gradient.every(Number.isFinite)).toBe(true);
    }
  });
});

describe('what makes no sense is refused', () => {
  let teams: Team[];
  beforeAll(async () => {
    teams = await startTeams('plain', [1]);
  });
  afterAll(() => closeTeams(teams));
  const refused = (op: Op, input: Record<string, unknown>, code: string) =>
    expect(() => runLoss(teams[0], op, input, 1)).toThrow(expect.objectContaining({ code }));
  const logits = tensor([1, 2, 3, 4, 5, 6], 2, 3);

  it('targets that are no tokens, or of another number', () => {
    for (const wrong of [3, -1, -101]) {
      refused('crossEntropy', { logits, targets: Int32Array.of(0, wrong) }, 'TokenRange');
    }
    refused('crossEntropy', { logits, targets: Int32Array.of(0) }, 'Shape');
  });

  it('nothing that counts', () => {
    refused('crossEntropy', { logits, targets: Int32Array.of(-100, -100) }, 'NothingCounted');
    const mask = new Float32Array(2);
    refused('hiddenDistance', { x: logits, target: logits, mask }, 'NothingCounted');
    const both = { logits, teacherLogits: logits, direction: 'soft', divisor: 1 };
    refused('klDivergence', { ...both, mask }, 'NothingCounted');
    refused('klDivergence', { ...both, mask: mask.fill(1), divisor: 0 }, 'Option');
  });

  it('a teacher of another shape, a matrix that is not whole', () => {
    const target = tensor([1, 2, 3], 1, 3);
    const mask = Float32Array.of(1, 1);
    refused('hiddenDistance', { x: logits, target, mask }, 'Shape');
    refused('matrixDistance', { x: logits, target: logits, seqlen: 3 }, 'Shape');
  });
});
