/** The proof of the conformance kit: it finds every mistake of fixtures/mutants and accuses no right kernel. */

import { readdirSync } from 'node:fs';
import { relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { type Mistake, mutantFiles } from '../fixtures/mutants/index.ts';
import { checkLaw, type LawResult } from '../lib/verify/check.ts';
import { DEFAULT_RUNS } from '../lib/verify/checkSubject.ts';
import { diagnose } from '../lib/verify/diagnose.ts';
import { lawsOf, type Subject } from '../lib/verify/laws/index.ts';
import { type Kernels, kernelsSubject } from '../lib/verify/subject.ts';
import type { OpName } from '../reference/ops.ts';
import { path } from './support.ts';

type KernelFile = Kernels & { mistake?: Mistake };

const load = (file: string): Promise<KernelFile> =>
  import(/* @vite-ignore */ pathToFileURL(file).href);

/** All laws of an op on one seed's draws. */
async function check(
  subject: Subject,
  op: OpName,
  seed: number,
  runs = DEFAULT_RUNS,
): Promise<LawResult[]> {
  const results: LawResult[] = [];
  for (const law of lawsOf(op)) {
    results.push(await checkLaw(law, subject, { seed, runs, shrinkSteps: 0 }));
  }
  return results;
}

const broken = (results: readonly LawResult[]) => results.filter(({ ok }) => !ok);

const MUTANTS = mutantFiles().map((file) => relative(path('fixtures/mutants'), file));
/** SELSCAN_RUNS shortens the search for false alarms, never the hunt for mutants. */
const ALARM_RUNS = Math.ceil(DEFAULT_RUNS * Number(process.env.SELSCAN_RUNS ?? 1));
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
    const results = await check(subject, op, 1);
    expect(broken(results).length, what).toBeGreaterThan(0);
    // a finding, not a crash
    const problems = broken(results).map(({ counterexample }) => counterexample?.problem);
    expect(problems.join('\n')).not.toMatch(
      /the kernel threw|expected a tensor|expected an object/,
    );
    if (cause) expect((await diagnose(op, subject, results, 1))?.cause).toContain(cause);
  });
});

describe('right kernels', () => {
  describe.each(RIGHT.map((subject) => [subject.name, subject] as const))('of %s', (_, subject) => {
    it.each(SEEDS)('keep all laws of their ops, whatever is drawn: seed %i', async (seed) => {
      for (const op of subject.ops ?? []) {
        const problems = broken(await check(subject, op, seed, ALARM_RUNS)).map(
          ({ law, counterexample }) => `${op} ${law}: ${JSON.stringify(counterexample)}`,
        );
        expect(problems).toEqual([]);
      }
    });
  });
});
