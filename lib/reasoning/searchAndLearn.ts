/**
 * Lines of search-and-learn (huggingface/search-and-learn, Apache-2.0), one a problem, as chains of a ledger:
 * `problem`, `answer` (the right one), `completions`, and `scores`, one number or one for each step of every completion.
 */

import { chainOf, type LedgerLine, ledgerError, shown } from './chain.ts';
import type { GradedChain, GradedModel } from './grade.ts';
import { ballotOf, bestOf, rewardsOf, voteOf } from './problemMetrics.ts';

type Fields = Readonly<Record<string, unknown>>;

/** Whether an object has the columns of a problem rather than the fields of a chain. */
export function isSearchAndLearn(fields: Fields): boolean {
  return Array.isArray(fields.completions) && !Object.hasOwn(fields, 'sample');
}

/**
 * The chains of a problem. Its name is `unique_id`, or what `problem` says, or its place. Scores of steps become
 * `stepRewards`, and the last of them the reward, as is usual there.
 * @param index what stands for the name of a problem without one.
 * @throws ConfigError with code LedgerLine where columns are of different lengths, and as chainOf.
 */
export function linesOfSearchAndLearn(fields: Fields, place: string, index: number): LedgerLine[] {
  const { completions, scores, preds, answer, unique_id, problem, model } = fields;
  const texts = completions as unknown[];
  for (const [name, column] of Object.entries({ scores, preds })) {
    if (column === undefined || column === null) continue;
    if (Array.isArray(column) && column.length === texts.length) continue;
    const got = Array.isArray(column) ? column.length : shown(column);
    throw ledgerError(
      'LedgerLine',
      `${place}: "${name}": expected one for each of ${texts.length} completions, got ${got}`,
    );
  }
  return texts.map((text, sample) => {
    const score = (scores as unknown[] | undefined)?.[sample];
    const own = {
      problem: unique_id ?? problem ?? index,
      ...{ sample, text },
      ...(Array.isArray(preds) && { answer: preds[sample] === '' ? null : preds[sample] }),
      ...(answer !== undefined && { gold: answer }),
      ...(Array.isArray(score)
        ? { stepRewards: score, ...(score.length > 0 && { reward: score[score.length - 1] }) }
        : { reward: score }),
      ...(model !== undefined && { model }),
    };
    const where = `${place}, completion ${sample}`;
    return { chain: chainOf(own, where), fields: own, place: where };
  });
}

/** What a problem's first n chains answer: the columns that search-and-learn adds to its tables. */
export type PredictionColumns = Record<string, string | number | null>;

/**
 * `pred_naive@n` (the chain with most reward), `pred_weighted@n` and `pred_maj@n` of each problem, as there: of the first n
 * chains, the first of equals, in the first spelling of the answer, inside `\boxed{}`. Null where no chain has an answer.
 * The first two only with a reward for every chain.
 * @param ks for n; a problem has those that are at most the number of its chains.
 */
export function predictionColumns(
  { model, problems }: GradedModel,
  ks: readonly number[],
): PredictionColumns[] {
  return problems.map(({ problem, chains }) => {
    const row: PredictionColumns = { ...(model !== undefined && { model }), problem };
    for (const n of ks.filter((k) => k <= chains.length)) {
      const first = chains.slice(0, n);
      const rewards = rewardsOf(first);
      if (rewardsOf(chains) && rewards) {
        row[`pred_naive@${n}`] = boxed(first[bestOf(first) as number]);
        row[`pred_weighted@${n}`] = boxed(winnerOf(first, rewards));
      }
      row[`pred_maj@${n}`] = boxed(
        winnerOf(
          first,
          first.map(() => 1),
        ),
      );
    }
    return row;
  });
}

/** The first chain that gives the answer which wins. */
function winnerOf(chains: readonly GradedChain[], weights: readonly number[]) {
  const ballot = ballotOf(chains, weights, 'first');
  const [winner] = voteOf(ballot).winners();
  return winner === undefined ? undefined : chains[ballot.classes.indexOf(winner)];
}

const boxed = (chain: GradedChain | undefined) =>
  chain === undefined || chain.answer === null ? null : `\\boxed{${chain.answer}}`;
