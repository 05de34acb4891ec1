/** Which problems are for training and which are held out: decided by the prompt alone. */

import { ConfigError } from '../../reference/errors.ts';

/** What a problem may be used for. */
export type Split = 'train' | 'validation' | 'test';

export const SPLITS: readonly Split[] = ['train', 'validation', 'test'];

/** Of 20 problems one is for validation and one for test. */
const BUCKETS = 20;

/**
 * The split that a prompt belongs to. The same prompt is in the same split whatever seed, index, preset or task it
 * came from, so that nothing held out can turn up in training.
 */
export function splitOf(prompt: string): Split {
  const bucket = hashOf(prompt) % BUCKETS;
  if (bucket === 0) return 'test';
  return bucket === 1 ? 'validation' : 'train';
}

/** @throws ConfigError for a split that does not exist. */
export function checkSplit(split: string): asserts split is Split {
  if (!SPLITS.includes(split as Split)) {
    throw new ConfigError(`split: expected one of ${SPLITS.join(', ')}, got ${split}`);
  }
}

/**
 * A 32-bit hash of a text: FNV-1a over its UTF-16 units (Fowler, Noll and Vo), then the finalizer of
 * MurmurHash3 (Appleby), since the low bits of FNV-1a alone follow those of the last unit.
 */
export function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
