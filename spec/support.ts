/** What several specs need: the seed of all draws, laws as tests, the command line as a user runs it. */

import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { runCommandLine } from '../lib/cli/commandLine.ts';
import { FLOAT32, FLOAT64 } from '../lib/verify/approx.ts';
import { checkLaw } from '../lib/verify/check.ts';
import { runOnReference } from '../lib/verify/golden/run.ts';
import { lawsOf, type Subject } from '../lib/verify/laws/index.ts';
import type { LawOf } from '../lib/verify/laws/law.ts';
import type { OpName } from '../reference/ops.ts';

/** Makes every draw of every spec. A failure prints it with the dimensions that failed. */
export const SEED = Number(process.env.SELSCAN_SEED ?? 20260101);

/** How often a law is tried; SELSCAN_RUNS multiplies it. */
export const RUNS = 150 * Number(process.env.SELSCAN_RUNS ?? 1);

/** A path in the checkout. */
export function path(...parts: string[]): string {
  return join(fileURLToPath(new URL('..', import.meta.url)), ...parts);
}

export const TINY_STORIES = path('fixtures/models/tinystories-260k');

/** Fails with the smallest counterexample, its dimensions and the seed that finds it again. */
export async function expectLaw<Judged>(
  law: LawOf<Judged>,
  subject: Judged,
  runs = RUNS,
): Promise<void> {
  const { ok, counterexample } = await checkLaw(law, subject, { seed: SEED, runs });
  const found = counterexample && `${counterexample.problem} for ${JSON.stringify(counterexample)}`;
  expect(ok, `${law.law}: ${found}`).toBe(true);
}

const reference = { name: 'reference', run: runOnReference, isBitwise: true, showsNaN: true };

export const REFERENCE: Record<'float64' | 'float32', Subject> = {
  float64: { ...reference, precision: 'float64', machine: FLOAT64 },
  float32: { ...reference, precision: 'float32', machine: FLOAT32 },
};

/** One test for each law of an op, in both precisions of the reference. */
export function describeLaws(...ops: OpName[]): void {
  for (const op of ops) {
    describe.each(['float64', 'float32'] as const)(`${op} in %s`, (precision) => {
      for (const law of lawsOf(op)) {
        it(law.law, () => expectLaw(law, REFERENCE[precision]));
      }
    });
  }
}

/** A folder that is gone after the spec. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'selscan-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export interface CommandResult {
  code: number | null;
  out: string;
  err: string;
}

/**
 * Runs the command line in this process, which spares each run the start of another one. What only a process has (its
 * exit code, signals, pipes) is tried with `selscanProcess`.
 */
export async function selscan(
  args: readonly string[],
  signal = new AbortController().signal,
): Promise<CommandResult> {
  let [out, err] = ['', ''];
  const terminal = {
    ...{ isInteractive: false, columns: 100, style: (_: unknown, text: string) => text },
    out: (text: string) => {
      out += text;
    },
    err: (text: string) => {
      err += text;
    },
  };
  const code = await runCommandLine(args, { terminal, signal });
  return { code, out, err };
}

/** Runs the command line as `npm run -s selscan -- …` does. */
export function selscanProcess(args: readonly string[]): Promise<CommandResult> {
  const all = ['--import', 'tsx', path('lib/cli/main.ts'), ...args];
  return resultOf(
    spawn(process.execPath, all, { cwd: path('.'), env: { ...process.env, NO_COLOR: '1' } }),
  );
}

/** What a process says and how it ends. */
export function resultOf(child: ChildProcessWithoutNullStreams): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    let [out, err] = ['', ''];
    child.stdout.on('data', (chunk) => {
      out += chunk;
    });
    child.stderr.on('data', (chunk) => {
      err += chunk;
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, out, err }));
  });
}
