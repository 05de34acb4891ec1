/** A vote among k of n chains, on average over all subsets: exactly where that is cheap, else over random ones. */

import { expectedMajority, majorityCost } from './expectedMajority.ts';
import { drawInFront, eachSubset, type Stream, subsetCount, Words } from './subsets.ts';
import { type Ballot, Tally } from './tally.ts';

/** An average, and how sure it is. */
export interface Estimate {
  readonly value: number;
  /** Standard error from drawing subsets; absent from an exact value. */
  readonly standardError?: number;
}

/** Up to this many subsets are all looked at. */
const MOST_SUBSETS = 4096;
/** Up to this many multiplications for each chain the exact count of votes is cheap. */
const MOST_WORK = 4000;

export interface ExpectedVotesInput {
  readonly ballot: Ballot;
  /** Sizes of the subsets, each from 1 to the number of chains. */
  readonly ks: readonly number[];
  /** Random subsets of each size, at least 2. */
  readonly subsets: number;
  /** Where random subsets come from. */
  readonly stream: Stream;
}

/** How right the vote is for each size. Random subsets of one size lie in those of the next. */
export function expectedVotes({ ballot, ks, subsets, stream }: ExpectedVotesInput): Estimate[] {
  const counts = countsOf(ballot);
  const exact = ks.map((k) => exactVote(ballot, counts, k));
  const open = ks.filter((_, i) => exact[i] === undefined);
  const drawn = drawnVotes(ballot, open, subsets, stream);
  return ks.map((k, i) => {
    const value = exact[i];
    return value === undefined ? (drawn.get(k) as Estimate) : { value };
  });
}

interface Counts {
  readonly counts: readonly number[];
  readonly withoutAnswer: number;
  readonly isMajority: boolean;
}

function countsOf({ classes, weights, rightness }: Ballot): Counts {
  const counts = Array.from(rightness, () => 0);
  let withoutAnswer = 0;
  for (const one of classes) {
    if (one < 0) withoutAnswer++;
    else counts[one]++;
  }
  return { counts, withoutAnswer, isMajority: weights.every((weight) => weight === 1) };
}

/** Undefined where that would take long. */
function exactVote(
  ballot: Ballot,
  { isMajority, ...counts }: Counts,
  k: number,
): number | undefined {
  const { classes, rightness, ties } = ballot;
  const n = classes.length;
  if (rightness.every((one) => one === 0)) return 0;
  const count = subsetCount(n, k, MOST_SUBSETS);
  if (count <= MOST_SUBSETS) return sumOfAll(ballot, k) / count;
  if (!isMajority || ties === 'first') return undefined;
  const input = { ...counts, rightness, k, ties };
  return majorityCost(input) <= MOST_WORK * n ? expectedMajority(input) : undefined;
}

/** Sum over all subsets. */
function sumOfAll(ballot: Ballot, k: number): number {
  const tally = new Tally(ballot);
  let sum = 0;
  eachSubset(ballot.classes.length, k, (subset) => {
    tally.clear();
    for (const chain of subset) tally.add(chain);
    sum += tally.share();
  });
  return sum;
}

function drawnVotes(
  ballot: Ballot,
  ks: readonly number[],
  subsets: number,
  stream: Stream,
): Map<number, Estimate> {
  const sizes = [...ks].sort((a, b) => a - b);
  const sums = sizes.map(() => ({ sum: 0, squares: 0 }));
  const order = ballot.classes.map((_, i) => i);
  const words = new Words(stream);
  const tally = new Tally(ballot);
  const most = sizes.at(-1) ?? 0;
  for (let draw = 0; draw < subsets && most > 0; draw++) {
    drawInFront(order, most, words);
    tally.clear();
    let at = 0;
    sizes.forEach((k, i) => {
      for (; at < k; at++) tally.add(order[at]);
      const share = tally.share();
      sums[i].sum += share;
      sums[i].squares += share * share;
    });
  }
  return new Map(
    sizes.map((k, i) => {
      const value = sums[i].sum / subsets;
      const variance = Math.max(0, sums[i].squares / subsets - value * value);
      return [k, { value, standardError: Math.sqrt(variance / (subsets - 1)) }];
    }),
  );
}
