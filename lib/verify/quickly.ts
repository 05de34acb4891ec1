/** Many subjects in little time: one input for every op of all of them first, then more of everything. */

import type { OpName } from '../../reference/ops.ts';
import { checkLaw, joined, type LawResult } from './check.ts';
import { chooseLaws, DEFAULT_RUNS, type OpReport, reportOn } from './checkSubject.ts';
import { OP_NAMES } from './laws/index.ts';
import type { Law, Subject } from './laws/law.ts';

export interface CheckQuicklyOptions {
  /** No law is begun after so many seconds, but every op is tried once. */
  seconds: number;
  /** Of all draws. Default 1. */
  seed?: number;
  signal?: AbortSignal;
  /** Hears what is tried next. */
  onLaw?(subject: Subject, op: OpName): void;
}

/** A subject and the ops that it is judged by; all that it has when absent. */
export interface Candidate {
  subject: Subject;
  ops?: readonly OpName[];
}

/** One law of one subject, and how it went so far. */
interface Entry {
  readonly subject: Subject;
  readonly op: OpName;
  readonly law: Law;
  result?: LawResult;
}

/** Seconds for shrinking a counterexample, and for naming its cause. */
const SHRINK_SECONDS = 0.5;
const DIAGNOSE_SECONDS = 0.5;

/**
 * Checks several subjects side by side, in passes: the most telling law of every op, then all other laws, each
 * on one input; then twice as many inputs with every further pass, until the time is up or
 * {@link DEFAULT_RUNS} were tried. The laws of an op see the same inputs in a pass, so that a backend that
 * compiles a kernel for each shape compiles it once.
 * @returns the reports of every subject, in their order.
 */
export async function checkQuickly(
  candidates: readonly Candidate[],
  { seconds, seed = 1, signal, onLaw }: CheckQuicklyOptions,
): Promise<OpReport[][]> {
  const deadline = performance.now() + 1000 * seconds;
  const left = () => (deadline - performance.now()) / 1000;
  const chosen = candidates.map(({ subject, ops }) => chooseLaws(subject, { ops }));
  const byOp = OP_NAMES.map((op) =>
    candidates.map(({ subject }, i) =>
      (chosen[i].get(op) ?? []).map((law): Entry => ({ subject, op, law })),
    ),
  );
  const first = byOp.flatMap((subjects) => subjects.flatMap(([one]) => one ?? []));
  const all = byOp.flat(2);
  const spent = new Map<Subject, number>();

  const pass = async (entries: readonly Entry[], from: number, to: number, mayEnd: boolean) => {
    for (const entry of entries) {
      if (mayEnd && left() <= 0) return;
      if (entry.result?.ok === false) continue;
      const { subject, op, law } = entry;
      onLaw?.(subject, op);
      const start = performance.now();
      const result = await checkLaw(law, subject, {
        seed,
        from,
        runs: to - from,
        signal,
        ...(mayEnd && { seconds: left() }),
        ...(isShrunk(entry, all) ? { shrinkSteps: 0 } : { shrinkSeconds: SHRINK_SECONDS }),
      });
      spent.set(subject, (spent.get(subject) ?? 0) + performance.now() - start);
      entry.result = entry.result ? joined(entry.result, result) : result;
    }
  };

  await pass(first, 0, 1, false);
  // whoever is quick is checked completely before time runs out with one who is slow
  const order = (one: Entry) => spent.get(one.subject) ?? 0;
  const quickFirst = [...all].sort((a, b) => order(a) - order(b));
  const isFirst = new Set(first);
  await pass(
    quickFirst.filter((entry) => !isFirst.has(entry)),
    0,
    1,
    true,
  );
  for (let from = 1; from < DEFAULT_RUNS && left() > 0; from *= 2) {
    await pass(quickFirst, from, Math.min(2 * from, DEFAULT_RUNS), true);
  }

  const reports: OpReport[][] = [];
  for (const [i, { subject }] of candidates.entries()) {
    const own: OpReport[] = [];
    for (const [op, laws] of chosen[i]) {
      const entries = all.filter((entry) => entry.subject === subject && entry.op === op);
      const results = entries.flatMap(({ result }) => result ?? []);
      own.push(await reportOn(subject, op, laws, results, seed, DIAGNOSE_SECONDS));
    }
    reports.push(own);
  }
  return reports;
}

/** Whether another law of the same op has its counterexample already. */
function isShrunk({ subject, op }: Entry, all: readonly Entry[]): boolean {
  return all.some(
    (other) => other.subject === subject && other.op === op && other.result?.ok === false,
  );
}
