/** Chains and right answers: what each chain answers, and whether that is right. */

import { type AggregateStepScoresInput, aggregateStepScores } from '../../reference/votes.ts';
import { canonicalAnswer } from './canonicalAnswer.ts';
import { keyOf, type LedgerChain, type LedgerLine, ledgerError, shown } from './chain.ts';
import { extractAnswer } from './extractAnswer.ts';

/** How scores of steps become the reward of a chain. */
export type StepMethod = AggregateStepScoresInput['method'];

/** How answers are found and compared. */
export interface Grading {
  /** Finds the answer of a text; null where there is none. Default extractAnswer. */
  readonly extract?: (text: string) => string | null;
  /** Writes equivalent answers in one way. Default canonicalAnswer. */
  readonly canonical?: (answer: string) => string;
  /** Makes rewards of the scores of steps. Default: rewards as they are in the ledger. */
  readonly stepRewards?: StepMethod;
}

/** A chain that has been judged. */
export interface GradedChain {
  readonly sample: number;
  /** As it was written; null where none could be found. */
  readonly answer: string | null;
  /** The answer in the one way in which all equivalent ones are written; null without an answer. */
  readonly form: string | null;
  readonly isRight: boolean;
  /** Whether every step is right too; absent where the ledger does not say. */
  readonly isSound?: boolean;
  /** Absent where the ledger has none. */
  readonly reward?: number;
}

/** The chains of one model about one problem, by sample number. */
export interface GradedProblem {
  readonly problem: string | number;
  readonly chains: readonly GradedChain[];
}

/** What a model wrote, its problems in an order of their own: numbers first, then names. */
export interface GradedModel {
  /** Absent where the ledger names none. */
  readonly model?: string;
  readonly problems: readonly GradedProblem[];
}

/**
 * Judges chains, and puts them in an order that does not depend on that of the lines. What a chain says of its answer and of
 * being right stands. Otherwise the answer is found in the text and compared with the right one, which chains of the same
 * model and problem may share.
 * @throws ConfigError with code LedgerGold where there is nothing to judge a chain by, or a problem has two right answers;
 *   code LedgerReward where the scores of steps make no finite reward.
 */
export function gradeChains(
  chains: readonly LedgerChain[],
  { extract = extractAnswer, canonical = canonicalAnswer, stepRewards }: Grading = {},
): GradedModel[] {
  const formOf = remembered(canonical);
  const models = groupBy(chains, ({ model }) => model);
  const sorted = [...models].sort(([a = ''], [b = '']) => compareTexts(a, b));
  return sorted.map(([model, ofModel]) => {
    const problems = groupBy(ofModel, ({ problem }) => problem);
    const inOrder = [...problems].sort(([a], [b]) => compareNames(a, b));
    return {
      ...(model !== undefined && { model }),
      problems: inOrder.map(([problem, own]) => {
        const gold = goldOf(own, formOf);
        const graded = own.map((chain): GradedChain => {
          const { sample, correct, sound } = chain;
          const answer = answerOf(chain, extract);
          const form = answer === null ? null : formOf(answer);
          const isRight = correct ?? (form !== null && form === requireGold(gold, chain));
          const reward = rewardOf(chain, stepRewards);
          return {
            ...{ sample, answer, form, isRight },
            ...(sound !== undefined && { isSound: sound }),
            ...(reward !== undefined && { reward }),
          };
        });
        return { problem, chains: graded.sort((a, b) => a.sample - b.sample) };
      }),
    };
  });
}

/**
 * The fields of each line, with `answer` and `correct` filled in. The lines are one ledger, in which no two say different things
 * of the same chain.
 * @throws ConfigError as gradeChains.
 */
export function gradeLines(
  lines: readonly LedgerLine[],
  grading: Grading = {},
): Record<string, unknown>[] {
  const verdicts = new Map<string, GradedChain>();
  const chains = lines.map(({ chain }) => chain);
  for (const { model, problems } of gradeChains(chains, grading)) {
    for (const { problem, chains: graded } of problems) {
      for (const one of graded) verdicts.set(keyOf({ model, problem, sample: one.sample }), one);
    }
  }
  return lines.map(({ chain, fields }) => {
    const { answer, isRight } = verdicts.get(keyOf(chain)) as GradedChain;
    return { ...fields, ...(chain.answer === undefined && { answer }), correct: isRight };
  });
}

/** The answer that a chain has, or that its text gives. */
export function answerOf(
  { answer, text }: LedgerChain,
  extract: (text: string) => string | null = extractAnswer,
): string | null {
  return answer === undefined ? extract(text as string) : answer;
}

/** A chain without an answer is wrong, but only a chain that can be compared is known to be. */
function requireGold(gold: string | undefined, { problem, sample }: LedgerChain): string {
  if (gold !== undefined) return gold;
  throw ledgerError(
    'LedgerGold',
    `problem ${shown(problem)}, sample ${sample}: expected "gold" (the right answer) or "correct", got neither`,
  );
}

/** The one form of the right answer of a problem. */
function goldOf(
  chains: readonly LedgerChain[],
  formOf: (answer: string) => string,
): string | undefined {
  const golds = new Map<string, string>();
  for (const { gold } of chains) if (gold !== undefined) golds.set(formOf(gold), gold);
  if (golds.size > 1) {
    const [one, other] = [...golds.values()].sort(compareTexts);
    throw ledgerError(
      'LedgerGold',
      `problem ${shown(chains[0].problem)}: expected one right answer, got ${shown(one)} and ${shown(other)}; are these ledgers of the same problems?`,
    );
  }
  return golds.keys().next().value;
}

function rewardOf(
  { problem, sample, reward, stepRewards = [] }: LedgerChain,
  method: StepMethod | undefined,
): number | undefined {
  if (method === undefined) return reward ?? undefined;
  if (stepRewards.length === 0) return undefined;
  const { score } = aggregateStepScores({ scores: stepRewards, method });
  if (Number.isFinite(score)) return score;
  throw ledgerError(
    'LedgerReward',
    `problem ${shown(problem)}, sample ${sample}: expected a finite ${method} of its step rewards, got ${score}`,
  );
}

function groupBy<Key, Item>(items: readonly Item[], keyOf: (item: Item) => Key): Map<Key, Item[]> {
  const groups = new Map<Key, Item[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group) group.push(item);
    else groups.set(key, [item]);
  }
  return groups;
}

/** The same answers come again and again. */
function remembered(canonical: (answer: string) => string): (answer: string) => string {
  const forms = new Map<string, string>();
  return (answer) => {
    const known = forms.get(answer);
    if (known !== undefined) return known;
    const form = canonical(answer);
    forms.set(answer, form);
    return form;
  };
}

// by code units, not by the language of whoever runs this
const compareTexts = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

function compareNames(a: string | number, b: string | number): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  if (typeof a === 'string' && typeof b === 'string') return compareTexts(a, b);
  return typeof a === 'number' ? -1 : 1;
}
