/** The merges of a SentencePiece vocabulary, which has scores in their place. */

import type { CheckpointError } from '../checkpoint/errors.ts';

/** The longest token, in characters: SentencePiece's own pieces have 16 by default. */
const LONGEST = 128;

/**
 * Every pair of tokens that makes a third one, the best scored first: what SentencePiece would merge first.
 * @param isMerged whether a token may be made of others, or be a part of one.
 * @throws what `refuse` makes, for tokens of more than 128 characters.
 */
export function mergesByScore(
  tokens: readonly string[],
  scores: ArrayLike<number>,
  isMerged: (id: number) => boolean,
  refuse: (problem: string) => CheckpointError,
): string[][] {
  const ids = new Map<string, number>();
  tokens.forEach((token, id) => {
    if (isMerged(id)) ids.set(token, id);
  });
  const merges: { pair: string[]; made: number; parts: readonly [number, number] }[] = [];
  for (const [token, made] of ids) {
    const characters = [...token];
    if (characters.length > LONGEST) {
      throw refuse(`tokenizer.ggml.tokens: expected at most ${LONGEST} characters, got more`);
    }
    let left = '';
    for (const character of characters.slice(0, -1)) {
      left += character;
      const right = token.slice(left.length);
      const [first, second] = [ids.get(left), ids.get(right)];
      if (first !== undefined && second !== undefined) {
        merges.push({ pair: [left, right], made, parts: [first, second] });
      }
    }
  }
  merges.sort(
    (a, b) =>
      scores[b.made] - scores[a.made] ||
      a.made - b.made ||
      a.parts[0] - b.parts[0] ||
      a.parts[1] - b.parts[1],
  );
  return merges.map(({ pair }) => pair);
}
