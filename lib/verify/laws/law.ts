/** What a law is, and how it is checked: on drawn inputs, with the smallest counterexample if it fails. */

import fc from 'fast-check';
import type { OpName } from '../../../reference/ops.ts';
import { isTensor, type Precision, type Tensor, toPrecision } from '../../../reference/tensor.ts';
import { Calculator, type Machine } from '../approx.ts';
import type { RunOp } from '../golden/case.ts';
import type { Drawn, InputOf } from '../inputs/drawn.ts';

/** What is being judged: an implementation of ops, and the arithmetic that it claims. */
export interface Subject {
  run: RunOp;
  /** Precision of the tensors that it is given. */
  precision: Precision;
  machine: Machine;
}

/** A sentence that is true of a subject for every input. */
export interface LawOf<Judged> {
  /** E.g. `any chunk length gives the same result`. */
  readonly law: string;
  readonly inputs: fc.Arbitrary<Drawn<unknown>>;
  /** @returns the largest error as a share of the allowed one, 0 for bits; throws where the law is broken. */
  check(subject: Judged, input: unknown): Promise<number>;
}

/** A law of one op. */
export interface Law extends LawOf<Subject> {
  readonly op: OpName;
}

/** States a law of an op over inputs of a type. */
export function law<Name extends OpName, Input = InputOf<Name>>(
  op: Name,
  sentence: string,
  inputs: fc.Arbitrary<Drawn<Input>>,
  check: (subject: LawSubject, input: Input) => Promise<number>,
): Law {
  return {
    op,
    law: sentence,
    inputs,
    check: (subject, input) => {
      const calc = new Calculator(subject.machine);
      return check({ ...subject, calc }, inPrecision(input as Input, subject.precision));
    },
  };
}

export interface LawSubject extends Subject {
  calc: Calculator;
}

/** A copy of an input with all its tensors in a precision. */
export function inPrecision<Input>(input: Input, precision: Precision): Input {
  if (typeof input !== 'object' || input === null) return input;
  const entries = Object.entries(input).map(([name, value]) => [
    name,
    isTensor(value) ? toPrecision(value, precision) : value,
  ]);
  return Object.fromEntries(entries) as Input;
}

export interface LawResult {
  law: string;
  /** Inputs tried. */
  runs: number;
  /** Largest error as a share of the allowed one. */
  worst: number;
  ok: boolean;
  /** The smallest input found that breaks the law, and how. */
  counterexample?: { dims: unknown; seed: number; path: string; problem: string };
}

export interface CheckOptions {
  /** Inputs to try. Default 100. */
  runs?: number;
  /** Of all draws. Default 1. */
  seed?: number;
  /** Replays one input: the path of a counterexample. */
  path?: string;
}

/** Tries a law on drawn inputs. The same seed draws the same inputs. */
export async function checkLaw<Judged>(
  { law: sentence, inputs, check }: LawOf<Judged>,
  subject: Judged,
  { runs = 100, seed = 1, path }: CheckOptions = {},
): Promise<LawResult> {
  let worst = 0;
  const property = fc.asyncProperty(inputs, async ({ input }) => {
    const share = await check(subject, input);
    worst = Math.max(worst, share);
  });
  const details = await fc.check(property, { numRuns: runs, seed, ...(path && { path }) });
  const result = { law: sentence, runs: details.numRuns, worst, ok: !details.failed };
  if (!details.failed) return result;
  const [drawnInput] = details.counterexample ?? [];
  const problem =
    details.errorInstance instanceof Error
      ? details.errorInstance.message
      : String(details.errorInstance);
  return {
    ...result,
    worst: Number.POSITIVE_INFINITY,
    counterexample: {
      dims: drawnInput?.dims,
      seed: details.seed,
      path: details.counterexamplePath ?? '',
      problem,
    },
  };
}

/** Tensors of an object by name. */
export function tensorsOf(value: object): [string, Tensor][] {
  return Object.entries(value).filter((entry): entry is [string, Tensor] => isTensor(entry[1]));
}
