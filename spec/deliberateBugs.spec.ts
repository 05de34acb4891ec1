/** The laws find mistakes: each deliberate bug in a copy of the reference breaks the law that is named for it. */

import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { DELIBERATE_BUGS, type DeliberateBug } from '../fixtures/deliberateBugs.ts';
import { checkLaw } from '../lib/verify/check.ts';
import type { RunOp } from '../lib/verify/golden/case.ts';
import { type Law, lawsOf } from '../lib/verify/laws/index.ts';
import { type Ops, ops } from '../reference/ops.ts';
import { path, REFERENCE, SEED } from './support.ts';

const BUGS = path('.scratch/bugs');
const OPTIONS = { seed: SEED, runs: 300 };

afterAll(() => rmSync(BUGS, { recursive: true, force: true }));

function lawOf({ op, law }: DeliberateBug): Law {
  const [found] = lawsOf(op).filter((candidate) => candidate.law === law);
  if (!found) throw new Error(`${op} has no law "${law}"`);
  return found;
}

/** The ops of a copy of the reference with the bug in it. */
async function buggyOps(bug: DeliberateBug, n: number): Promise<Ops> {
  const copy = join(BUGS, String(n), 'reference');
  rmSync(copy, { recursive: true, force: true });
  mkdirSync(copy, { recursive: true });
  cpSync(path('reference'), copy, { recursive: true });
  const file = join(copy, bug.file);
  writeFileSync(
    file,
    readFileSync(file, 'utf8').replace(bug.from, () => bug.to),
  );
  const copied = await import(/* @vite-ignore */ pathToFileURL(join(copy, 'ops.ts')).href);
  return copied.ops;
}

describe('laws', () => {
  it('face at least 14 different bugs', () => {
    expect(new Set(DELIBERATE_BUGS.map(({ bug }) => bug)).size).toBe(DELIBERATE_BUGS.length);
    expect(DELIBERATE_BUGS.length).toBeGreaterThanOrEqual(14);
  });

  describe.each(
    DELIBERATE_BUGS.map((bug, n): [string, DeliberateBug, number] => [bug.bug, bug, n]),
  )('find that %s', (_, bug, n) => {
    it('is a bug whose text stands in the source exactly once', () => {
      expect(readFileSync(path('reference', bug.file), 'utf8').split(bug.from)).toHaveLength(2);
    });

    it(`breaks "${bug.op} ${bug.law}"`, async () => {
      const buggy = await buggyOps(bug, n);
      const run: RunOp = async (name, input) => (buggy[name] as (input: unknown) => never)(input);
      const subject = { ...REFERENCE.float64, run };
      const result = await checkLaw(lawOf(bug), subject, OPTIONS);
      expect(result.ok).toBe(false);
      // a finding, not a crash of the copy
      expect(result.counterexample?.problem).not.toMatch(/is not (defined|a function)/);
    });

    it(`leaves "${bug.op} ${bug.law}" true of the reference itself`, async () => {
      const { ok, counterexample } = await checkLaw(lawOf(bug), REFERENCE.float64, OPTIONS);
      expect(counterexample?.problem).toBeUndefined();
      expect(ok).toBe(true);
    });
  });

  it('leave one mistake to a worked example: taking the token where the sum only reaches u', async () => {
    // no random draw meets an edge of the distribution exactly; ½ of two equal logits does
    const input = { logits: { data: Float64Array.of(0, 0), shape: [1, 2] }, u: [0.5] };
    const atEdge: DeliberateBug = {
      bug: 'a token is drawn where the cumulative sum reaches u',
      file: 'sampling.ts',
      from: 'sum > u[r] * total',
      to: 'sum >= u[r] * total',
      op: 'chooseToken',
      law: 'inverts the cumulative distribution',
    };
    const buggy = await buggyOps(atEdge, DELIBERATE_BUGS.length);
    expect(buggy.chooseToken(input).tokens).toEqual([0]);
    expect(ops.chooseToken(input).tokens).toEqual([1]);
  });
});
