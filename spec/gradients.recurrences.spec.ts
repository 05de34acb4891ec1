/** The gradients of the recurrences, the convolution and the matrices. Golden cases are in golden.spec.ts. */

import { describe, expect, it } from 'vitest';
import { checkLaw } from '../lib/verify/check.ts';
import { exp } from '../reference/elementary.ts';
import { selectiveScanGradient, ssdGradient } from '../reference/gradients/index.ts';
import { sizeOf, type Tensor, tensor } from '../reference/tensor.ts';
import { moved, tensorsIn } from './differences.ts';
import { DIFFERENTIABLE, type Gradient } from './differentiableOps.ts';
import { adjointLaw, elementLaw, exactLaws } from './gradientLaws.ts';
import { expectLaw, RUNS, SEED } from './support.ts';

/** How long a mistake is looked for. */
const MISTAKEN = { runs: RUNS / 3, shrinkSteps: 0 };

describe.each(Object.values(DIFFERENTIABLE))('the gradient of $name', (op) => {
  const small = elementLaw(op);
  it(small.law, () => expectLaw(small, op.gradient, RUNS / 3));

  for (const law of [adjointLaw(op), ...exactLaws(op)]) {
    it(law.law, () => expectLaw(law, op.gradient, RUNS / 2));
  }

  it.each(op.variables)('is noticed where that of %s is off by 1e-4 of itself', async (name) => {
    const wrong: Gradient = (...given) => {
      const g = tensorsIn(op.gradient(...given));
      return g[name] ? moved(g, { [name]: g[name] }, 1e-4) : g;
    };
    const { ok } = await checkLaw(small, wrong, { ...MISTAKEN, seed: SEED });
    expect(ok).toBe(false);
  });

  if (!op.isRecurrence) return;
  it('is noticed where it forgets what the final state is for', async () => {
    const wrong: Gradient = (input, { y }, chunkLen) => op.gradient(input, { y }, chunkLen);
    expect((await checkLaw(small, wrong, { ...MISTAKEN, seed: SEED })).ok).toBe(false);
  });
});

describe('the step size', () => {
  const one = (value: number, ...shape: number[]) => tensor(shape, [value]);
  const scan = (raw: number) => ({
    x: one(1, 1, 1, 1),
    dtRaw: one(raw, 1, 1, 1),
    A: one(0, 1, 1),
    B: one(1, 1, 1, 1, 1),
    C: one(1, 1, 1, 1, 1),
  });
  // y = Δ·B·x·C = Δ, so that the gradient of dtRaw is softplus' itself
  it('has slope exactly 1 above 20, and σ(20) at 20', () => {
    const slope = (raw: number) => selectiveScanGradient(scan(raw), one(1, 1, 1, 1)).dtRaw.data[0];
    expect(slope(20.000001)).toBe(1);
    expect(slope(20)).toBe(1 / (1 + exp(-20)));
  });

  it('has slope 0 where dtLimit holds it, and its own on the ends and between', () => {
    const slope = (raw: number) =>
      ssdGradient(
        {
          ...scan(raw),
          x: one(1, 1, 1, 1, 1),
          A: one(0, 1),
          dtSoftplus: false,
          dtLimit: [0.25, 0.5],
        },
        one(1, 1, 1, 1, 1),
      ).dtRaw.data[0];
    expect([0.2, 0.25, 0.3, 0.5, 0.6].map(slope)).toEqual([0, 1, 1, 1, 0]);
  });
});

describe('what does not fit', () => {
  const zeros = (...shape: number[]) => tensor(shape, new Float64Array(sizeOf(shape)));
  const input = {
    x: zeros(1, 2, 3),
    dtRaw: zeros(1, 2, 3),
    A: zeros(3, 4),
    B: zeros(1, 2, 1, 4),
    C: zeros(1, 2, 1, 4),
  };
  it('is refused by name', () => {
    const gradient = (dy: Tensor, dh?: Tensor, chunkLen?: number) => () =>
      selectiveScanGradient(input, dy, { dh, chunkLen });
    expect(gradient(zeros(1, 2, 2))).toThrow(/^selectiveScanGradient: dy: expected shape/);
    expect(gradient(input.x, zeros(1, 4, 3))).toThrow(/^selectiveScanGradient: dh: expected shape/);
    expect(gradient(input.x, undefined, 0)).toThrow(/^selectiveScanGradient: chunkLen: expected a/);
  });
});
