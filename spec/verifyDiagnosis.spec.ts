/** The catalogue of mistakes names itself, and kernels that are right but written differently are called right. */

import { describe, expect, it } from 'vitest';
import {
  checkSubject,
  diagnose,
  inPrecision,
  kernelSubject,
  kernelsSubject,
  MISTAKES,
  type Mistake,
  runOnReference,
  type Subject,
} from '../lib/verify/index.ts';
import { type OpName, ops } from '../reference/ops.ts';
import { isTensor, toPrecision } from '../reference/tensor.ts';
import { RUNS, SEED } from './support.ts';

const BROKEN = [{ law: 'is what its equation says', ok: false, runs: 1, worst: Infinity }];

/** A kernel that makes one mistake in one op, in float32. */
function mistaken(mistake: Mistake, op: OpName): Subject {
  const call = async (name: OpName, input: object) => {
    const output = { ...(await runOnReference(name, input as never)) } as Record<string, unknown>;
    const wrong = name === op ? mistake.wrong(op, inPrecision(input, 'float64')) : undefined;
    for (const [part, value] of Object.entries(wrong ?? {})) {
      output[part] = isTensor(value) ? toPrecision(value, 'float32') : value;
    }
    return output as never;
  };
  return kernelSubject(call, [op]);
}

/** Mistakes that are one in an op, so that either may be named: [op, mistake, what it is called]. */
const EQUIVALENT: readonly (readonly [OpName, string, string])[] = [
  // the inputs before the only token are all that the old state holds
  [
    'causalConv1dStep',
    'the state is not updated',
    'the state that is returned lacks the newest input',
  ],
];

describe('the catalogue', () => {
  it('says of every mistake what it is and what to look at', () => {
    for (const { ops: names, cause, look } of MISTAKES) {
      expect(names.length).toBeGreaterThan(0);
      expect(cause.length).toBeGreaterThan(8);
      expect(look.length).toBeGreaterThan(4);
    }
    expect(new Set(MISTAKES.flatMap((mistake) => mistake.ops)).size).toBeGreaterThan(20);
  });

  // the same mistakes at borders that nobody asked for, of which the longer ones are rare among so few draws
  const named = MISTAKES.filter(({ cause }) => !/chunk of \d+ tokens/.test(cause));
  // each in one of its ops, another one for each; SELSCAN_RUNS=10 takes all
  const each = Math.ceil(Number(process.env.SELSCAN_RUNS ?? 1));
  const pairs = named.flatMap((mistake, i) =>
    mistake.ops
      .map((_, k, all) => all[(i + k) % all.length])
      .slice(0, each)
      .map((op): [string, OpName, Mistake] => [mistake.cause, op, mistake]),
  );

  it.each(pairs)('recognises "%s" in %s', async (_, op, mistake) => {
    const { cause } = (await diagnose(op, mistaken(mistake, op), BROKEN, SEED)) ?? {};
    const right = EQUIVALENT.filter(([where, what]) => where === op && what === mistake.cause);
    expect([mistake.cause, ...right.map(([, , called]) => called)]).toContain(cause);
  });
});

describe('right kernels that are written differently', () => {
  const right = {
    ...ops,
    // another order of summation
    linear: ({ x, weight, bias }: Parameters<typeof ops.linear>[0]) => {
      const [rows, dIn] = x.shape;
      const [dOut] = weight.shape;
      const y = new Float32Array(rows * dOut);
      for (let i = 0; i < y.length; i++) {
        const [r, o] = [Math.floor(i / dOut), i % dOut];
        const terms = Array.from({ length: dIn }, (_, k) =>
          Math.fround(x.data[r * dIn + k] * weight.data[o * dIn + k]),
        );
        if (bias) terms.push(bias.data[o]);
        y[i] = pairwise(terms);
      }
      return { y: { data: y, shape: [rows, dOut] } };
    },
    selectiveScan: (input: Parameters<typeof ops.selectiveScan>[0]) =>
      ops.selectiveScanChunked({ ...input, chunkLen: 4 }),
    ssd: (input: Parameters<typeof ops.ssd>[0]) => ops.ssdChunked({ ...input, chunkLen: 3 }),
    discreteSsd: (input: Parameters<typeof ops.discreteSsd>[0]) =>
      ops.discreteSsdChunked({ ...input, chunkLen: 5 }),
    // in double precision, whatever comes in
    silu: ({ x }: Parameters<typeof ops.silu>[0]) => ({
      y: { data: Float64Array.from(x.data, (v) => v / (1 + Math.exp(-v))), shape: x.shape },
    }),
    softplus: ({ x }: Parameters<typeof ops.softplus>[0]) => ({
      y: {
        data: Float32Array.from(x.data, (v) => Math.max(v, 0) + Math.log1p(Math.exp(-Math.abs(v)))),
        shape: x.shape,
      },
    }),
  };

  it.each(['linear', 'selectiveScan', 'ssd', 'discreteSsd', 'silu', 'softplus'] as const)(
    '%s breaks no law',
    async (op) => {
      const subject = kernelsSubject({ [op]: right[op] } as never);
      const [report] = await checkSubject(subject, { runs: RUNS / 3, seed: SEED });
      expect(report.laws.filter(({ ok }) => !ok)).toEqual([]);
      expect(report.laws.length).toBeGreaterThan(4);
    },
  );
});

/** A sum as a tree, rounded to float32 at every node. */
function pairwise(terms: readonly number[]): number {
  if (terms.length === 0) return 0;
  if (terms.length === 1) return terms[0];
  const half = Math.ceil(terms.length / 2);
  return Math.fround(pairwise(terms.slice(0, half)) + pairwise(terms.slice(half)));
}
