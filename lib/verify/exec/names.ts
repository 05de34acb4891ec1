/** Which ops a program can be given, and by what names they can be asked for. */

import { type OpName, ops } from '../../../reference/ops.ts';
import { TRANSLATIONS } from '../golden/adapters.ts';
import type { Translation, WrittenCase } from '../golden/translation.ts';

/** Our ops that can be written as cases in upstream's vocabulary. */
export const EXEC_OPS = Object.keys(TRANSLATIONS) as OpName[];

/** One of our ops, and upstream's name where it was asked for by that. */
export interface NamedOp {
  readonly op: OpName;
  /** Only cases of this op of upstream's are written, and only what its own implementation takes. */
  readonly golden?: string;
}

/**
 * The ops that a name stands for: one of ours by our name; by upstream's name one, or several where upstream's
 * computes several outputs that are ops here (`activations`). Empty for a name that is neither.
 */
export function opsNamed(text: string): readonly NamedOp[] {
  if (Object.hasOwn(ops, text)) return [{ op: text as OpName }];
  return EXEC_OPS.filter((op) => TRANSLATIONS[op]?.names.includes(text)).map((op) => ({
    op,
    golden: text,
  }));
}

/** The first of {@link opsNamed}. */
export function opNamed(text: string): NamedOp | undefined {
  return opsNamed(text)[0];
}

/** An input as a case, or undefined where it cannot be given to a program under that name. */
export function writeCase(op: OpName, input: unknown, golden?: string): WrittenCase | undefined {
  const translation = TRANSLATIONS[op] as Translation<OpName> | undefined;
  const written = translation?.write(input as never);
  if (!written || hasEmptyTensor(written)) return undefined;
  if (golden === undefined) return written;
  const isTaken = translation?.isUpstreams?.(input as never) ?? true;
  return written.op === golden && isTaken ? written : undefined;
}

/** No recorded case has a tensor without elements, and right programs stumble over sequences without tokens. */
function hasEmptyTensor({ tensors }: WrittenCase): boolean {
  return Object.values(tensors).some((t) => {
    if (t === undefined) return false;
    return ('integers' in t ? t.integers : t).data.length === 0;
  });
}

/**
 * Whether a program can be given an input of one of our ops. Upstream's ops are narrower than ours in places;
 * asked for by upstream's name they are at their narrowest: `selective_scan` starts from no state.
 */
export function acceptsInput(op: OpName, input: unknown, golden?: string): boolean {
  return writeCase(op, input, golden) !== undefined;
}
