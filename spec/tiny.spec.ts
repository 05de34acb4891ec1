import { describe, expect, it } from 'vitest';
import { selectiveScan } from '../reference/selectiveScan.ts';
import { selectiveScanStep } from '../reference/selectiveScanStep.ts';
import { tensor } from '../reference/tensor.ts';

/** The smallest case of the whole project: one channel, one state, numbers that one can follow by hand. */
describe('one channel with one state', () => {
  const A = tensor([1, 1], [-1]);
  const token = (x: number, dt: number, h: number) =>
    selectiveScanStep({
      x: tensor([1, 1], [x]),
      dtRaw: tensor([1, 1], [dt]),
      dtSoftplus: false,
      A,
      B: tensor([1, 1, 1], [2]),
      C: tensor([1, 1, 1], [3]),
      h: tensor([1, 1, 1], [h]),
    });

  it('halves its state when Δ·A is −ln 2, then writes Δ·B·x and reads C·h', () => {
    const { y, h } = token(5, Math.LN2, 8);
    expect(h.data[0]).toBeCloseTo(8 / 2 + Math.LN2 * 2 * 5, 12);
    expect(y.data[0]).toBeCloseTo(3 * h.data[0], 12);
  });

  it('keeps its state to the bit when Δ is 0, whatever comes in', () => {
    expect(token(1e300, 0, 0.1).h.data[0]).toBe(0.1);
  });

  it('forgets its state when Δ is large, and is then what was written', () => {
    expect(token(5, 1e6, 8).h.data[0]).toBe(1e6 * 2 * 5);
  });

  it('takes a sequence as it takes its tokens', () => {
    const first = token(1, 0.5, 0);
    const second = token(-2, 0.25, first.h.data[0]);
    const { y, h } = selectiveScan({
      x: tensor([1, 2, 1], [1, -2]),
      dtRaw: tensor([1, 2, 1], [0.5, 0.25]),
      dtSoftplus: false,
      A,
      B: tensor([1, 2, 1, 1], [2, 2]),
      C: tensor([1, 2, 1, 1], [3, 3]),
    });
    expect([...y.data]).toEqual([first.y.data[0], second.y.data[0]]);
    expect(h.data[0]).toBe(second.h.data[0]);
  });

  it('names both shapes when they do not fit', () => {
    const x = tensor([1, 1], [1]);
    const B = tensor([1, 1, 1], [1]);
    const h = tensor([1, 1, 2], [0, 0]);
    expect(() => selectiveScanStep({ x, dtRaw: x, A, B, C: B, h })).toThrow(
      'selectiveScanStep: h: expected shape (batch, dInner, dState) = [1, 1, 1], got [1, 1, 2]',
    );
  });
});
