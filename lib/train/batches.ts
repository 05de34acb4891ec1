/** Batches of token sequences: padded behind, never in front, so that nothing pads a recurrence. */

import { ConfigError } from '../../reference/errors.ts';
import { IGNORED_LABEL } from '../../reference/labels.ts';
import { uniform } from '../../reference/philox.ts';

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

/** Steps whose examples are sorted together. */
const GROUP = 8;
/** Rows are padded to a multiple of this. */
const ROUNDED = 8;

export const roundedUp = (tokens: number) => ROUNDED * Math.ceil(tokens / ROUNDED);

/** How examples of a kind become a batch. */
export interface Batching<Item> {
  /** Tokens of a row that an example takes. */
  rowOf(example: Item): number;
  batchOf(examples: readonly Item[], seqlen: number, padToken: number): Batch;
}

/**
 * Batches of examples of alike length, so that little is padding: those of eight steps are sorted, dealt out, and the
 * eight batches taken in an order by chance. Each is as long as its longest example.
 * @param exampleAt the examples by number, from 0; step s would have had `batch` of them from (s − 1)·batch on
 * @param seqlen tokens of a row at most
 * @returns the batch of a step, counted from 1
 * @throws what {@link batchOf} throws.
 */
export function batchesByLength(
  exampleAt: (index: number) => Example,
  options: BatchesOptions,
): (step: number) => Batch {
  const rowOf = ({ tokens }: Example) => tokens.length - 1;
  return anyByLength(exampleAt, { rowOf, batchOf }, options);
}

/** {@link batchesByLength} of examples of any kind. */
export function anyByLength<Item>(
  exampleAt: (index: number) => Item,
  { rowOf, batchOf: join }: Batching<Item>,
  { batch, seqlen, seed, padToken }: BatchesOptions,
): (step: number) => Batch {
  let group: { index: number; batches: Batch[] } | undefined;
  const makeGroup = (index: number): Batch[] => {
    const first = index * GROUP * batch;
    const examples = Array.from({ length: GROUP * batch }, (_, i) => exampleAt(first + i));
    examples.sort((a, b) => rowOf(a) - rowOf(b));
    const dealt = Array.from({ length: GROUP }, (_, i) => {
      const rows = examples.slice(i * batch, (i + 1) * batch);
      const own = Math.min(seqlen, roundedUp(rowOf(rows[rows.length - 1])));
      const place = { seed, problem: index, sample: i, position: 1, purpose: 'problems' } as const;
      return { order: uniform(place), batch: join(rows, own, padToken) };
    });
    return dealt.sort((a, b) => a.order - b.order).map((one) => one.batch);
  };
  return (step) => {
    const index = Math.floor((step - 1) / GROUP);
    if (group?.index !== index) group = { index, batches: makeGroup(index) };
    return group.batches[(step - 1) % GROUP];
  };
}

export interface BatchesOptions {
  /** Sequences of a batch. */
  readonly batch: number;
  readonly seqlen: number;
  readonly seed: number;
  readonly padToken: number;
}

/** Whether each row of a batch counts: 1 where it has a target. */
export function maskOf({ targets }: Batch): Float32Array {
  return Float32Array.from(targets, (target) => (target === IGNORED_LABEL ? 0 : 1));
}
