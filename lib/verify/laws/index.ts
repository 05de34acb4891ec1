/** All laws of all ops. */

import type { OpName } from '../../../reference/ops.ts';
import { choiceLaws, filterLaws, voteLaws } from './choosing.ts';
import { formLaws } from './forms.ts';
import { generalLaws, OP_NAMES } from './general.ts';
import type { Law } from './law.ts';
import { attentionLaws, convolutionLaws, layerLaws, ropeLaws } from './layers.ts';
import { RECURRENCES, recurrenceLaws } from './recurrences.ts';

export { OP_NAMES } from './general.ts';
export type { Law, LawOf, Subject } from './law.ts';

/** Every law, those of one op together. */
export const LAWS: readonly Law[] = [
  ...OP_NAMES.flatMap((op) => generalLaws(op)),
  ...RECURRENCES.flatMap(recurrenceLaws),
  ...formLaws,
  ...convolutionLaws,
  ...attentionLaws,
  ...ropeLaws,
  ...layerLaws,
  ...filterLaws,
  ...choiceLaws,
  ...voteLaws,
];

/** The laws of one op. */
export function lawsOf(op: OpName): Law[] {
  return LAWS.filter((law) => law.op === op);
}
