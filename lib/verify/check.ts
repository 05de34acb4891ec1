/** Checking a law: on drawn inputs, as many at once as the subject likes, with a small counterexample if it fails. */

import fc from 'fast-check';
import { SelscanError } from '../../reference/errors.ts';
import type { Drawn } from './inputs/drawn.ts';
import type { LawOf } from './laws/law.ts';

/** An input that breaks a law. */
export interface Counterexample {
  /** The numbers that the input was made from. */
  dims: unknown;
  /** Of all draws, and where among them and their shrunk forms this one stands: both find it again. */
  seed: number;
  path: string;
  /** What is wrong with it. */
  problem: string;
}

export interface LawResult {
  law: string;
  /** Inputs tried, up to the first that breaks the law. */
  runs: number;
  /** Largest error as a share of the allowed one; Infinity where the law is broken. */
  worst: number;
  ok: boolean;
  /** The smallest input found that breaks the law, and how. */
  counterexample?: Counterexample;
  /** What the check threw for it. */
  error?: unknown;
}

export interface CheckOptions {
  /** Inputs to try. Default 100. */
  runs?: number;
  /** Of all draws. Default 1. */
  seed?: number;
  /** Draws to pass over, which an earlier check has tried. Default 0. */
  from?: number;
  /** Tries one input only: the path of a counterexample. */
  path?: string;
  /** Checks under way at once. Default: the subject's own `concurrency`, or 1. */
  concurrency?: number;
  /** No new input is tried after so many seconds; there may be time for none. Default: no limit. */
  seconds?: number;
  /** Ends the check with the signal's reason. */
  signal?: AbortSignal;
  /** Most inputs tried in search of a smaller counterexample, and most seconds. Default 500 and 20. */
  shrinkSteps?: number;
  shrinkSeconds?: number;
}

type Input = Drawn<unknown>;

interface Verdict {
  share: number;
  /** The subject cannot be given this input. */
  isSkipped?: boolean;
  /** What the check threw, wrapped so that even `undefined` is a failure. */
  thrown?: { error: unknown };
}

/** Tries a law on drawn inputs. The same seed draws the same inputs, and the same one is reported. */
export async function checkLaw<Judged>(
  law: LawOf<Judged>,
  subject: Judged,
  options: CheckOptions = {},
): Promise<LawResult> {
  const { runs: most = 100, seed = 1, from = 0, path, signal, seconds = Infinity } = options;
  const concurrency = options.concurrency ?? (subject as { concurrency?: number }).concurrency ?? 1;
  const judge = async ({ input }: Input): Promise<Verdict> => {
    signal?.throwIfAborted();
    try {
      return { share: await law.check(subject, input) };
    } catch (error) {
      signal?.throwIfAborted();
      if (isInapplicable(error)) return { share: 0, isSkipped: true };
      return { share: Infinity, thrown: { error } };
    }
  };
  const deadline = performance.now() + 1000 * seconds;
  const inputs = path
    ? [await inputAt(law, seed, path)]
    : (await draw(law, seed, from + most)).slice(from);
  const verdicts = await judgeInOrder(inputs, judge, concurrency, deadline);
  const lacking = verdicts.filter(({ isSkipped }) => isSkipped).length;
  if (lacking > 0 && !path && from === 0) {
    // the same draws go on
    inputs.push(...(await draw(law, seed, most * SPARE)).slice(most));
    await judgeMore(inputs, verdicts, lacking, judge, concurrency, deadline);
  }
  const failed = verdicts.findIndex(({ thrown }) => thrown !== undefined);
  // what was under way beside the first that failed does not count
  const counted = verdicts.slice(0, failed < 0 ? undefined : failed + 1);
  const runs = counted.filter(({ isSkipped }) => !isSkipped).length;
  const worst = counted.reduce((most, { share }) => Math.max(most, share), 0);
  const result = { law: law.law, runs, worst, ok: failed < 0 };
  if (failed < 0) return result;
  const found: Found = {
    input: inputs[failed],
    path: path ?? `${from + failed}`,
    verdict: verdicts[failed],
  };
  const isFinal = path !== undefined || isTimeout(found.verdict.thrown?.error);
  const smallest = isFinal ? found : await shrink(law, seed, found, judge, concurrency, options);
  const error = smallest.verdict.thrown?.error;
  const problem = error instanceof Error ? error.message : String(error);
  const counterexample = { dims: smallest.input.dims, seed, path: smallest.path, problem };
  return { ...result, counterexample, error };
}

/** Inputs drawn for each that is wanted, for subjects that cannot be given all of them. */
const SPARE = 4;

/** Whether a subject cannot be asked, or does not give what a law needs: neither right nor wrong. */
const isInapplicable = (error: unknown) =>
  error instanceof SelscanError && ['Inapplicable', 'ExecInput'].includes(error.code);

/** Whether a subject hung: each further input may cost as much time. */
export const isTimeout = (error: unknown) =>
  error instanceof SelscanError && ['ExecTimeout', 'KernelTimeout'].includes(error.code);

/** Two checks of one law, on different draws, as one. */
export function joined(one: LawResult, other: LawResult): LawResult {
  const runs = one.runs + other.runs;
  return { ...(one.ok ? other : one), runs, worst: Math.max(one.worst, other.worst) };
}

/** Goes on judging until as many inputs as are missing were tried; adds to the verdicts. */
async function judgeMore(
  inputs: readonly Input[],
  verdicts: Verdict[],
  lacking: number,
  judge: (input: Input) => Promise<Verdict>,
  concurrency: number,
  deadline: number,
): Promise<void> {
  let missing = lacking;
  while (missing > 0 && verdicts.length < inputs.length) {
    if (verdicts.some(({ thrown }) => thrown)) return;
    const next = inputs.slice(verdicts.length, verdicts.length + missing);
    const more = await judgeInOrder(next, judge, concurrency, deadline);
    verdicts.push(...more);
    if (more.length < next.length) return;
    missing = more.filter(({ isSkipped }) => isSkipped).length;
  }
}

/** The draws of the law before: most laws of an op are tried on the same inputs. */
let latest: { inputs: fc.Arbitrary<Input>; seed: number; drawn: readonly Input[] } | undefined;

/** The inputs that a seed draws for a law. Nobody changes them: laws work on copies. */
export async function draw(
  { inputs }: Pick<LawOf<never>, 'inputs'>,
  seed: number,
  runs: number,
): Promise<Input[]> {
  if (latest?.inputs === inputs && latest.seed === seed && latest.drawn.length >= runs) {
    return latest.drawn.slice(0, runs);
  }
  const drawn: Input[] = [];
  const record = fc.asyncProperty(inputs, async (input) => {
    drawn.push(input);
  });
  await fc.check(record, { seed, numRuns: runs });
  latest = { inputs, seed, drawn };
  return [...drawn];
}

/** The input at a path, and the first of those that it shrinks to. */
async function familyAt(
  { inputs }: Pick<LawOf<never>, 'inputs'>,
  seed: number,
  path: string,
  most: number,
): Promise<Input[]> {
  const family: Input[] = [];
  const full = new Error('enough');
  const record = fc.asyncProperty(inputs, async (input) => {
    family.push(input);
    // the input itself fails, so that fast-check shrinks it; what it shrinks to passes, up to the last
    if (family.length === 1 || family.length > most) throw full;
  });
  await fc.check(record, { seed, path, numRuns: 1, endOnFailure: most === 0 });
  return family.slice(0, most + 1);
}

/** The input at the path of a counterexample. */
export async function inputAt(
  law: Pick<LawOf<never>, 'inputs'>,
  seed: number,
  path: string,
): Promise<Input> {
  const [input] = await familyAt(law, seed, path, 0);
  if (!input) throw new RangeError(`path: expected the path of a counterexample, got "${path}"`);
  return input;
}

/**
 * Judges inputs, several at once, up to the first that fails or the deadline. What is under way is waited
 * for, so that the first failure in the order of drawing is found whatever the order of finishing.
 */
async function judgeInOrder(
  inputs: readonly Input[],
  judge: (input: Input) => Promise<Verdict>,
  concurrency: number,
  deadline = Infinity,
): Promise<Verdict[]> {
  const verdicts: Verdict[] = [];
  let next = 0;
  let isOver = false;
  const work = async () => {
    while (!isOver && next < inputs.length && performance.now() < deadline) {
      const i = next++;
      await breathe();
      verdicts[i] = await judge(inputs[i]);
      if (verdicts[i].thrown) isOver = true;
    }
  };
  const workers = Math.min(concurrency, inputs.length);
  const all = await Promise.allSettled(Array.from({ length: workers }, work));
  for (const one of all) if (one.status === 'rejected') throw one.reason;
  return verdicts;
}

let lastBreath = 0;

/** Lets the event loop have a turn now and then: for Ctrl-C, timers, and whatever else waits. */
async function breathe(): Promise<void> {
  if (performance.now() - lastBreath < 50) return;
  await new Promise((resolve) => setTimeout(resolve));
  lastBreath = performance.now();
}

interface Found {
  input: Input;
  path: string;
  verdict: Verdict;
}

/** Looks for smaller and smaller inputs that fail too, until none does or the search has taken enough. */
async function shrink(
  law: Pick<LawOf<never>, 'inputs'>,
  seed: number,
  found: Found,
  judge: (input: Input) => Promise<Verdict>,
  concurrency: number,
  { shrinkSteps = 500, shrinkSeconds = 20 }: CheckOptions,
): Promise<Found> {
  const deadline = performance.now() + 1000 * shrinkSeconds;
  let left = shrinkSteps;
  let smallest = found;
  while (left > 0 && performance.now() < deadline) {
    const [, ...smaller] = await familyAt(law, seed, smallest.path, left);
    const verdicts = await judgeInOrder(smaller, judge, concurrency, deadline);
    left -= verdicts.length;
    const i = verdicts.findIndex((verdict) => verdict?.thrown);
    if (i < 0) break;
    smallest = { input: smaller[i], path: `${smallest.path}:${i}`, verdict: verdicts[i] };
  }
  return smallest;
}
