/** The catalogue of mistakes: what a wrong kernel is compared with, to tell its author what is likely wrong. */

import type { OpName } from '../../../reference/ops.ts';
import { ATTENTION_MISTAKES, ROPE_MISTAKES } from './attention.ts';
import { CHUNK_MISTAKES } from './chunks.ts';
import { CONVOLUTION_MISTAKES } from './convolution.ts';
import { LAYER_MISTAKES } from './layers.ts';
import { NORM_MISTAKES } from './norms.ts';
import { RECURRENCE_MISTAKES } from './recurrences.ts';
import type { Mistake } from './types.ts';

export type { Mistake } from './types.ts';

/** Every mistake; of two that fit, the earlier one is named. */
export const MISTAKES: readonly Mistake[] = [
  ...RECURRENCE_MISTAKES,
  ...CHUNK_MISTAKES,
  ...CONVOLUTION_MISTAKES,
  ...NORM_MISTAKES,
  ...ATTENTION_MISTAKES,
  ...ROPE_MISTAKES,
  ...LAYER_MISTAKES,
];

/** The mistakes that are made in an op. */
export function mistakesIn(op: OpName): Mistake[] {
  return MISTAKES.filter(({ ops }) => ops.includes(op));
}
