/** Mistakes at the borders of chunks, for chunks of a given length or of the usual ones. */

import type { OpName } from '../../../reference/ops.ts';
import { ALL, WITH_DT } from './recurrences.ts';
import { RIGHT, type ScanParts, scanWith } from './scan.ts';
import type { Mistake } from './types.ts';

/** Lengths that kernels use when nobody asks for one. */
const USUAL = [2, 3, 4, 5, 6, 8, 16, 32, 64, 128, 256];

const isSequence = (op: OpName) => !op.endsWith('Step');

type Parts = (chunkLen: number, seqlen: number) => Partial<ScanParts>;

/** The same mistake for the chunk length of the input, and for each of the usual ones. */
function atBorders(
  ops: readonly OpName[],
  describe: (chunk: string) => string,
  look: string,
  parts: Parts,
): Mistake[] {
  const run = (op: OpName, input: object, length: number) => {
    const { x } = input as { x: { shape: readonly number[] } };
    return scanWith(op, input, parts(length, x.shape[1]));
  };
  const asked: Mistake = {
    ops: ops.filter((op) => /Chunked|Associative/.test(op)),
    cause: describe('a chunk'),
    look,
    wrong: (op, input) => run(op, input, (input as { chunkLen: number }).chunkLen),
  };
  const usual = USUAL.map((length) => ({
    ops: ops.filter(isSequence),
    cause: describe(`a chunk of ${length} tokens`),
    look,
    wrong: (op: OpName, input: object) => run(op, input, length),
  }));
  return [asked, ...usual];
}

export const CHUNK_MISTAKES: readonly Mistake[] = [
  ...atBorders(
    ALL,
    (chunk) => `the state is lost at the border of ${chunk}`,
    'the state after a chunk is where the next one starts',
    (length) => ({ carry: (h, t) => (t > 0 && t % length === 0 ? 0 : h) }),
  ),
  // with and without the state that is given at the start
  ...[0, 1].flatMap((first) =>
    atBorders(
      ALL,
      (chunk) => `the state carried into ${chunk} is not decayed by its first token`,
      'the decay from the border to token t includes that of the first token of the chunk',
      (length) => ({
        decay: (dt, A, token) =>
          token.t >= first && token.t % length === 0 ? 1 : RIGHT.decay(dt, A, token),
      }),
    ),
  ),
  ...atBorders(
    ALL,
    (chunk) => `what is read of the state carried into ${chunk} is not decayed by its first token`,
    'the decay from the border to token t includes that of the first token of the chunk',
    (length) => ({
      leftToRead: (h, t, decay) => (t % length === 0 ? h : decay * h),
    }),
  ),
  ...atBorders(
    ALL,
    (chunk) => `the state carried into ${chunk} is decayed twice by its first token`,
    'the decay from the border to token t counts each token once',
    (length) => ({ carry: (h, t, decay) => (t > 0 && t % length === 0 ? h * decay : h) }),
  ),
  ...atBorders(
    WITH_DT,
    (chunk) => `dt is padded before softplus, so that the padding of ${chunk} decays the state`,
    'pad Δ with 0 after softplus, or x and dt so that Δ is 0: softplus(0 + dtBias) is not 0',
    (length, seqlen) => ({
      last: (after, _before, decay) => after * decay ** ((length - (seqlen % length)) % length),
    }),
  ),
  // D·x may be added by another pass, which leaves no token out
  ...[false, true].flatMap((keepsSkip) =>
    atBorders(
      ALL,
      (chunk) =>
        `the last, ragged part of the sequence after whole multiples of ${chunk} is left out`,
      'ceil(seqlen / chunkLen) chunks, the last one shorter',
      (length, seqlen) => ({ skips: (t) => t >= seqlen - (seqlen % length), keepsSkip }),
    ),
  ),
];
