/** Tasks that are sequences of token ids with targets, for layers to be tried on alone. */

import { IGNORED_LABEL } from '../../reference/labels.ts';
import { CONCLUSION, type StepForm } from './steps.ts';
import type { Content } from './task.ts';

/** The target of a position where nothing is asked. */
export const IGNORED = IGNORED_LABEL;

/** What a problem of token ids has besides; its texts are the same ids in decimal. */
export interface TokenContent {
  /** Input ids. Shape (seqlen). */
  readonly tokens: readonly number[];
  /** The id to be predicted at each position, or {@link IGNORED}. Shape (seqlen). */
  readonly targets: readonly number[];
}

/** A problem whose answer is the targets in order. */
export function tokenProblem(tokens: number[], targets: number[]): Content & TokenContent {
  const answer = targets.filter((target) => target !== IGNORED).join(' ');
  return { prompt: tokens.join(' '), chain: `${CONCLUSION} ${answer}`, answer, tokens, targets };
}

/** A conclusion is ids between single spaces. */
export function formOfIds(step: string): StepForm {
  const [mark, ...ids] = step.split(' ');
  const areIds = ids.length > 0 && ids.every((id) => /^[0-9]{1,7}$/.test(id));
  return mark === CONCLUSION && areIds ? 'true' : 'malformed';
}
