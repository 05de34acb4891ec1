/** STAND-IN, replaced by the branch `answers` on merge: the last number of a text. */
export const ANSWER_RULES = ['hash', 'answerLine', 'boxed', 'phrase', 'lastNumber'] as const;
export type AnswerRule = (typeof ANSWER_RULES)[number];
export function extractAnswer(
  text: string,
  _options: { rules?: readonly AnswerRule[] } = {},
): string | null {
  return text.match(/-?\d+(\.\d+)?/g)?.at(-1) ?? null;
}
