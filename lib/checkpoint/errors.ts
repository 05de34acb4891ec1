/** The one error that a bad file raises, with the stable code that says what is bad about it. */

import { SelscanError } from '../../reference/errors.ts';

/** What can be wrong with a file. Stable: programs may match on these. */
export type CheckpointCode =
  // the container
  | 'NotFound'
  | 'Truncated'
  | 'NotACheckpoint'
  | 'UnsafeFormat'
  | 'UnsupportedFormat'
  | 'HeaderTooLarge'
  | 'HeaderUtf8'
  | 'HeaderJson'
  | 'HeaderSchema'
  | 'DuplicateKey'
  | 'UnsafeKey'
  | 'Dtype'
  | 'Overflow'
  | 'SizeMismatch'
  | 'Offsets'
  | 'Overlap'
  | 'Hole'
  | 'Trailing'
  | 'Limit'
  // GGUF's container besides
  | 'Magic'
  | 'Version'
  | 'Endian'
  | 'Kv'
  | 'Align'
  | 'Shape'
  // shards
  | 'IndexJson'
  | 'IndexSchema'
  | 'IndexMismatch'
  | 'ShardPath'
  | 'ShardMissing'
  // config and weights
  | 'ConfigJson'
  | 'ConfigSchema'
  | 'ConfigRange'
  | 'ConfigMismatch'
  | 'UnsupportedModel'
  | 'MissingTensor'
  | 'UnexpectedTensor'
  | 'ShapeMismatch'
  | 'NonFinite'
  // tokenizer
  | 'TokenizerJson'
  | 'TokenizerSchema'
  | 'TokenizerRegex'
  | 'UnsupportedTokenizer'
  | 'ChatTemplate'
  // a saved state
  | 'StateMismatch';

/**
 * A file is not what it should be. The message names the file, what was found where, and what to do.
 * Nothing has been allocated on the file's word alone, and no partial model is left behind.
 */
export class CheckpointError extends SelscanError {
  declare readonly code: CheckpointCode;
  /** Name of the file, as it was opened or as the index calls it. */
  readonly file: string;

  constructor(code: CheckpointCode, file: string, problem: string, options?: { cause?: unknown }) {
    super(code, `${printable(file)}: ${printable(problem)}`, options);
    this.file = file;
  }
}

/** Text from a file made safe to print: control characters shown as escapes, long texts cut. */
export function printable(text: string, most = 500): string {
  const safe = text.replace(
    /[\p{Cc}\p{Cf}\u2028\u2029]/gu,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return safe.length > most ? `${safe.slice(0, most)}…` : safe;
}
