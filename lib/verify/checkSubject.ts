/** Judging a subject by all laws of its ops, with a report that says what is wrong and how to see it again. */

import { ConfigError } from '../../reference/errors.ts';
import type { OpName } from '../../reference/ops.ts';
import { type Counterexample, checkLaw, type LawResult } from './check.ts';
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
  /** What all laws together may take; each gets its share of what is left. Default: no limit. */
  seconds?: number;
  /** Hears of every law as soon as it is checked. */
  onLaw?(op: OpName, result: LawReport): void;
}

/** A counterexample and all that is known about it. All of it is JSON. */
export type Finding = Counterexample & { divergence?: Divergence } & Partial<Diagnosis>;

export interface LawReport {
  law: string;
  /** Inputs tried. */
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
  laws: LawReport[];
  ok: boolean;
}

const EQUATION = 'is what its equation says';

/** Inputs for each law: enough to kill every mutant of fixtures/mutants with room to spare. */
export const DEFAULT_RUNS = 100;

/**
 * Checks every law of every op that a subject has, and looks for the likely cause of what is broken.
 * @throws ConfigError for an op or a law that there is not; the signal's reason when it fires.
 */
export async function checkSubject(
  subject: Subject,
  options: CheckSubjectOptions = {},
): Promise<OpReport[]> {
  const { runs = DEFAULT_RUNS, seed = 1, path, signal, seconds = Infinity } = options;
  const chosen = chooseLaws(subject, options);
  const deadline = performance.now() + 1000 * seconds;
  let left = [...chosen.values()].reduce((sum, laws) => sum + laws.length, 0);
  const reports: OpReport[] = [];
  for (const [op, laws] of chosen) {
    const results: LawResult[] = [];
    for (const law of laws) {
      const share = Math.max(deadline - performance.now(), 0) / left-- / 1000;
      // one counterexample an op is shrunk with patience
      const shrinkSeconds = results.every(({ ok }) => ok) ? 10 : 2;
      const limits = { seconds: share, shrinkSeconds };
      results.push(await checkLaw(law, subject, { runs, seed, path, signal, ...limits }));
    }
    // a kernel that throws or hangs has said already what is wrong
    const isWrong = results.some(({ error }) => error instanceof DifferenceError);
    const diagnosis = isWrong ? await diagnose(op, subject, results, seed) : undefined;
    const reported = results.map((result) => reportOf(op, result, diagnosis));
    for (const law of reported) options.onLaw?.(op, law);
    reports.push({ op, backend: subject.name, laws: reported, ok: reported.every(({ ok }) => ok) });
  }
  return reports;
}

function chooseLaws(subject: Subject, options: CheckSubjectOptions): Map<OpName, Law[]> {
  const ops = options.ops ?? OP_NAMES.filter((op) => hasOp(subject, op));
  const missing = ops.find((op) => !hasOp(subject, op));
  if (missing) {
    throw new ConfigError(
      `op: expected one of ${(subject.ops ?? OP_NAMES).join(', ')}, got ${missing}`,
    );
  }
  const chosen = new Map<OpName, Law[]>();
  for (const op of ops) {
    const laws = lawsOf(op).filter(({ law }) => options.laws?.includes(law) ?? true);
    // what most depends on, first: time may run out
    laws.sort((a, b) => Number(b.law === EQUATION) - Number(a.law === EQUATION));
    if (laws.length > 0) chosen.set(op, laws);
  }
  if (chosen.size === 0) {
    const known = [...new Set(ops.flatMap((op) => lawsOf(op).map(({ law }) => `"${law}"`)))];
    throw new ConfigError(`law: expected one of ${known.join(', ')}, got ${options.laws}`);
  }
  return chosen;
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
