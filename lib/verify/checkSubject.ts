/** Judging a subject by all laws of its ops, with a report that says what is wrong and how to see it again. */

import { ConfigError, SelscanError } from '../../reference/errors.ts';
import type { OpName } from '../../reference/ops.ts';
import { type Counterexample, checkLaw, isTimeout, type LawResult } from './check.ts';
import { DifferenceError } from './compare.ts';
import { type Diagnosis, diagnose } from './diagnose.ts';
import { type Divergence, divergenceOf } from './finding.ts';
import { lawsOf, OP_NAMES } from './laws/index.ts';
import { hasOp, type Law, type Subject } from './laws/law.ts';

export interface CheckSubjectOptions {
  /** Default: all that the subject has. */
  ops?: readonly OpName[];
  /** Only laws with these names. Default: all. */
  laws?: readonly string[];
  /** Inputs for each law. Default {@link DEFAULT_RUNS}. */
  runs?: number;
  /** Of all draws. Default 1. */
  seed?: number;
  /** Tries one input only: the path of a counterexample. */
  path?: string;
  signal?: AbortSignal;
  /** Hears of every law as soon as it is checked. */
  onLaw?(op: OpName, result: LawResult): void;
}

/** A counterexample and all that is known about it. All of it is JSON. */
export type Finding = Counterexample & { divergence?: Divergence } & Partial<Diagnosis>;

export interface LawReport {
  law: string;
  /** Inputs tried, at least one. */
  runs: number;
  /** Largest error as a share of the allowed one; null where there is no such number. */
  worst: number | null;
  ok: boolean;
  counterexample?: Finding;
}

export interface OpReport {
  op: OpName;
  /** The name of the subject. */
  backend: string;
  /** The laws that were tried. */
  laws: LawReport[];
  /** The others: there was no time, no input that the subject takes, or no point in going on. */
  notTried: string[];
  /** Whether a law was tried, and none is broken. */
  ok: boolean;
}

const EQUATION = 'is what its equation says';

/** Inputs for each law: with seeds 1, 2 and 3 enough to find every mutant of fixtures/mutants. */
export const DEFAULT_RUNS = 100;

/** Seconds that the one counterexample of an op that is shrunk may take. */
const SHRINK_SECONDS = 10;

/**
 * Checks every law of every op that a subject has, and looks for the likely cause of what is broken. The first
 * counterexample of an op is shrunk. Who hangs, or ends without an answer, is not asked again about that op; a
 * program that hangs, about none.
 * @throws ConfigError for an op or a law that there is not; the signal's reason when it fires.
 */
export async function checkSubject(
  subject: Subject,
  options: CheckSubjectOptions = {},
): Promise<OpReport[]> {
  const { runs = DEFAULT_RUNS, seed = 1, path, signal } = options;
  const reports: OpReport[] = [];
  let isHung = false;
  for (const [op, laws] of chooseLaws(subject, options)) {
    const results: LawResult[] = [];
    for (const law of laws) {
      if (isHung || results.some(({ error }) => isNoAnswer(error))) break;
      const shrinking = results.every(({ ok }) => ok)
        ? { shrinkSeconds: SHRINK_SECONDS }
        : { shrinkSteps: 0 };
      const result = await checkLaw(law, subject, { runs, seed, path, signal, ...shrinking });
      isHung = codeOf(result.error) === 'ExecTimeout';
      results.push(result);
      options.onLaw?.(op, result);
    }
    reports.push(await reportOn(subject, op, laws, results, seed));
  }
  return reports;
}

const codeOf = (error: unknown) => (error instanceof SelscanError ? error.code : undefined);

/** Whether a subject hung, or a program ended without an answer. */
const isNoAnswer = (error: unknown) => isTimeout(error) || codeOf(error) === 'ExecFailed';

/** The laws of every op that a subject is to be judged by, what most depends on first. */
export function chooseLaws(
  subject: Subject,
  options: Pick<CheckSubjectOptions, 'ops' | 'laws'>,
): Map<OpName, Law[]> {
  const ops = options.ops ?? OP_NAMES.filter((op) => hasOp(subject, op));
  const missing = ops.find((op) => !hasOp(subject, op));
  if (missing) {
    throw new ConfigError(
      `op: expected one of ${(subject.ops ?? OP_NAMES).join(', ')}, got ${missing}`,
    );
  }
  const chosen = new Map<OpName, Law[]>();
  for (const op of ops) {
    const laws = lawsOf(op)
      .filter(({ law }) => options.laws?.includes(law) ?? true)
      .filter(({ isAboutMemory }) => !(isAboutMemory && subject.isApart));
    laws.sort((a, b) => Number(b.law === EQUATION) - Number(a.law === EQUATION));
    if (laws.length > 0) chosen.set(op, laws);
  }
  if (chosen.size === 0) {
    const known = [...new Set(ops.flatMap((op) => lawsOf(op).map(({ law }) => `"${law}"`)))];
    throw new ConfigError(`law: expected one of ${known.join(', ')}, got ${options.laws}`);
  }
  return chosen;
}

/** What is known of an op once its laws were checked, with the likely cause of what is broken. */
export async function reportOn(
  subject: Subject,
  op: OpName,
  laws: readonly Law[],
  results: readonly LawResult[],
  seed: number,
  seconds?: number,
): Promise<OpReport> {
  // a kernel that throws or hangs has said already what is wrong
  const isWrong = results.some(({ error }) => error instanceof DifferenceError);
  const diagnosis = isWrong ? await diagnose(op, subject, results, seed, seconds) : undefined;
  const tried = results.filter(({ runs }) => runs > 0);
  const names = new Set(tried.map(({ law }) => law));
  return {
    op,
    backend: subject.name,
    laws: tried.map((result) => reportOf(op, result, diagnosis)),
    notTried: laws.filter(({ law }) => !names.has(law)).map(({ law }) => law),
    ok: tried.length > 0 && tried.every(({ ok }) => ok),
  };
}

function reportOf(op: OpName, result: LawResult, diagnosis: Diagnosis | undefined): LawReport {
  const { law, runs, ok, counterexample, error } = result;
  const worst = Number.isFinite(result.worst) ? result.worst : null;
  if (!counterexample) return { law, runs, worst, ok };
  const divergence = divergenceOf(op, error);
  return {
    law,
    runs,
    worst,
    ok,
    counterexample: { ...counterexample, ...(divergence && { divergence }), ...diagnosis },
  };
}
