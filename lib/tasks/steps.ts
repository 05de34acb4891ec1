/**
 * Judging a written chain against the problem's own: step by step, and by its answer alone.
 *
 * A chain is words between spaces. Each step ends with `;`, and the last part is the conclusion, `# ANSWER`. Every
 * problem has one right chain. The text that is judged may be anything: nothing here throws, and of a text that is
 * far longer than the right chain only the beginning is looked at.
 */

/** The word that ends a step. */
export const STEP_END = ';';
/** The word before the answer. */
export const CONCLUSION = '#';

/** What a step is by itself: no step at all, an untrue one (`MIN 4 7 = 5 ;`), or a true one. */
export type StepForm = 'malformed' | 'untrue' | 'true';

/** The judgement of one step. */
export interface StepVerdict {
  /** The step as it was written, single spaces between its words; its first 200 characters. */
  text: string;
  /** Whether it has the form of a step of this task. */
  isWellFormed: boolean;
  /** Whether what it says holds by itself, whatever the problem: a right sum of wrong numbers does. */
  isTrue: boolean;
  /** Whether the problem has this step, and has it as often as it was written. */
  isCorrect: boolean;
  /** Whether it stands where the right chain has it. Then it is correct as well. */
  isInOrder: boolean;
  /** 1 in order, 0.5 correct at another place, 0 otherwise. */
  score: number;
}

/** The judgement of a chain. */
export interface ChainVerdict {
  /** The steps that were written, the conclusion too; of many too many, the first ones. */
  steps: StepVerdict[];
  /** Index of the first step that is not in order; −1 if there is none, as in any beginning of the right chain. */
  firstWrong: number;
  /** Whether the right chain was written whole, and nothing else. */
  isComplete: boolean;
}

/** A chain that is longer than the right one by more steps than this is judged no further. */
const MOST_EXTRA_STEPS = 256;
const MOST_SHOWN = 200;

/** Characters of a text that are looked at: room for the right chain with wide spaces, and for a long detour. */
const mostCharacters = (chain: string) => 4 * chain.length + 10_000;

/** The words of a text. */
export function wordsOf(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== '');
}

/** The steps of a chain, single spaces between words; at most so many. */
export function stepsOf(chain: string, most = Number.POSITIVE_INFINITY): string[] {
  const steps: string[] = [];
  let words: string[] = [];
  for (const word of wordsOf(chain)) {
    if (steps.length >= most) return steps;
    words.push(word);
    if (word === STEP_END) {
      steps.push(words.join(' '));
      words = [];
    }
  }
  if (words.length > 0 && steps.length < most) steps.push(words.join(' '));
  return steps;
}

/**
 * The answer that a text gives: all words after its only `#`. Undefined when there is no `#`, nothing after it, or
 * more than one, so that writing several answers is no way to be right.
 */
export function answerOf(text: string): string | undefined {
  const words = wordsOf(text);
  const at = words.indexOf(CONCLUSION);
  if (at < 0 || at === words.length - 1 || words.indexOf(CONCLUSION, at + 1) >= 0) return undefined;
  return words.slice(at + 1).join(' ');
}

/** Whether a text gives the right answer, in a length that is within reason. */
export function judgeAnswer(chain: string, answer: string, text: string): boolean {
  const trimmed = text.trim();
  return trimmed.length <= mostCharacters(chain) && answerOf(trimmed) === answer;
}

/** Judges a text against the right chain. `formOf` is only asked about steps not much longer than the right ones. */
export function judgeSteps(
  chain: string,
  text: string,
  formOf: (step: string) => StepForm,
): ChainVerdict {
  const right = stepsOf(chain);
  const written = stepsOf(
    text.trim().slice(0, mostCharacters(chain)),
    right.length + MOST_EXTRA_STEPS,
  );
  const longest = right.reduce((most, step) => Math.max(most, step.length), MOST_SHOWN);
  const isInOrder = written.map((step, i) => step === right[i]);
  /** How often each step of the right chain has not been written at its own place. */
  const open = new Map<string, number>();
  right.forEach((step, i) => {
    if (!isInOrder[i]) open.set(step, (open.get(step) ?? 0) + 1);
  });
  const steps = written.map((step, i): StepVerdict => {
    const left = open.get(step) ?? 0;
    if (!isInOrder[i] && left > 0) open.set(step, left - 1);
    const isCorrect = isInOrder[i] || left > 0;
    const form = step.length > 2 * longest ? 'malformed' : formOf(step);
    return {
      text: step.slice(0, MOST_SHOWN),
      isWellFormed: form !== 'malformed',
      isTrue: form === 'true',
      isCorrect,
      isInOrder: isInOrder[i],
      score: isInOrder[i] ? 1 : isCorrect ? 0.5 : 0,
    };
  });
  const firstWrong = isInOrder.indexOf(false);
  return { steps, firstWrong, isComplete: firstWrong < 0 && written.length === right.length };
}
