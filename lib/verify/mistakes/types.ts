/** What an entry of the catalogue of mistakes is. */

import type { OpName } from '../../../reference/ops.ts';

/** A mistake that people make, and what a kernel with it computes. */
export interface Mistake {
  /** The ops in which it is made. */
  readonly ops: readonly OpName[];
  /** What went wrong, in one sentence. */
  readonly cause: string;
  /** What to look at. */
  readonly look: string;
  /** The outputs with the mistake, or some of them; undefined where it makes no difference to compute. */
  wrong(op: OpName, input: object): object | undefined;
}
