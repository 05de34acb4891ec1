/** The proof of the conformance kit: it finds every mistake of fixtures/mutants and accuses no right kernel. */

import { readdirSync } from 'node:fs';
import { relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { type Mistake, mutantFiles } from '../fixtures/mutants/index.ts';
import { checkLaw, type LawResult } from '../lib/verify/check.ts';
import { chooseLaws, DEFAULT_RUNS } from '../lib/verify/checkSubject.ts';
import { diagnose } from '../lib/verify/diagnose.ts';
import type { Subject } from '../lib/verify/laws/index.ts';
import { type Kernels, kernelsSubject } from '../lib/verify/subject.ts';
import type { OpName } from '../reference/ops.ts';
import { path } from './support.ts';

type KernelFile = Kernels & { mistake?: Mistake };

const load = (file: string): Promise<KernelFile> =>
  import(/* @vite-ignore */ pathToFileURL(file).href);

/** The laws of an op on one seed's draws: all of them, or up to the first that is broken. */
async function check(
  subject: Subject,
  op: OpName,
  {
    seed,
    runs = DEFAULT_RUNS,
    isShort = false,
  }: { seed: number; runs?: number; isShort?: boolean },
): Promise<LawResult[]> {
  const results: LawResult[] = [];
  for (const [, laws] of chooseLaws(subject, { ops: [op] })) {
    for (const law of laws) {
      results.push(await checkLaw(law, subject, { seed, runs, shrinkSteps: 0 }));
      if (isShort && broken(results).length > 0) return results;
    }
  }
  return results;
}

const broken = (results: readonly LawResult[]) => results.filter(({ ok }) => !ok);

const causeOf = async (subject: Subject, op: OpName, results: readonly LawResult[]) =>
  (await diagnose(op, subject, results, 1))?.cause ?? 'none';

const MUTANTS = mutantFiles().map((file) => relative(path('fixtures/mutants'), file));
/** SELSCAN_RUNS=10 searches for false alarms with as many inputs as `selscan verify` does by default. */
const ALARM_RUNS = Math.ceil((DEFAULT_RUNS / 10) * Number(process.env.SELSCAN_RUNS ?? 1));
const SEEDS = Array.from({ length: 20 }, (_, i) => i + 1);

/** The files of right kernels; some only hold what others share. */
const files = readdirSync(path('fixtures/kernels'));
const RIGHT = (
  await Promise.all(
    files.map(async (name) => kernelsSubject(await load(path('fixtures/kernels', name)), { name })),
  )
).filter(({ ops = [] }) => ops.length > 0);

describe('mutants', () => {
  it('are at least 48, of every op of the right kernels', () => {
    expect(MUTANTS.length).toBeGreaterThanOrEqual(48);
    const mistaken = new Set(MUTANTS.map((name) => name.split('/')[0]));
    expect(mistaken).toEqual(new Set(RIGHT.flatMap(({ ops = [] }) => ops)));
  });

  it.each(MUTANTS)('%s is found, and its cause named where one is known', async (name) => {
    const mutant = await load(path('fixtures/mutants', name));
    const subject = kernelsSubject(mutant, { name });
    const { op, what, cause } = mutant.mistake as Mistake;
    expect(name.startsWith(`${op}/`)).toBe(true);
    expect(subject.ops).toEqual([op]);
    const results = await check(subject, op, { seed: 1, isShort: true });
    expect(broken(results).length, what).toBeGreaterThan(0);
    // a finding, not a crash
    const problems = broken(results).map(({ counterexample }) => counterexample?.problem);
    expect(problems.join('\n')).not.toMatch(
      /the kernel threw|expected a tensor|expected an object/,
    );
    if (cause === undefined || (await causeOf(subject, op, results)).includes(cause)) return;
    // it may be told by which laws are broken, and by which not
    const all = await check(subject, op, { seed: 1 });
    expect(await causeOf(subject, op, all)).toContain(cause);
  });
});

describe('right kernels', () => {
  describe.each(RIGHT.map((subject) => [subject.name, subject] as const))('of %s', (_, subject) => {
    it.each(SEEDS)('keep all laws of their ops, whatever is drawn: seed %i', async (seed) => {
      for (const op of subject.ops ?? []) {
        const problems = broken(await check(subject, op, { seed, runs: ALARM_RUNS })).map(
          ({ law, counterexample }) => `${op} ${law}: ${JSON.stringify(counterexample)}`,
        );
        expect(problems).toEqual([]);
      }
    });
  });
});
