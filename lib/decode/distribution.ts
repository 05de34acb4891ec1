/**
 * Draws from many logits quickly. The same bits as drawToken, which is its oracle: what differs is that nothing is
 * sorted that no filter asks for, nothing is copied that no step changes, and loops know their type of number.
 */

import type { Drawn } from '../../backends/types.ts';
import { exp, log } from '../../reference/elementary.ts';
import { filterLogits, greedyToken, type SamplingStep } from '../../reference/sampling.ts';
import type { Vector } from '../../reference/tensor.ts';
import { type DrawPlace, expectFinite, uniformOf } from './drawToken.ts';
import { fromLargest, kthLargest } from './largest.ts';
import type { DecodePlan } from './options.ts';

const fround = Math.fround;

/** Draws the tokens of one run. */
export class Drawer {
  readonly #plan: DecodePlan;
  readonly #vocabSize: number;
  readonly #own = new Distribution();
  readonly #shared = new Distribution();
  #sharedLogits?: Vector;

  constructor(plan: DecodePlan, vocabSize: number) {
    this.#plan = plan;
    this.#vocabSize = vocabSize;
  }

  /**
   * Draws a token below vocabSize.
   * @param isShared whether other chains draw from these very logits too, as all samples of a prompt do at first.
   * @throws SelscanError with code NonFiniteLogits.
   */
  draw(place: DrawPlace, isShared: boolean): Drawn {
    const u = this.#plan.isGreedy ? undefined : uniformOf(place, this.#plan);
    if (!isShared) {
      this.#own.fill(place, this.#plan, this.#vocabSize);
      return this.#own.choose(u);
    }
    if (this.#sharedLogits !== place.logits) {
      this.#sharedLogits = undefined; // filling may throw
      this.#shared.fill(place, this.#plan, this.#vocabSize);
      this.#sharedLogits = place.logits;
    }
    return this.#shared.choose(u);
  }
}

/** The distribution of one next token; its memory serves again and again. */
export class Distribution {
  #logits: Vector = new Float64Array(0);
  /** After all steps; −Infinity where a token was removed. Shape (vocabSize). */
  #row: Vector = new Float64Array(0);
  /** Changed copies of logits are made here. */
  #copy: Vector = new Float64Array(0);
  /** Proportional to the probabilities, the likeliest one's being 1. Shape (vocabSize). */
  #weights = new Float64Array(0);
  #total = 0;
  /** The likeliest token after all steps, the first of equals. */
  #best = 0;
  /** ln Σ e^logit, over vocabRows. */
  #logSum = 0;

  fill({ position, seen, logits }: DrawPlace, plan: DecodePlan, vocabSize: number): void {
    expectFinite(logits, position);
    this.#logits = logits;
    this.#logSum = logSumExp(logits);
    this.#row = logits.subarray(0, vocabSize);
    if (plan.steps.length > 0) this.#change(plan.steps, seen);
    this.#best = likeliest(this.#row);
    if (!plan.isGreedy) this.#weigh();
  }

  /** @param u absent for the likeliest token. */
  choose(u: number | undefined): Drawn {
    const best = this.#best;
    if (u === undefined) {
      return { token: best, logprob: this.#logits[best] - this.#logSum, filteredLogprob: 0 };
    }
    const weights = this.#weights;
    const limit = u * this.#total;
    let token = best;
    let sum = 0;
    for (let i = 0; i < this.#row.length; i++) {
      sum += weights[i];
      if (weights[i] > 0 && sum > limit) {
        token = i;
        break;
      }
    }
    const row = this.#row;
    return {
      token,
      logprob: this.#logits[token] - this.#logSum,
      filteredLogprob: row[token] - row[best] - log(this.#total),
    };
  }

  #change(steps: readonly SamplingStep[], seen: readonly number[]): void {
    const { length } = this.#row;
    if (this.#copy.length !== length || this.#copy.constructor !== this.#row.constructor) {
      this.#copy = this.#row.slice();
    } else {
      this.#copy.set(this.#row);
    }
    this.#row = this.#copy;
    for (const step of steps) this.#apply(step, seen);
  }

  #apply(step: SamplingStep, seen: readonly number[]): void {
    const row = this.#row;
    switch (step.kind) {
      case 'temperature':
        // stored in a Float32Array, a quotient is rounded as fl(x / t) is
        for (let i = 0; i < row.length; i++) row[i] /= step.temperature;
        return;
      case 'topK':
        if (step.k < row.length) removeBelow(row, kthLargest(row, step.k));
        return;
      case 'topP':
        keepMass(row, step.p);
        return;
      case 'minP':
        keepShare(row, step.p);
        return;
      default: {
        // few tokens change: the oracle itself is quick enough
        const input = { data: row, shape: [1, row.length] };
        row.set(filterLogits({ logits: input, steps: [step], previous: [seen] }).logits.data);
      }
    }
  }

  #weigh(): void {
    const row = this.#row;
    if (this.#weights.length !== row.length) this.#weights = new Float64Array(row.length);
    const weights = this.#weights;
    const most = row[this.#best];
    let total = 0;
    for (let i = 0; i < row.length; i++) {
      const x = row[i];
      const weight = x === Number.NEGATIVE_INFINITY ? 0 : exp(x - most);
      weights[i] = weight;
      total += weight;
    }
    this.#total = total;
  }
}

/** Index of the largest element, the first of equals. @throws what the oracle throws where there is none. */
function likeliest(row: Vector): number {
  let best = 0;
  let most = row[0];
  for (let i = 1; i < row.length; i++) {
    if (row[i] > most) {
      best = i;
      most = row[i];
    }
  }
  // a step may have left nothing, or have made a logit overflow
  if (!Number.isFinite(most)) greedyToken({ logits: { data: row, shape: [1, row.length] } });
  return best;
}

function removeBelow(row: Vector, least: number): void {
  for (let i = 0; i < row.length; i++) if (row[i] < least) row[i] = Number.NEGATIVE_INFINITY;
}

/** Top-p: the fewest likeliest tokens with this much probability. The mass is carried as mass + rest, as in the oracle. */
function keepMass(row: Vector, p: number): void {
  const { shares, sum } = softmaxParts(row);
  const isSingle = row instanceof Float32Array;
  const kept = new Map<number, number>();
  let mass = 0;
  let rest = 0;
  for (const i of fromLargest(row)) {
    if (mass - p + rest >= 0 && kept.size >= 1) break;
    kept.set(i, row[i]);
    const share = isSingle ? fround(shares[i] / sum) : shares[i] / sum;
    const next = mass + share;
    rest += mass >= share ? mass - next + share : share - next + mass;
    mass = next;
  }
  row.fill(Number.NEGATIVE_INFINITY);
  for (const [i, x] of kept) row[i] = x;
}

/** Min-p: tokens with this share of the likeliest one's probability, and that one in any case. */
function keepShare(row: Vector, p: number): void {
  const { shares, sum } = softmaxParts(row);
  const best = likeliest(row);
  const isSingle = row instanceof Float32Array;
  const probability = (i: number) => (isSingle ? fround(shares[i] / sum) : shares[i] / sum);
  const least = isSingle ? fround(p * probability(best)) : p * probability(best);
  for (let i = 0; i < row.length; i++) {
    if (i !== best && probability(i) < least) row[i] = Number.NEGATIVE_INFINITY;
  }
}

/** e^(x − max) of a row and their sum, each operation rounded as the row's type says. */
function softmaxParts(row: Vector): { shares: Vector; sum: number } {
  const most = row[likeliest(row)];
  const shares = row.slice();
  let sum = 0;
  if (shares instanceof Float32Array) {
    for (let i = 0; i < shares.length; i++) {
      shares[i] = exp(fround(shares[i] - most));
      sum = fround(sum + shares[i]);
    }
  } else {
    for (let i = 0; i < shares.length; i++) {
      shares[i] = exp(shares[i] - most);
      sum += shares[i];
    }
  }
  return { shares, sum };
}

function logSumExp(x: Vector): number {
  let most = x[0];
  for (let i = 1; i < x.length; i++) if (x[i] > most) most = x[i];
  let sum = 0;
  if (x instanceof Float32Array) {
    for (let i = 0; i < x.length; i++) sum = fround(sum + fround(exp(fround(x[i] - most))));
    return fround(most + fround(log(sum)));
  }
  for (let i = 0; i < x.length; i++) sum += exp(x[i] - most);
  return most + log(sum);
}
