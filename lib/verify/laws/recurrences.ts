/** What must hold of every recurrence: in all its forms, over any cut of the sequence, at any extreme. */

import type fc from 'fast-check';
import type { OpName } from '../../../reference/ops.ts';
import { type Tensor, zerosLike } from '../../../reference/tensor.ts';
import { INPUTS } from '../arbitraries.ts';
import { expectClose, expectWithin } from '../compare.ts';
import type { Defined } from '../definitions/index.ts';
import { DEFINITIONS } from '../definitions/index.ts';
import { repeatGroups } from '../golden/layout.ts';
import type { Drawn, InputOf } from '../inputs/drawn.ts';
import { type Law, type LawSubject, law } from './law.ts';
import { sameness } from './sameness.ts';
import { sequenceLaws } from './sequences.ts';

/** A recurrence over a sequence, and its other forms. */
export interface Forms {
  sequence: 'selectiveScan' | 'ssd' | 'discreteSsd';
  step: OpName;
  matrix: OpName;
}

export const RECURRENCES: readonly Forms[] = [
  { sequence: 'selectiveScan', step: 'selectiveScanStep', matrix: 'selectiveScanMatrix' },
  { sequence: 'ssd', step: 'ssdStep', matrix: 'ssdMatrix' },
  { sequence: 'discreteSsd', step: 'discreteSsdStep', matrix: 'discreteSsdMatrix' },
];

/** The parts that all three have; each has its own besides. */
type AnyInput = InputOf<'selectiveScan'> & InputOf<'ssd'> & InputOf<'discreteSsd'>;
type AnyOutput = { y: Tensor; h: Tensor };
type AnyRun = (name: OpName, input: unknown) => Promise<AnyOutput>;

const runOf = (subject: LawSubject) => subject.run as unknown as AnyRun;
const definitionOf = (op: OpName) => DEFINITIONS[op] as (input: unknown, calc: unknown) => Defined;

/** Laws of a recurrence over a sequence. */
export function recurrenceLaws({ sequence, step, matrix }: Forms): Law[] {
  const inputs = INPUTS[sequence] as unknown as fc.Arbitrary<Drawn<AnyInput>>;
  const matrixInputs = INPUTS[matrix] as unknown as fc.Arbitrary<Drawn<AnyInput>>;
  // with magnitudes up to 1e30 float32 overflows, and ∞ − ∞ is not forgotten
  const moderate = inputs.filter(({ dims }) => dims.family !== 'wide');
  const dyadic = inputs.filter(({ dims }) => dims.family === 'dyadic');
  const isDiscrete = sequence === 'discreteSsd';
  /** The input with every token's decay at one of its ends. */
  const atEnd = (input: AnyInput, end: 'keeps' | 'forgets'): AnyInput => {
    const { dtBias: _bias, dtLimit: _limit, ...rest } = input;
    if (isDiscrete) {
      const a = { ...input.a, data: input.a.data.slice().fill(end === 'keeps' ? -800 : 800) };
      return { ...rest, a };
    }
    const dtRaw = { ...input.dtRaw, data: input.dtRaw.data.slice().fill(end === 'keeps' ? 0 : 5) };
    const A = { ...input.A, data: input.A.data.slice().fill(end === 'keeps' ? -1 : -1e30) };
    return { ...rest, dtRaw, A, dtSoftplus: false };
  };
  const stateOf = async (subject: LawSubject, input: AnyInput): Promise<Tensor> =>
    input.h ?? zerosLike((await runOf(subject)(sequence, input)).h);

  return [
    ...sequenceLaws({ sequence, step, state: 'h' }),

    law(sequence, 'is linear in x and h', dyadic, async (subject, input) => {
      const run = runOf(subject);
      const h = await stateOf(subject, input);
      const other = { ...input, x: reversed(input.x), h: reversed(h) };
      const one = { ...input, h };
      const both = { ...input, x: sum(one.x, other.x), h: sum(one.h, other.h) };
      const [y1, y2, y12] = [one, other, both].map((i) =>
        definitionOf(sequence)(i, subject.calc).y.map(({ error }) => error),
      );
      const [got1, got2, got12] = await Promise.all(
        [one, other, both].map((i) => run(sequence, i)),
      );
      const perElement = y12.map((error, i) => error + y1[i] + y2[i]);
      const total = float64Sum(got1.y, got2.y);
      return expectClose('y', got12.y, total, { perElement });
    }),

    law(sequence, 'keeps its state where the decay is one', inputs, async (subject, input) => {
      const h = await stateOf(subject, input);
      const still = { ...atEnd(input, 'keeps'), h };
      const x = isDiscrete ? zerosLike(input.x) : input.x; // Discrete Mamba-2 writes whatever the decay
      const out = await runOf(subject)(sequence, { ...still, x });
      const same = await sameness(subject, sequence, { ...still, x }, { h }, 'alike');
      return same({ h: out.h });
    }),

    law(sequence, 'forgets its state where the decay is zero', moderate, async (subject, input) => {
      const run = runOf(subject);
      const fast = atEnd(input, 'forgets');
      const h = await stateOf(subject, input);
      const empty = await run(sequence, { ...fast, h: zerosLike(h) });
      const full = await run(sequence, { ...fast, h });
      const forgotten = { ...fast, h: zerosLike(h) };
      const same = await sameness(subject, sequence, forgotten, empty, 'alike');
      return same(full);
    }),

    law(sequence, 'stays at zero when nothing comes in', inputs, async (subject, input) => {
      const h = zerosLike(await stateOf(subject, input));
      const silent = { ...input, x: zerosLike(input.x), h };
      const out = await runOf(subject)(sequence, silent);
      const nothing = { y: zerosLike(out.y), h: zerosLike(out.h) };
      return (await sameness(subject, sequence, silent, nothing, 'alike'))(out);
    }),

    law(
      sequence,
      'gives grouped heads the bits of repeated B and C',
      inputs,
      async (subject, input) => {
        const run = runOf(subject);
        const channels = input.x.shape[2]; // channels of Mamba-1, heads of the others
        const repeated = {
          ...input,
          B: repeatGroups(input.B, channels),
          C: repeatGroups(input.C, channels),
        };
        const same = await sameness(subject, sequence, input, await run(sequence, input));
        return same(await run(sequence, repeated));
      },
    ),

    law(matrix, 'times x is the recurrence', matrixInputs, async (subject, input) => {
      const { M } = (await runOf(subject)(matrix, input)) as unknown as { M: Tensor };
      const want = definitionOf(ANY_ORDER[sequence])(input, subject.calc).y;
      return expectWithin('M·x', timesX(M, input.x), want);
    }),
  ];
}

/** The form of each recurrence whose bound covers every order of summation. */
const ANY_ORDER = {
  selectiveScan: 'selectiveScanChunked',
  ssd: 'ssdChunked',
  discreteSsd: 'discreteSsdChunked',
} as const;

function reversed(t: Tensor): Tensor {
  return { data: t.data.slice().reverse(), shape: t.shape };
}

/** a + b in the precision of a; exact for dyadic numbers. */
function sum(a: Tensor, b: Tensor): Tensor {
  return { data: a.data.map((value, i) => value + b.data[i]), shape: a.shape };
}

function float64Sum(a: Tensor, b: Tensor): Tensor {
  return { data: Float64Array.from(a.data, (value, i) => value + b.data[i]), shape: a.shape };
}

/** y[t] = Σ_s M[t, s]·x[s] for every head (or channel), in Float64. x: (batch, seqlen, heads, …). */
function timesX(M: Tensor, x: Tensor): Tensor {
  const [batch, heads, seqlen] = M.shape;
  const width = x.data.length / (batch * seqlen * heads);
  const y = new Float64Array(x.data.length);
  for (let b = 0; b < batch; b++) {
    for (let i = 0; i < heads; i++) {
      for (let t = 0; t < seqlen; t++) {
        for (let s = 0; s <= t; s++) {
          const weight = M.data[((b * heads + i) * seqlen + t) * seqlen + s];
          for (let p = 0; p < width; p++) {
            y[((b * seqlen + t) * heads + i) * width + p] +=
              weight * x.data[((b * seqlen + s) * heads + i) * width + p];
          }
        }
      }
    }
  }
  return { data: y, shape: x.shape };
}
