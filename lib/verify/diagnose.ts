/** From a kernel that is wrong to the likely mistake: each entry of the catalogue is computed and compared. */

import type { OpName } from '../../reference/ops.ts';
import { isTensor, type Tensor } from '../../reference/tensor.ts';
import { runOnReference } from '../referenceOps.ts';
import { Calculator } from './approx.ts';
import { INPUTS } from './arbitraries.ts';
import { draw, type LawResult } from './check.ts';
import { DEFINITIONS, type Defined } from './definitions/index.ts';
import { hintFrom } from './hints.ts';
import type { Drawn } from './inputs/drawn.ts';
import { inPrecision, type Subject } from './laws/law.ts';
import { mistakesIn } from './mistakes/index.ts';

export interface Diagnosis {
  /** What is likely wrong, one sentence. */
  cause: string;
  /** What to look at. */
  look: string;
}

/** What a subject made of one input. */
export interface Case {
  dims: Record<string, unknown>;
  input: object;
  /** Undefined where it threw. */
  got?: Record<string, unknown>;
  /** What is right, and how far off it may be. */
  right: Record<string, Bounded>;
  isWrong: boolean;
}

interface Bounded {
  values: ArrayLike<number>;
  errors: ArrayLike<number>;
}

/** Inputs that the subject and every entry of the catalogue are run on. */
const DRAWS = 120;
/** No further input is run after so many seconds, by default: a kernel may be slow, or hang. */
const SECONDS = 10;
/** A mistake is named if it explains this share of the elements that tell it from the right answer. */
const CONVINCING = 0.9;

/** The likeliest cause of an op's broken laws, if there is one to name. */
export async function diagnose(
  op: OpName,
  subject: Subject,
  laws: readonly LawResult[],
  seed: number,
  seconds = SECONDS,
): Promise<Diagnosis | undefined> {
  const cases = await casesOf(op, subject, seed, seconds);
  const seen = cases.filter(({ got }) => got !== undefined);
  let best: { share: number; found?: Diagnosis } = { share: 0 };
  if (seen.some(({ isWrong }) => isWrong)) {
    for (const { cause, look, wrong } of mistakesIn(op)) {
      const share = explained(seen, (input) => wrong(op, input));
      if (share > best.share) best = { share, found: { cause, look } };
    }
  }
  return best.share >= CONVINCING ? best.found : hintFrom(cases, laws);
}

/** Runs a subject on draws of an op and judges each output by the definition. */
export async function casesOf(
  op: OpName,
  subject: Subject,
  seed: number,
  seconds = SECONDS,
): Promise<Case[]> {
  const calc = new Calculator(subject.machine, subject.isBitwise ? 'ours' : 'any');
  const drawn = await draw({ inputs: INPUTS[op] }, seed, DRAWS);
  const usable = drawn.filter(({ input }) => subject.accepts?.(op, input) ?? true);
  const judge = async ({ dims, input: plain }: Drawn<unknown>): Promise<Case> => {
    const input = inPrecision(plain as object, subject.precision);
    const right = await rightFor(op, input, calc);
    const given = structuredClone(input);
    const got = await subject.run(op, given as never).then(
      (output) => ({ ...(output as object) }) as Record<string, unknown>, // without what was left out
      () => undefined,
    );
    const isWrong =
      got === undefined ||
      Object.entries(right).some(([name, bounded]) => {
        const values = numbersOf(got[name]);
        return values !== undefined && elements(bounded).some((i) => !isWithin(values, bounded, i));
      });
    return { dims, input: inPrecision(input, 'float64'), ...(got && { got }), right, isWrong };
  };
  const cases: Case[] = [];
  const batch = Math.max(1, Math.min(subject.concurrency ?? 1, DRAWS));
  const deadline = performance.now() + 1000 * seconds;
  for (let i = 0; i < usable.length && performance.now() < deadline; i += batch) {
    cases.push(...(await Promise.all(usable.slice(i, i + batch).map(judge))));
  }
  return cases;
}

async function rightFor(
  op: OpName,
  input: object,
  calc: Calculator,
): Promise<Record<string, Bounded>> {
  const definition = DEFINITIONS[op] as ((input: object, calc: unknown) => Defined) | undefined;
  if (definition) {
    return Object.fromEntries(
      Object.entries(definition(input, calc)).map(([name, approx]) => [
        name,
        { values: approx.map(({ value }) => value), errors: approx.map(({ error }) => error) },
      ]),
    );
  }
  const output = await runOnReference(op, input as never);
  const all: Record<string, Bounded> = {};
  for (const [name, value] of Object.entries(output)) {
    const values = numbersOf(value);
    if (values) all[name] = { values, errors: Array.from(values, (x) => 1e-5 * Math.abs(x)) };
  }
  return all;
}

function numbersOf(value: unknown): ArrayLike<number> | undefined {
  if (isTensor(value)) return (value as Tensor).data;
  return Array.isArray(value) && typeof value[0] === 'number' ? value : undefined;
}

const elements = ({ values }: Bounded) => Array.from({ length: values.length }, (_, i) => i);

function isWithin(got: ArrayLike<number>, { values, errors }: Bounded, i: number): boolean {
  return errors[i] === Infinity || Math.abs(got[i] - values[i]) <= errors[i];
}

/** A mistake that explains less than this of the first inputs is not computed for the others. */
const HOPELESS = 0.5;
const FIRST = 20;

/** How well a mistake explains what a subject computes: 0 for not at all, 1 for every element of every input. */
export function explained(
  cases: readonly Case[],
  wrong: (input: object) => object | undefined,
): number {
  let [telling, sum, explains] = [0, 0, false];
  for (const [i, one] of cases.entries()) {
    if (i === FIRST && sum < HOPELESS * telling) return 0;
    const output = wrong(one.input) as Record<string, unknown> | undefined;
    const share = output && agreement(one, output);
    if (!share) continue;
    telling++;
    sum += share.agreeing;
    explains ||= share.explains;
  }
  return explains ? sum / telling : 0;
}

/**
 * Of the elements where a kernel with the mistake differs from the right one, or the subject does, the share
 * where the two agree. Both lose bits of their own, so agreement is a little wider than the bound. Nothing where
 * neither differs.
 */
function agreement(
  { got, right, isWrong }: Case,
  output: Record<string, unknown>,
): { agreeing: number; explains: boolean } | undefined {
  let [telling, agreeing, explains] = [0, 0, 0];
  for (const [name, bounded] of Object.entries(right)) {
    const [theirs, ours] = [numbersOf(got?.[name]), numbersOf(output[name])];
    if (!theirs || !ours) continue;
    for (let i = 0; i < theirs.length; i++) {
      if (bounded.errors[i] === Infinity) continue;
      const isOff = !isWithin(theirs, bounded, i);
      if (!isOff && isWithin(ours, bounded, i)) continue;
      telling++;
      if (!isNear(theirs[i], ours[i], bounded.errors[i])) continue;
      agreeing++;
      if (isOff && isWrong) explains++;
    }
  }
  return telling > 0 ? { agreeing: agreeing / telling, explains: explains > 0 } : undefined;
}

function isNear(a: number, b: number, error: number): boolean {
  if (Object.is(a, b) || a === b) return true;
  return Math.abs(a - b) <= 16 * error + 1e-5 * Math.abs(b) || isTooLarge(a, b);
}

/** Infinite in float32 and large in the float64 of the catalogue. */
function isTooLarge(a: number, b: number): boolean {
  return Math.abs(a) === Infinity && Math.abs(b) > 3e38 && Math.sign(a) === Math.sign(b);
}
