/** Cross-entropy, the distance of hidden states, and which places count: see klDivergence.spec for the rest. */

import { describe, expect, it } from 'vitest';
import type { Draws } from '../fixtures/arbitraries.ts';
import { ConfigError, ShapeError } from '../reference/errors.ts';
import { labelMask, nextTargets } from '../reference/labels.ts';
import { crossEntropy, hiddenDistance } from '../reference/losses.ts';
import { tensor, toPrecision } from '../reference/tensor.ts';
import { type Named, wrongGradients } from './differences.ts';
import { forAll, logits, NOISE, row, UNIT, withRow, zerosOf } from './lossInputs.ts';
import { RUNS } from './support.ts';

function crossEntropyInput(draws: Draws) {
  const [rows, vocabSize] = [1 + draws.below(6), 1 + draws.below(6)];
  const targets = Array.from({ length: rows }, () => draws.below(vocabSize + 1) - 1);
  targets[draws.below(rows)] = 0;
  return { logits: logits(draws, rows, vocabSize), targets, ignored: -1 };
}

describe('crossEntropy', () => {
  it('has the gradient of central differences', () => {
    forAll(RUNS, (draws) => {
      const input = crossEntropyInput(draws);
      const f = (at: Named) => crossEntropy({ ...input, ...at }).loss;
      const { gradient } = crossEntropy(input);
      expect(wrongGradients(f, { ...input }, { logits: gradient }, NOISE)).toEqual([]);
    });
  });

  it('is ln of the vocabulary for equal logits, near zero for a sure and right prediction', () => {
    const equal = tensor([2, 4], [7, 7, 7, 7, -1, -1, -1, -1]);
    expect(crossEntropy({ logits: equal, targets: [0, 3] }).loss).toBeCloseTo(Math.log(4), 14);
    const sure = crossEntropy({ logits: tensor([1, 3], [0, 60, 0]), targets: [1] });
    expect(sure.loss).toBeLessThan(1e-25);
    expect(Math.max(...sure.gradient.data.map(Math.abs))).toBeLessThan(1e-25);
  });

  it('is the same for logits that are shifted together, however far', () => {
    const targets = [2];
    const { loss } = crossEntropy({ logits: tensor([1, 3], [1, 2, 3]), targets });
    expect(crossEntropy({ logits: tensor([1, 3], [1001, 1002, 1003]), targets }).loss).toBe(loss);
  });

  it('does not read ignored rows, whose gradient is exactly zero', () => {
    forAll(RUNS, (draws) => {
      const input = crossEntropyInput(draws);
      const ignored = input.targets.flatMap((target, r) => (target === -1 ? [r] : []));
      const want = crossEntropy(input);
      for (const r of ignored) {
        expect(row(want.gradient, r).filter((d) => !Object.is(d, 0))).toEqual([]);
        const poisoned = withRow(input.logits, r, Number.NaN);
        expect(crossEntropy({ ...input, logits: poisoned })).toEqual(want);
      }
    });
  });

  it('refuses targets that are no tokens, another number of them, and nothing to count', () => {
    const x = tensor([2, 3], [1, 2, 3, 4, 5, 6]);
    for (const target of [3, -1, 0.5, Number.NaN]) {
      expect(() => crossEntropy({ logits: x, targets: [0, target] })).toThrow(/ids in \[0, 3\) or/);
    }
    expect(() => crossEntropy({ logits: x, targets: [0] })).toThrow(ShapeError);
    expect(() => crossEntropy({ logits: x, targets: [-100, -100] })).toThrow(/got none/);
  });
});

describe('hiddenDistance', () => {
  const states = (draws: Draws) => {
    const shape = [1 + draws.below(4), 1 + draws.below(5)];
    const x = draws.tensorBetween(-2, 2, ...shape);
    // at least 1 apart, where the norm is smooth for the steps of the differences
    const target = { data: x.data.map((v) => v + draws.between(1, 2)), shape };
    return { x, target };
  };

  it('has the gradient of central differences', () => {
    forAll(RUNS, (draws) => {
      const input = states(draws);
      const f = (at: Named) => hiddenDistance({ ...input, ...at }).loss;
      const { gradient } = hiddenDistance(input);
      // at most 5 squares, a root, and the mean of at most 4 distances of at most √5·2: 14 roundings
      const noise = 14 * UNIT * 2 * Math.sqrt(5);
      expect(wrongGradients(f, input, { x: gradient }, noise)).toEqual([]);
    });
  });

  it('is the mean of the distances, not of their squares: distances 5 and 0 give 2½', () => {
    const x = tensor([2, 2], [3, 4, 1, 1]);
    const { loss, gradient } = hiddenDistance({ x, target: tensor([2, 2], [0, 0, 1, 1]) });
    expect(loss).toBe(2.5);
    expect(Array.from(gradient.data)).toEqual([0.3, 0.4, 0, 0]);
  });

  it('is exactly zero, and its gradient too, where the student equals its teacher', () => {
    forAll(RUNS, (draws) => {
      const { x } = states(draws);
      const { loss, gradient } = hiddenDistance({ x, target: x });
      expect([loss, ...gradient.data]).toEqual([0, ...zerosOf(x)]);
    });
  });

  it('shows NaN, and refuses other shapes and no rows', () => {
    const [x, target] = [tensor([2, 2], [1, Number.NaN, 1, 1]), tensor([2, 2], [0, 0, 0, 0])];
    const { loss, gradient } = hiddenDistance({ x, target });
    expect(loss).toBeNaN();
    expect(row(gradient, 0).every(Number.isNaN)).toBe(true);
    expect(row(gradient, 1).every(Number.isFinite)).toBe(true);
    expect(hiddenDistance({ x: target, target: x }).loss).toBeNaN();
    expect(() => hiddenDistance({ x, target: tensor([1, 2], [0, 0]) })).toThrow(ShapeError);
    const none = tensor([0, 2], []);
    expect(() => hiddenDistance({ x: none, target: none })).toThrow(/got none/);
  });
});

describe('labels', () => {
  // two sequences of a prompt, an answer and padding; 0 is ignored
  const labels = [0, 0, 5, 6, 0, 7, 8, 9];
  const input = { labels, seqlen: 4, ignored: 0 };

  it('the logits at t predict token t + 1, and nothing at the end of a sequence', () => {
    expect(nextTargets(input)).toEqual([0, 5, 6, 0, 7, 8, 9, 0]);
    expect(nextTargets({ labels: [1, 2, -100], seqlen: 3 })).toEqual([2, -100, -100]);
    expect(nextTargets({ labels: [], seqlen: 3 })).toEqual([]);
  });

  it('the corrected mask counts what predicts an answer token; the published one is a place late', () => {
    expect(labelMask(input)).toEqual([false, true, true, false, true, true, true, false]);
    const published = labelMask({ ...input, variant: 'published' });
    expect(published).toEqual([false, false, true, true, false, true, true, true]);
    expect(labelMask({ labels: [-100, 3], seqlen: 2 })).toEqual([true, false]);
  });

  it('the corrected mask counts the rows of the cross-entropy of the next tokens', () => {
    const targets = nextTargets(input);
    const { gradient } = crossEntropy({
      logits: tensor([8, 10], new Float64Array(80)),
      targets,
      ignored: 0,
    });
    const mask = Array.from(targets, (_, i) => row(gradient, i).some((d) => d !== 0));
    expect(labelMask(input)).toEqual(mask);
  });

  it('labels that are no whole sequences are refused', () => {
    expect(() => nextTargets({ labels, seqlen: 3 })).toThrow(ShapeError);
    expect(() => labelMask({ labels, seqlen: 0 })).toThrow(ConfigError);
    expect(() => labelMask({ labels, seqlen: 1.5 })).toThrow(/seqlen: expected a whole number/);
    const variant = 'shifted' as 'published';
    expect(() => labelMask({ ...input, variant })).toThrow(/variant: .* got shifted/);
  });
});

it('float32 logits and states are read as the numbers that they are', () => {
  forAll(RUNS / 5, (draws) => {
    const input = crossEntropyInput(draws);
    const single = toPrecision(input.logits, 'float32'); // all drawn numbers are float32
    expect(crossEntropy({ ...input, logits: single })).toEqual(crossEntropy(input));
    const target = { ...input.logits, data: input.logits.data.map((x) => 2 * x) };
    const distance = hiddenDistance({ x: single, target: toPrecision(target, 'float32') });
    expect(distance).toEqual(hiddenDistance({ x: input.logits, target }));
  });
});
