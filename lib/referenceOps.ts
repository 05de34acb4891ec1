/** The reference's ops in the form in which backends offer theirs. */

import type { BackendOps, RunOp } from '../backends/types.ts';
import { UnsupportedError } from '../reference/errors.ts';
import { type OpName, ops } from '../reference/ops.ts';

/** Runs ops of the reference. */
export const runOnReference: RunOp = async (name, input) => {
  const op = ops[name] as (input: unknown) => never;
  return op(input);
};

/** All ops of the reference. */
export const referenceOps: BackendOps = Object.fromEntries(
  (Object.keys(ops) as OpName[]).map((name) => [
    name,
    (input: never) => runOnReference(name, input),
  ]),
);

/**
 * Runs the ops of a backend.
 * @throws UnsupportedError for one that it does not declare.
 */
export function runOnOps(backend: string, table: BackendOps): RunOp {
  return (name, input) => {
    const op = table[name] as ((input: unknown) => Promise<never>) | undefined;
    if (op) return op(input);
    throw new UnsupportedError(`op "${name}" is not declared by ${backend}`);
  };
}
