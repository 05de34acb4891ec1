/** Which token the logits at a place are to predict, and which places count. */

import { ConfigError, ShapeError } from './errors.ts';

/** The label of a token that nothing is to be learned from: a prompt, padding. */
export const IGNORED_LABEL = -100;

export interface LabelsInput {
  /** The tokens themselves, or `ignored`; sequences one after the other. Length batch·seqlen. */
  labels: readonly number[];
  /** Tokens of a sequence. */
  seqlen: number;
  /** Default −100. */
  ignored?: number;
}

/**
 * What the logits at each place are to predict: target[t] = label[t + 1], and `ignored` at the end of a sequence.
 * @throws ConfigError unless seqlen is a whole number ≥ 1, ShapeError unless it divides the number of labels.
 */
export function nextTargets({ labels, seqlen, ignored = IGNORED_LABEL }: LabelsInput): number[] {
  if (!Number.isInteger(seqlen) || seqlen < 1) {
    throw new ConfigError(`nextTargets: seqlen: expected a whole number ≥ 1, got ${seqlen}`);
  }
  if (labels.length % seqlen !== 0) {
    throw new ShapeError(
      `nextTargets: labels: expected a multiple of seqlen = ${seqlen}, got ${labels.length}`,
    );
  }
  return Array.from(labels, (_, i) => ((i + 1) % seqlen === 0 ? ignored : labels[i + 1]));
}

export interface LabelMaskInput extends LabelsInput {
  /**
   * `corrected` counts the logits at t where label t + 1 counts, since that is what they predict.
   * `published` counts them where label t counts, as M1's distillation trainer does: then the last prompt
   * token, which predicts the first answer token, does not count, and the last answer token does.
   * Default `corrected`.
   */
  variant?: 'corrected' | 'published';
}

/**
 * Which places of a batch count in a distillation loss. Length batch·seqlen.
 * @throws ConfigError or ShapeError as {@link nextTargets}.
 */
export function labelMask(input: LabelMaskInput): boolean[] {
  const { ignored = IGNORED_LABEL, variant = 'corrected' } = input;
  if (variant !== 'corrected' && variant !== 'published') {
    throw new ConfigError(`labelMask: variant: expected corrected or published, got ${variant}`);
  }
  const targets = nextTargets(input);
  return Array.from(
    variant === 'published' ? input.labels : targets,
    (target) => target !== ignored,
  );
}
