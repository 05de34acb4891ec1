/** What a law is, and who is judged by it. */

import type fc from 'fast-check';
import type { RunOp } from '../../../backends/types.ts';
import type { OpName } from '../../../reference/ops.ts';
import { isTensor, type Precision, type Tensor, toPrecision } from '../../../reference/tensor.ts';
import { runOnReference } from '../../referenceOps.ts';
import { Calculator, type Machine } from '../approx.ts';
import type { Drawn, InputOf } from '../inputs/drawn.ts';

/** What is being judged: an implementation of ops, and the arithmetic that it claims. */
export interface Subject {
  /** What reports call it: `reference`, `gpujs:cpu`, the name of a file. */
  readonly name: string;
  readonly run: RunOp;
  /** Precision of the tensors that it is given. */
  readonly precision: Precision;
  readonly machine: Machine;
  /**
   * Whether "the same result" means the same bits, as for the reference, or a result within the bound of its
   * definition, as for all kernels that may sum in another order when the batch or the cut changes.
   */
  readonly isBitwise: boolean;
  /** Whether a NaN that goes in must come out; arithmetic on GPUs may swallow it. */
  readonly showsNaN: boolean;
  /** The ops that it has; all when absent. Laws take what it lacks from the reference. */
  readonly ops?: readonly OpName[];
  /** Whether every call gets copies and begins anew, as a program does: laws about memory say nothing of it. */
  readonly isApart?: boolean;
  /** Whether it can be given an input at all. Inputs that it cannot are left out. Default: every input. */
  accepts?(op: OpName, input: unknown): boolean;
  /** Calls that may be under way at once. Default 1. */
  readonly concurrency?: number;
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
  /** Whether it is about the caller's tensors, or about what one call leaves to the next. */
  readonly isAboutMemory?: boolean;
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
      const calc = new Calculator(subject.machine, subject.isBitwise ? 'ours' : 'any');
      const run: RunOp = (name, given) =>
        (hasOp(subject, name) ? subject.run : runOnReference)(name, given);
      return check({ ...subject, run, calc }, inPrecision(input as Input, subject.precision));
    },
  };
}

export interface LawSubject extends Subject {
  /** Computes bounds for the subject's arithmetic, and for the freedom that it is given. */
  readonly calc: Calculator;
}

/** Whether a subject has an op of its own. */
export function hasOp({ ops }: Subject, op: OpName): boolean {
  return ops?.includes(op) ?? true;
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

/** Tensors of an object by name. */
export function tensorsOf(value: object): [string, Tensor][] {
  return Object.entries(value).filter((entry): entry is [string, Tensor] => isTensor(entry[1]));
}
