/** Batches of token sequences: padded behind, never in front, so that nothing pads a recurrence. */

import { ConfigError } from '../../reference/errors.ts';
import { IGNORED_LABEL } from '../../reference/labels.ts';

/** A sequence, and from which token on it is to be learned. */
export interface Example {
  readonly tokens: readonly number[];
  /** Tokens before this one are read, not learned: a prompt. */
  readonly learnFrom: number;
}

export interface Batch {
  /** (batch·seqlen). */
  readonly tokens: Int32Array;
  /** (batch·seqlen): the token that follows, or −100 where nothing is to be learned. */
  readonly targets: Int32Array;
  readonly seqlen: number;
}

/**
 * Puts examples side by side. Their last token is a target only; what is behind it is padded.
 * @param seqlen tokens of a row, at least those of the longest example less one
 * @throws ConfigError for an example that is too long or has nothing to learn.
 */
export function batchOf(examples: readonly Example[], seqlen: number, padToken: number): Batch {
  const tokens = new Int32Array(examples.length * seqlen).fill(padToken);
  const targets = new Int32Array(examples.length * seqlen).fill(IGNORED_LABEL);
  examples.forEach(({ tokens: own, learnFrom }, row) => {
    if (own.length - 1 > seqlen || own.length < 2 || learnFrom >= own.length) {
      throw new ConfigError(
        `train: expected examples of 2 to ${seqlen + 1} tokens with something to learn, ` +
          `got ${own.length} tokens to be learned from token ${learnFrom}; take a larger seqlen`,
        'ExampleLength',
      );
    }
    for (let t = 0; t + 1 < own.length; t++) {
      tokens[row * seqlen + t] = own[t];
      if (t + 1 >= learnFrom) targets[row * seqlen + t] = own[t + 1];
    }
  });
  return { tokens, targets, seqlen };
}

/** Whether each row of a batch counts: 1 where it has a target. */
export function maskOf({ targets }: Batch): Float32Array {
  return Float32Array.from(targets, (target) => (target === IGNORED_LABEL ? 0 : 1));
}
