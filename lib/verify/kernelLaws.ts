/** The laws for other people's own test suites. */

import fc from 'fast-check';
import type { OpName } from '../../reference/ops.ts';
import { type CheckOptions, checkLaw } from './check.ts';
import { DifferenceError } from './compare.ts';
import { diagnose } from './diagnose.ts';
import type { Drawn } from './inputs/drawn.ts';
import { lawsOf, OP_NAMES } from './laws/index.ts';
import { hasOp } from './laws/law.ts';
import { type KernelSubjectOptions, type Kernels, kernelsSubject } from './subject.ts';

export interface KernelLawsOptions
  extends KernelSubjectOptions,
    Pick<CheckOptions, 'runs' | 'seed' | 'path'> {}

/** One law of one kernel, ready to be a test. */
export interface KernelLaw {
  /** `selectiveScan never looks ahead`. */
  readonly name: string;
  readonly op: OpName;
  readonly law: string;
  /**
   * Tries it. Rejects with DifferenceError, whose message has the smallest counterexample, its seed and path,
   * and the likely cause.
   */
  check(): Promise<void>;
  /** The same law for fast-check's own runner: `fc.assert(property)`. */
  readonly property: fc.IAsyncProperty<[Drawn<unknown>]>;
}

/**
 * Every law of some kernels, for any test runner.
 *
 * @example
 * import { ops } from 'selscan/reference';
 * import { kernelLaws } from 'selscan/verify';
 *
 * const laws = kernelLaws({ selectiveScan: ops.selectiveScan }, { runs: 20, seed: 7 });
 * // in vitest: for (const { name, check } of laws) it(name, check);
 * for (const { check } of laws) await check();
 * console.log(laws[0].name);
 * // selectiveScan gives the same bits twice
 */
export function kernelLaws(kernels: Kernels, options: KernelLawsOptions = {}): KernelLaw[] {
  const { runs, seed = 1, path } = options;
  const subject = kernelsSubject(kernels, options);
  return OP_NAMES.filter((op) => hasOp(subject, op)).flatMap((op) =>
    lawsOf(op).map((law) => ({
      name: `${op} ${law.law}`,
      op,
      law: law.law,
      check: async () => {
        const result = await checkLaw(law, subject, { runs, seed, path });
        if (!result.counterexample) return;
        const { dims, problem } = result.counterexample;
        const diagnosis = await diagnose(op, subject, [result], seed);
        throw new DifferenceError(
          `${op} ${law.law}: ${problem}; input ${JSON.stringify(dims)}, seed ${seed}, ` +
            `path "${result.counterexample.path}"` +
            (diagnosis ? `; likely cause: ${diagnosis.cause} (${diagnosis.look})` : ''),
        );
      },
      property: fc.asyncProperty(law.inputs, async ({ input }) => {
        await law.check(subject, input);
      }),
    })),
  );
}
