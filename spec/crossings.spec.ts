/** Where one model's curve comes above another's, and what is said where it does not. */

import { describe, expect, it } from 'vitest';
import { crossingOf, type ModelCurves } from '../lib/report/curves.ts';
import { crossingText } from '../lib/report/page.ts';

/** Curves with given points. */
function curves(name: string, points: readonly (readonly [seconds: number, value: number])[]) {
  const coverage = points.map(([seconds, value], i) => ({
    ...{ samples: 2 ** i, seconds, value, low: value, high: value },
  }));
  return { name, curves: { coverage } } as unknown as ModelCurves;
}

describe('a crossing', () => {
  const teacher = curves('teacher', [
    [1, 0.6],
    [2, 0.7],
    [4, 0.75],
    [8, 0.8],
  ]);

  it('is where the lines meet, in the logarithm of seconds', () => {
    const student = curves('student', [
      [0.5, 0.3],
      [1, 0.5],
      [2, 0.65],
      [4, 0.85],
    ]);
    const found = crossingOf(student, teacher, 'coverage');
    // between 2 and 4 s: 0.65 + 0.2 s = 0.7 + 0.05 s at s = 1/3 of the way
    expect(found?.seconds).toBeCloseTo(2 * 2 ** (1 / 3), 9);
    expect(found).toMatchObject({ within: 4 });
    expect(found?.lead).toBeCloseTo(0.1, 12);
  });

  it.each([
    [
      'behind to the end',
      [
        [1, 0.5],
        [8, 0.79],
      ],
      undefined,
    ],
    [
      'level at the end',
      [
        [1, 0.5],
        [8, 0.8],
      ],
      undefined,
    ],
    [
      'ahead in between alone',
      [
        [1, 0.5],
        [2, 0.9],
        [8, 0.7],
      ],
      undefined,
    ],
    [
      'ahead from the start',
      [
        [0.5, 0.2],
        [1, 0.7],
        [8, 0.9],
      ],
      0,
    ],
  ] as const)('of a student that is %s', (_, points, seconds) => {
    const found = crossingOf(curves('student', points), teacher, 'coverage');
    expect(found?.seconds).toBe(seconds);
  });

  it('is told in words, also where there is none', () => {
    const best = { value: 0.7, samples: 64 };
    const common = { model: 's', reference: 't', policy: 'majority', within: 8, best } as const;
    expect(crossingText({ ...common, lead: -0.034 })).toBe(
      'majority vote: no crossover within 8 s a problem: s is at −3.4 points of t there.',
    );
    expect(crossingText({ ...common, lead: -0.1, best: { ...best, matchedBy: 2 } })).toBe(
      'majority vote: no crossover within 8 s a problem: s is at −10.0 points of t there. Its most, 70.0 % of 64, t has of 2.',
    );
    expect(crossingText({ ...common, lead: 0.1, seconds: 2.52 })).toBe(
      'majority vote: s is ahead of t from 2.5 s a problem on, at 8 s by +10.0 points.',
    );
  });

  it('says which chains of the other are as good as the most of it', () => {
    const student = curves('student', [
      [1, 0.5],
      [2, 0.72],
      [8, 0.71],
    ]);
    const found = crossingOf(student, teacher, 'coverage');
    expect(found?.best).toEqual({ value: 0.72, samples: 2, matchedBy: 4 });
    expect(crossingOf(curves('best', [[1, 0.9]]), teacher, 'coverage')?.best).toEqual({
      ...{ value: 0.9, samples: 1 },
    });
  });

  it('needs times', () => {
    expect(crossingOf(curves('s', []), teacher, 'coverage')).toBeUndefined();
  });
});
