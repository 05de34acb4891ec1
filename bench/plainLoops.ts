/** The plain loops of fixtures/kernels as ops: what TypeScript does without any device. */

import * as activations from '../fixtures/kernels/activations.ts';
import * as attention from '../fixtures/kernels/attention.ts';
import * as convolution from '../fixtures/kernels/causalConv1d.ts';
import * as discreteSsd from '../fixtures/kernels/discreteSsd.ts';
import * as linear from '../fixtures/kernels/linear.ts';
import * as norms from '../fixtures/kernels/norms.ts';
import * as rope from '../fixtures/kernels/rope.ts';
import * as selectiveScan from '../fixtures/kernels/selectiveScan.ts';
import * as ssd from '../fixtures/kernels/ssd.ts';
import { type Kernels, type RunOp, runOnReference } from '../lib/verify/index.ts';

/** Kernels by the names of their ops; makers among them are no ops and are never asked for. */
export const PLAIN_LOOPS = {
  ...activations,
  ...linear,
  ...norms,
  ...convolution,
  ...selectiveScan,
  ...ssd,
  ...discreteSsd,
  ...rope,
  ...attention,
} as Kernels;

/** Runs ops as plain loops; the reference has the few that have none. */
export const runPlainLoops: RunOp = async (name, input) => {
  const kernel = PLAIN_LOOPS[name] as ((input: unknown) => never) | undefined;
  return kernel ? kernel(input) : runOnReference(name, input);
};
