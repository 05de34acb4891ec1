/** How good scores are at telling right from wrong. */

import { ConfigError } from '../../reference/errors.ts';

/** Scores that say right or wrong. */
export interface Separation {
  readonly count: number;
  /** Share that is right: what always saying so would reach, or one less it. */
  readonly right: number;
  /** Share in which a score above ½ says right, and only such a one. */
  readonly accuracy: number;
  /** Probability that a right one scores above a wrong one, a tie counted half; absent without one of each. */
  readonly auc?: number;
}

/** @throws ConfigError when there is not one score per label, or none at all. */
export function separationOf(scores: readonly number[], isRight: readonly boolean[]): Separation {
  const count = scores.length;
  if (count === 0 || isRight.length !== count) {
    throw new ConfigError(
      `separationOf: expected as many scores as labels, at least one, got ${count} and ${isRight.length}`,
    );
  }
  const rights = isRight.filter(Boolean).length;
  const hits = scores.filter((score, i) => score > 0.5 === isRight[i]).length;
  const auc = areaUnderCurve(scores, isRight);
  return {
    ...{ count, right: rights / count, accuracy: hits / count },
    ...(auc !== undefined && { auc }),
  };
}

/**
 *   AUC = (Σ ranks of the right ones − R(R + 1)/2) / (R·W)
 *
 * with R right ones and W wrong ones, and equal scores sharing the mean of their ranks (Mann and Whitney 1947).
 */
function areaUnderCurve(scores: readonly number[], isRight: readonly boolean[]) {
  const order = [...scores.keys()].sort((a, b) => scores[a] - scores[b]);
  let [rankSum, right] = [0, 0];
  for (let from = 0; from < order.length; ) {
    let to = from + 1;
    while (to < order.length && scores[order[to]] === scores[order[from]]) to++;
    // ranks count from 1
    const rank = (from + 1 + to) / 2;
    const tied = order.slice(from, to).filter((i) => isRight[i]).length;
    rankSum += rank * tied;
    right += tied;
    from = to;
  }
  const wrong = order.length - right;
  return right * wrong === 0 ? undefined : (rankSum - (right * (right + 1)) / 2) / (right * wrong);
}
