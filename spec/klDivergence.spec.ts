/** The divergence of a student from its teacher: values, gradients, masks, and what NaN and −∞ do. */

import { describe, expect, it } from 'vitest';
import type { Draws } from '../fixtures/arbitraries.ts';
import { ConfigError, ShapeError } from '../reference/errors.ts';
import { type KlDivergenceInput, klDivergence } from '../reference/losses.ts';
import { type Tensor, tensor, toPrecision } from '../reference/tensor.ts';
import { type Named, wrongGradients } from './differences.ts';
import { forAll, logits, NOISE, row, UNIT, withRow, zerosOf } from './lossInputs.ts';
import { RUNS } from './support.ts';

/** The number of sequences divides less than the number of places does: at most 3 places are in one. */
const LARGEST_SHARE = 3;

type Direction = KlDivergenceInput['direction'];
const DIRECTIONS: Direction[] = ['forward', 'reverse', 'soft'];

/** Two sets of logits and a mask that counts one place at least. */
function klInput(draws: Draws, direction: Direction): KlDivergenceInput {
  const [batch, seqlen, vocabSize] = [1 + draws.below(2), 1 + draws.below(3), 1 + draws.below(6)];
  const mask = Array.from({ length: batch * seqlen }, () => draws.below(3) > 0);
  mask[draws.below(mask.length)] = true;
  return {
    logits: logits(draws, batch, seqlen, vocabSize),
    teacherLogits: logits(draws, batch, seqlen, vocabSize),
    ...(draws.below(2) === 0 && { mask }),
    direction,
    ...(draws.below(2) === 0 && { temperature: draws.between(0.5, 3) }),
    ...(draws.below(2) === 0 && { teacherTemperature: draws.between(0.5, 3) }),
    reduction: draws.below(2) === 0 ? 'tokens' : 'batch',
  };
}

describe.each(DIRECTIONS)('klDivergence %s', (direction) => {
  it('has the gradient of central differences', () => {
    forAll(RUNS, (draws) => {
      const input = klInput(draws, direction);
      const f = (at: Named) => klDivergence({ ...input, ...at }).loss;
      const { gradient } = klDivergence(input);
      const noise = NOISE * LARGEST_SHARE;
      expect(wrongGradients(f, { ...input }, { logits: gradient }, noise)).toEqual([]);
    });
  });

  it('is Σ of its definition over the places that count, in probabilities', () => {
    forAll(RUNS, (draws) => {
      const input = klInput(draws, direction);
      const { temperature = 1, teacherTemperature = temperature, mask } = input;
      const p = (t: Tensor, i: number, heat: number) => {
        const e = row(t, i).map((x) => Math.exp(x / heat));
        return e.map((x) => x / e.reduce((a, b) => a + b));
      };
      const [batch, seqlen] = input.logits.shape;
      let [sum, counted] = [0, 0];
      for (let i = 0; i < batch * seqlen; i++) {
        if (mask && !mask[i]) continue;
        counted++;
        const student = p(input.logits, i, temperature);
        const teacher = p(input.teacherLogits, i, teacherTemperature);
        student.forEach((s, v) => {
          const t = teacher[v];
          if (direction === 'forward') sum += t * Math.log(t / s);
          if (direction === 'reverse') sum += s * Math.log(s / t);
          if (direction === 'soft') sum -= t * Math.log(s);
        });
      }
      const want = sum / (input.reduction === 'batch' ? batch : counted);
      const off = Math.abs(klDivergence(input).loss - want);
      expect(off).toBeLessThanOrEqual(2 * NOISE * LARGEST_SHARE);
    });
  });

  it('is minimal where the student equals its teacher, with a gradient of exactly zero', () => {
    forAll(RUNS, (draws) => {
      const input = { ...klInput(draws, direction), teacherTemperature: undefined };
      const equal = klDivergence({ ...input, logits: input.teacherLogits });
      expect(Array.from(equal.gradient.data, (d) => d + 0)).toEqual(zerosOf(input.logits));
      if (direction !== 'soft') expect(equal.loss).toBe(0);
      const slack = 2 * NOISE * LARGEST_SHARE;
      expect(klDivergence(input).loss).toBeGreaterThanOrEqual(equal.loss - slack);
    });
  });

  it('does not read masked places, whose gradient is exactly zero, and shows NaN in all others', () => {
    forAll(RUNS, (draws) => {
      const input = klInput(draws, direction);
      const [batch, seqlen] = input.logits.shape;
      const want = klDivergence(input);
      for (let i = 0; i < batch * seqlen; i++) {
        for (const name of ['logits', 'teacherLogits'] as const) {
          const got = klDivergence({ ...input, [name]: withRow(input[name], i, Number.NaN) });
          if (input.mask && !input.mask[i]) {
            expect(got).toEqual(want);
            expect(row(got.gradient, i).filter((d) => !Object.is(d, 0))).toEqual([]);
          } else {
            expect(got.loss).toBeNaN();
            expect(row(got.gradient, i).every(Number.isNaN)).toBe(true);
          }
        }
      }
    });
  });

  it('shows a single NaN beside logits that exclude their tokens', () => {
    const some = tensor([1, 1, 3], [Number.NEGATIVE_INFINITY, Number.NaN, 1]);
    const others = tensor([1, 1, 3], [Number.NEGATIVE_INFINITY, 1000, 1]);
    for (const [student, teacher] of [
      [some, others],
      [others, some],
    ]) {
      const got = klDivergence({ logits: student, teacherLogits: teacher, direction });
      expect(got.loss).toBeNaN();
      expect(got.gradient.data.every(Number.isNaN)).toBe(true);
    }
  });
});

describe('klDivergence', () => {
  const NEVER = Number.NEGATIVE_INFINITY;
  const at = (...x: number[]) => tensor([1, 1, x.length], x);

  it('of ¼, ¾ from ½, ½ is what paper and pencil say', () => {
    const [student, teacher] = [at(0, Math.log(3)), at(5, 5)];
    const input = { logits: student, teacherLogits: teacher };
    const forward = 0.5 * Math.log(2) + 0.5 * Math.log(2 / 3);
    const reverse = 0.25 * Math.log(0.5) + 0.75 * Math.log(1.5);
    expect(klDivergence({ ...input, direction: 'forward' }).loss).toBeCloseTo(forward, 14);
    expect(klDivergence({ ...input, direction: 'reverse' }).loss).toBeCloseTo(reverse, 14);
    const soft = klDivergence({ ...input, direction: 'soft' }).loss;
    expect(soft).toBeCloseTo(forward + Math.log(2), 14);
  });

  it('does not mind a token that both exclude, and is infinite where only the wrong one does', () => {
    const [open, closed] = [at(1, 2, NEVER), at(2, 1, 0)];
    const loss = (student: Tensor, teacher: Tensor, direction: Direction) =>
      klDivergence({ logits: student, teacherLogits: teacher, direction }).loss;
    expect(loss(open, open, 'forward')).toBe(0);
    expect(loss(open, open, 'reverse')).toBe(0);
    expect(loss(closed, open, 'forward')).toBeLessThan(2);
    expect(loss(open, closed, 'reverse')).toBeLessThan(2);
    expect(loss(open, closed, 'forward')).toBe(Number.POSITIVE_INFINITY);
    expect(loss(closed, open, 'reverse')).toBe(Number.POSITIVE_INFINITY);
  });

  it('by batch, as MambaInLlama publishes it, is seqlen times that by tokens without a mask', () => {
    forAll(RUNS, (draws) => {
      const input = { ...klInput(draws, 'forward'), mask: undefined };
      const seqlen = input.logits.shape[1];
      const [tokens, batch] = (['tokens', 'batch'] as const).map(
        (reduction) => klDivergence({ ...input, reduction }).loss,
      );
      expect(Math.abs(batch - seqlen * tokens)).toBeLessThanOrEqual(8 * UNIT * batch);
    });
  });

  it('reads float32 logits as the numbers that they are', () => {
    forAll(RUNS / 5, (draws) => {
      const input = klInput(draws, 'reverse');
      const single = toPrecision(input.logits, 'float32'); // all drawn numbers are float32
      const teacherLogits = toPrecision(input.teacherLogits, 'float32');
      expect(klDivergence({ ...input, logits: single, teacherLogits })).toEqual(
        klDivergence(input),
      );
    });
  });

  it('refuses bad choices, temperatures, masks and nothing to count', () => {
    const input = { logits: at(1, 2), teacherLogits: at(1, 2), direction: 'forward' } as const;
    for (const temperature of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => klDivergence({ ...input, temperature })).toThrow(ConfigError);
      expect(() => klDivergence({ ...input, teacherTemperature: temperature })).toThrow(
        /^klDivergence: teacherTemperature: expected a finite number > 0/,
      );
    }
    const direction = 'sideways' as 'soft';
    expect(() => klDivergence({ ...input, direction })).toThrow(/direction: .* got sideways/);
    expect(() => klDivergence({ ...input, reduction: 'sum' as 'batch' })).toThrow(/reduction/);
    expect(() => klDivergence({ ...input, mask: [true, true] })).toThrow(ShapeError);
    expect(() => klDivergence({ ...input, mask: [false] })).toThrow(/got none/);
    expect(() => klDivergence({ ...input, teacherLogits: at(1) })).toThrow(ShapeError);
  });
});
