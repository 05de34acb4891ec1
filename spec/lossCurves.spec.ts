/** Loss curves as figures. */

import { describe, expect, it } from 'vitest';
import { lossCurves } from '../lib/figures/index.ts';
import { corners, curve, parsed, texts } from './svg.ts';

describe('loss curves', () => {
  it('have a panel a stage with an axis of its own', async () => {
    const stages = { matrices: 4000, hidden: 2, sft: 0.001 };
    const curves = Object.entries(stages).map(
      ([stage, scale]) => [stage, curve(60, (i) => scale * (1 + 1 / (i + 1)))] as const,
    );
    const svg = lossCurves(new Map(curves));
    const found = texts(await parsed(svg));
    expect(found).toEqual(expect.arrayContaining(Object.keys(stages)));
    // the same shape at any scale
    const [first, , second, , third] = corners(svg).map((one) => one.map(([, y]) => y));
    expect(second).toEqual(first);
    expect(third).toEqual(first);
  });

  it('are logarithmic where the loss falls far', () => {
    const halving = lossCurves(new Map([['train', curve(8, (i) => 2 ** -i)]]));
    const heights = corners(halving)[0].map(([, y]) => y);
    const steps = heights.slice(1).map((y, i) => y - heights[i]);
    for (const step of steps) expect(step).toBeCloseTo(steps[0], 1);
    const slow = lossCurves(new Map([['train', curve(8, (i) => 15 - i)]]));
    const even = corners(slow)[0].map(([, y]) => y);
    expect(even[1] - even[0]).toBeCloseTo(even[7] - even[6], 1);
    const zero = lossCurves(new Map([['train', curve(8, (i) => 7 - i)]]));
    const straight = corners(zero)[0].map(([, y]) => y);
    expect(straight[1] - straight[0]).toBeCloseTo(straight[7] - straight[6], 1);
  });

  it('leave out what is not finite, and say so', async () => {
    const broken = curve(6, (i) => (i === 2 ? Number.NaN : i === 4 ? Infinity : 3 - i / 9));
    const svg = lossCurves(new Map([['sft', broken]]));
    expect(texts(await parsed(svg))).toContain('sft: 2 steps without a finite loss are left out');
    expect(corners(svg)[0]).toHaveLength(4);
  });

  it('are smooth as the mean of the steps around, and forget a huge loss', () => {
    const spike = curve(500, (i) => (i === 100 ? 1e30 : 2 + (i % 2)));
    const [raw, smooth] = corners(lossCurves(new Map([['sft', spike]])));
    const spread = (line: typeof raw) => {
      const end = line.slice(-60, -20).map(([, y]) => y);
      return Math.max(...end) - Math.min(...end);
    };
    expect(spread(raw)).toBeGreaterThan(0.5);
    expect(spread(smooth)).toBeLessThan(0.1);
    expect(Math.abs(smooth[499][1] - raw[499][1])).toBeLessThan(1);
  });
});
