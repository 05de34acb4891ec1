/** Votes being counted, one chain after the other. */

import type { TiePolicy } from '../../reference/votes.ts';

/** Chains that vote. */
export interface Ballot {
  /** Class of each chain's answer, counted from 0; −1 without an answer, which never wins. */
  readonly classes: Int32Array;
  /** What each chain's vote weighs: whole numbers, so that no order of adding them makes or breaks a tie. */
  readonly weights: Float64Array;
  /** Of each class, the share of its chains that are right: 0 or 1, unless the ledger judges equal answers differently. */
  readonly rightness: Float64Array;
  readonly ties: TiePolicy;
}

/** The count so far. */
export class Tally {
  readonly #ballot: Ballot;
  readonly #totals: Float64Array;
  /** Lowest index of a chain of each class. */
  readonly #firsts: Int32Array;
  /** Classes that have a vote. */
  #present: number[] = [];

  constructor(ballot: Ballot) {
    this.#ballot = ballot;
    this.#totals = new Float64Array(ballot.rightness.length);
    this.#firsts = new Int32Array(ballot.rightness.length).fill(-1);
  }

  clear(): void {
    for (const one of this.#present) {
      this.#totals[one] = 0;
      this.#firsts[one] = -1;
    }
    this.#present = [];
  }

  /** Counts the vote of a chain. */
  add(chain: number): void {
    const one = this.#ballot.classes[chain];
    if (one < 0) return;
    this.#totals[one] += this.#ballot.weights[chain];
    const first = this.#firsts[one];
    if (first < 0) this.#present.push(one);
    if (first < 0 || chain < first) this.#firsts[one] = chain;
  }

  /** The classes with the greatest total; with ties `first` the one seen first, with `none` none where there are several. */
  winners(): number[] {
    const { ties } = this.#ballot;
    let most = Number.NEGATIVE_INFINITY;
    let winners: number[] = [];
    for (const one of this.#present) {
      const total = this.#totals[one];
      if (total > most) {
        most = total;
        winners = [one];
      } else if (total === most) winners.push(one);
    }
    if (winners.length < 2 || ties === 'split') return winners;
    if (ties === 'none') return [];
    const seen = (one: number) => this.#firsts[one];
    return [winners.reduce((first, one) => (seen(one) < seen(first) ? one : first))];
  }

  /** How right the vote is: the winners share. */
  share(): number {
    const winners = this.winners();
    let sum = 0;
    for (const one of winners) sum += this.#ballot.rightness[one];
    return winners.length === 0 ? 0 : sum / winners.length;
  }
}

/**
 * Rewards as whole numbers in the same proportions: exactly, where they are decimals of at most nine digits behind the
 * point, otherwise to 2⁻⁵² of the greatest times the number of chains. Equal rewards, whatever they are, weigh 1 each.
 */
export function wholeWeights(rewards: readonly number[]): Float64Array {
  const weights = new Float64Array(rewards.length);
  if (rewards.every((reward) => reward === rewards[0])) return weights.fill(1);
  const most = rewards.reduce((greatest, reward) => Math.max(greatest, Math.abs(reward)), 0);
  const isExact = (scale: number) =>
    rewards.every((reward) => Math.round(reward * scale) / scale === reward);
  for (let scale = 1; scale <= 1e9; scale *= 10) {
    if (most * scale * rewards.length > Number.MAX_SAFE_INTEGER) break;
    if (isExact(scale)) return weights.map((_, i) => Math.round(rewards[i] * scale));
  }
  const unit = 2 ** (20 + Math.clz32(rewards.length)); // times the number of chains below 2⁵³
  return weights.map((_, i) => Math.round((rewards[i] / most) * unit));
}
