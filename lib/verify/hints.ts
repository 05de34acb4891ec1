/** What can be said of a mistake that is in no catalogue: from which inputs fail, and which laws. */

import { isTensor } from '../../reference/tensor.ts';
import type { LawResult } from './check.ts';
import type { Case, Diagnosis } from './diagnose.ts';

/** Laws whose breaking alone says what is wrong, the telling ones first. */
const TELLING: readonly (readonly [law: RegExp, cause: string, look: string])[] = [
  [
    /leaves its inputs alone/,
    'the kernel writes into its inputs',
    'copy the state before it is updated, and never use an input as scratch memory',
  ],
  [
    /same bits twice/,
    'something is used before it is written, or threads race',
    'uninitialised memory, missing barriers, atomics',
  ],
  [
    /ignores what an earlier call/,
    'something of an earlier call is used again',
    'buffers that are kept between calls must be cleared, and accumulators start from zero',
  ],
  [
    /whatever its neighbours/,
    'rows of the batch touch each other',
    'the stride of the batch in every index, and what is shared between rows',
  ],
  [
    /shows a NaN/,
    'a NaN is swallowed, or leaves its row',
    'comparisons and max() that drop NaN; products with 0 instead of leaving out',
  ],
  [
    /never looks ahead/,
    'later tokens reach earlier outputs',
    'the upper end of the inner loop, the mask',
  ],
  [
    /goes on from a saved state/,
    'the state that is returned is not the state that is needed to go on',
    'what is copied out after the last token, and how the first token uses it',
  ],
  [/grouped heads/, 'groups do not serve consecutive channels', '⌊d·nGroups/channels⌋'],
];

/** How many of them tell something even of a kernel whose equation is wrong. */
const ALWAYS = 3;

/** A hint from the pattern of what is wrong, or nothing. */
export function hintFrom(
  cases: readonly Case[],
  laws: readonly LawResult[],
): Diagnosis | undefined {
  const wrong = cases.filter(({ isWrong }) => isWrong);
  const fine = cases.filter(({ isWrong }) => !isWrong);
  if (wrong.length === 0) return fromLaws(laws);
  if (wrong.every(({ got }) => got === undefined)) {
    return fine.length > 0
      ? withSeparator('it fails to answer', 'the error', wrong, fine)
      : undefined;
  }
  const infinite = nonFinite(wrong);
  if (infinite) {
    const look =
      'e^x of a large x, 0/0, ∞ − ∞: subtract the maximum, use the form that cannot overflow';
    return withSeparator(`it gives ${infinite} where a number is wanted`, look, wrong, fine);
  }
  const separator = separatorOf(wrong, fine);
  if (separator) return { cause: `it is wrong ${separator}`, look: 'what is different there' };
  return fromLaws(laws);
}

function withSeparator(
  what: string,
  look: string,
  wrong: readonly Case[],
  fine: readonly Case[],
): Diagnosis {
  const separator = separatorOf(wrong, fine);
  return { cause: separator ? `${what}, ${separator}` : what, look };
}

function fromLaws(laws: readonly LawResult[]): Diagnosis | undefined {
  // an output that is wrong breaks most laws; where the equation does not hold, few others tell anything
  const isWrong = laws.some(({ law, ok }) => !ok && law === 'is what its equation says');
  for (const [pattern, cause, look] of isWrong ? TELLING.slice(0, ALWAYS) : TELLING) {
    if (laws.some(({ law, ok }) => !ok && pattern.test(law))) return { cause, look };
  }
  return undefined;
}

/** NaN or Infinity, if that is what all wrong outputs show. */
function nonFinite(wrong: readonly Case[]): string | undefined {
  for (const [name, test] of [
    ['NaN', Number.isNaN],
    ['Infinity', (x: number) => Math.abs(x) === Infinity],
  ] as const) {
    const shows = ({ got, right }: Case) =>
      Object.entries(got ?? {}).some(
        ([output, value]) =>
          isTensor(value) &&
          right[output] &&
          value.data.some((x, i) => test(x) && Number.isFinite(right[output].values[i])),
      );
    if (wrong.every(shows)) return name;
  }
  return undefined;
}

type Test = { says: string; holds(dims: Record<string, unknown>): boolean };

/** The dimension that tells wrong inputs from the others, as a clause, or nothing. */
function separatorOf(wrong: readonly Case[], fine: readonly Case[]): string | undefined {
  if (wrong.length < 3 || fine.length < 3) return undefined;
  const tests = Object.keys(wrong[0].dims)
    .filter((name) => name !== 'seed')
    .flatMap((name) => testsOf(name, [...wrong, ...fine]));
  const share = (cases: readonly Case[], { holds }: Test) =>
    cases.filter(({ dims }) => holds(dims)).length / cases.length;
  const exact = tests.find((test) => share(wrong, test) === 1 && share(fine, test) === 0);
  if (exact) return `exactly where ${exact.says}`;
  const needed = tests
    .filter((test) => share(wrong, test) === 1 && share(fine, test) <= 0.5)
    .sort((a, b) => share(fine, a) - share(fine, b))[0];
  return needed && `only where ${needed.says}`;
}

function testsOf(name: string, cases: readonly Case[]): Test[] {
  const values = [...new Set(cases.map(({ dims }) => dims[name]))];
  if (values.every((value) => typeof value === 'number')) {
    const sorted = (values as number[]).sort((a, b) => a - b).slice(1);
    return sorted.flatMap((least) => [
      { says: `${name} ≥ ${least}`, holds: (dims) => (dims[name] as number) >= least },
      { says: `${name} < ${least}`, holds: (dims) => (dims[name] as number) < least },
    ]);
  }
  return values.map((value) => ({
    says: typeof value === 'object' ? `${name} is given` : `${name} is ${String(value)}`,
    holds: (dims) => JSON.stringify(dims[name]) === JSON.stringify(value),
  }));
}
