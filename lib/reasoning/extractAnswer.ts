/** The answer that a chain of thought gives, by the rules of several data sets. */

import { ConfigError } from '../../reference/errors.ts';
import { afterPhrase, lastNumber } from './answerPhrases.ts';
import { afterAnswerLine, afterHash, lastBoxed } from './answerScanners.ts';
import { LONGEST_ANSWER } from './answerText.ts';

/** How an answer is given: `#### 42` or `# 42`, `A: 42`, `\boxed{42}`, "the answer is 42", or just the last number. */
export type AnswerRule = 'hash' | 'answerLine' | 'boxed' | 'phrase' | 'lastNumber';

/** All rules, in the order in which they are tried unless another is given. */
export const ANSWER_RULES: readonly AnswerRule[] = Object.freeze([
  ...(['hash', 'answerLine', 'boxed', 'phrase', 'lastNumber'] as const),
]);

/** The order of search-and-learn's `extract_answer` for the data set "math". */
export const MATH_RULES: readonly AnswerRule[] = Object.freeze([
  ...(['boxed', 'phrase', 'lastNumber'] as const),
]);

/** The only rule of lib/tasks, whose problems are answered by `# ANSWER` and by nothing else. */
export const TASK_RULES: readonly AnswerRule[] = Object.freeze([...(['hash'] as const)]);

const SCANNERS: Readonly<Record<AnswerRule, (text: string) => string | null>> = {
  hash: afterHash,
  answerLine: afterAnswerLine,
  boxed: lastBoxed,
  phrase: afterPhrase,
  lastNumber,
};

export interface ExtractAnswerOptions {
  /** The rules to try, in this order; default ANSWER_RULES. */
  readonly rules?: readonly AnswerRule[];
}

/**
 * What the first rule finds that finds anything, single spaces between its words; null when none does. A box within
 * it is opened: `A: \boxed{42}` gives 42. Takes time in proportion to the text.
 * @throws ConfigError for a rule that does not exist.
 */
export function extractAnswer(text: string, options: ExtractAnswerOptions = {}): string | null {
  const { rules = ANSWER_RULES } = options;
  for (const rule of rules) {
    if (!Object.hasOwn(SCANNERS, rule)) {
      const names = ANSWER_RULES.join(', ');
      throw new ConfigError(`extractAnswer: rules: expected some of ${names}, got ${rule}`);
    }
  }
  for (const rule of rules) {
    const found = SCANNERS[rule](text);
    if (!found || found.length > LONGEST_ANSWER) continue;
    const answer = (lastBoxed(found) || found).split(/\s+/).join(' ').trim();
    if (answer !== '') return answer;
  }
  return null;
}
