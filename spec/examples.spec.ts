/** The examples in other languages, run as programs: right kernels, where NumPy and a C compiler are present. */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { INPUTS } from '../lib/verify/arbitraries.ts';
import { expectClose } from '../lib/verify/compare.ts';
import { EXEC_OPS, openExec } from '../lib/verify/exec/index.ts';
import { runOnReference } from '../lib/verify/golden/run.ts';
import type { Drawn } from '../lib/verify/inputs/drawn.ts';
import { inPrecision, tensorsOf } from '../lib/verify/laws/law.ts';
import type { OpName } from '../reference/ops.ts';
import { path, SEED } from './support.ts';

/** What an example needs, asked for by a command that fails where it is absent. */
function isPresent(name: string, command: string, args: readonly string[]): boolean {
  if (spawnSync(command, args).status === 0) return true;
  if (process.env.SELSCAN_EXPECT?.includes(name)) throw new Error(`expected ${name}, found none`);
  return false;
}

const NOT_IN_NUMPY: readonly OpName[] = [
  'discreteSsdMatrix',
  'layerNorm',
  'rope',
  'swigluMlp',
  'gatedMlp',
  'softmax',
  'logSoftmax',
  'filterLogits',
  'passAtK',
];

/** What upstream's ops do not give out. */
const UNTOLD = ['entering', 'written'];

const inputsOf = (op: OpName) => INPUTS[op] as unknown as fc.Arbitrary<Drawn<object>>;

const EXAMPLES = [
  {
    needs: 'numpy',
    check: ['python3', '-c', 'import numpy'],
    command: () => `python3 '${path('examples/numpy/kernels.py')}'`,
    ops: EXEC_OPS.filter((op) => !NOT_IN_NUMPY.includes(op)),
  },
  {
    needs: 'cc',
    check: ['cc', '--version'],
    command: () => {
      const folder = mkdtempSync(join(tmpdir(), 'selscan-cc-'));
      const [source, program] = [path('examples/c/selective_scan.c'), join(folder, 'scan')];
      const flags = ['-std=c11', '-O2', '-Wall', '-Wextra', '-Werror'];
      const { status, stderr } = spawnSync('cc', [...flags, '-o', program, source, '-lm']);
      expect(status, String(stderr)).toBe(0);
      onTestFinished(() => rmSync(folder, { recursive: true }));
      return `'${program}'`;
    },
    ops: ['selectiveScan', 'causalConv1d'] as OpName[],
  },
];

describe.each(EXAMPLES)(
  'the example that needs $needs',
  ({ needs, check, command, ops: names }) => {
    it('computes its ops as the reference does, in one run for all', async (context) => {
      const [name, ...args] = check;
      context.skip(!isPresent(needs, name, args), `no ${needs} on this machine`);
      const exec = await openExec(command());
      const moderate = ({ dims }: Drawn<object>) =>
        dims.family === 'usual' && !['fast', 'extreme'].includes(String(dims.extent));
      const draws = names.flatMap((op) =>
        fc
          .sample(inputsOf(op).filter(moderate), { numRuns: 20, seed: SEED })
          .filter(({ input }) => exec.accepts(op, input))
          .map((drawn) => ({ op, drawn })),
      );
      await Promise.all(
        draws.map(async ({ op, drawn }) => {
          const got = await exec.run(op, inPrecision(drawn.input, 'float32') as never);
          const want = (await runOnReference(op, drawn.input as never)) as object;
          for (const [output, tensor] of tensorsOf(want)) {
            if (UNTOLD.includes(output)) continue;
            const largest = Math.max(...Array.from(tensor.data, Math.abs));
            const tolerance = { relative: 1e-5, absolute: 1e-5 * largest };
            const [, computed] = tensorsOf(got).find(([other]) => other === output) ?? [];
            if (!computed) throw new Error(`${op}: no ${output} for ${JSON.stringify(drawn.dims)}`);
            expectClose(
              `${op} of ${JSON.stringify(drawn.dims)}: ${output}`,
              computed,
              tensor,
              tolerance,
            );
          }
        }),
      );
      await exec.close();
    });
  },
);
