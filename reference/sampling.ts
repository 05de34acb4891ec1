/** From logits to a token: filters in an explicit order, then the inverse of the cumulative distribution. */

import { logSumExp, softmaxInto } from './activations.ts';
import { exp, log } from './elementary.ts';
import { ConfigError, SelscanError } from './errors.ts';
import { mainInput, rounding, type Tensor, type Vector, zeros } from './tensor.ts';

/** One change of the logits. `minKeep` tokens (default 1) always survive a filter. */
export type SamplingStep =
  /** Adds to the logits of single tokens; −Infinity bans one. */
  | { readonly kind: 'logitBias'; readonly bias: ReadonlyMap<number, number> }
  /** Divides positive and multiplies negative logits of tokens seen before, once each; 1 does nothing. */
  | { readonly kind: 'repetitionPenalty'; readonly penalty: number }
  /** Divides all logits, > 0. */
  | { readonly kind: 'temperature'; readonly temperature: number }
  /** Keeps the k largest logits and all that equal the k-th. */
  | { readonly kind: 'topK'; readonly k: number; readonly minKeep?: number }
  /** Keeps the fewest likeliest tokens with probabilities summing to at least p; of equals, lower ids first. */
  | { readonly kind: 'topP'; readonly p: number; readonly minKeep?: number }
  /** Keeps tokens with at least p times the probability of the likeliest. */
  | { readonly kind: 'minP'; readonly p: number; readonly minKeep?: number };

export interface FilterLogitsInput {
  /** Shape (rows, vocabSize). */
  logits: Tensor;
  /** Applied in this order. */
  steps: readonly SamplingStep[];
  /** Tokens seen so far by each row, for the repetition penalty. */
  previous?: readonly (readonly number[])[];
}

export interface FilterLogitsOutput {
  /** −Infinity where a token was removed. Shape (rows, vocabSize). */
  logits: Tensor;
}

/**
 * Applies sampling steps to logits. A removed token gets −Infinity.
 * @throws ShapeError when logits is not (rows, vocabSize); ConfigError when a step is out of range.
 */
export function filterLogits({ logits, steps, previous }: FilterLogitsInput): FilterLogitsOutput {
  const [rows, vocabSize] = mainInput('filterLogits', 'logits', logits, [
    'rows',
    'vocabSize',
  ]).sizes;
  for (const step of steps) checkSamplingStep(step);
  const data = logits.data.slice();
  for (let r = 0; r < rows; r++) {
    const row = data.subarray(r * vocabSize, (r + 1) * vocabSize);
    for (const step of steps) applySamplingStep(row, step, previous?.[r] ?? []);
  }
  return { logits: { data, shape: logits.shape } };
}

function applySamplingStep(row: Vector, step: SamplingStep, previous: readonly number[]): void {
  const fl = rounding(row);
  switch (step.kind) {
    case 'logitBias':
      for (const [token, bias] of step.bias) row[token] = fl(row[token] + bias);
      return;
    case 'repetitionPenalty':
      for (const token of new Set(previous)) {
        const x = row[token];
        row[token] = x > 0 ? fl(x / step.penalty) : fl(x * step.penalty);
      }
      return;
    case 'temperature':
      for (let i = 0; i < row.length; i++) row[i] = fl(row[i] / step.temperature);
      return;
    case 'topK': {
      const kept = Math.max(step.k, step.minKeep ?? 1);
      if (kept >= row.length) return;
      const least = Float64Array.from(row).sort()[row.length - kept];
      for (let i = 0; i < row.length; i++) if (row[i] < least) row[i] = Number.NEGATIVE_INFINITY;
      return;
    }
    case 'topP': {
      const probabilities = zeros(row.length, row);
      softmaxInto(probabilities, row, 0, row.length);
      const order = byLogit(row);
      // the sum is carried as mass + rest, so that adding 10^5 terms loses nothing that could decide
      let mass = 0;
      let rest = 0;
      for (let rank = 0; rank < order.length; rank++) {
        if (mass - step.p + rest >= 0 && rank >= (step.minKeep ?? 1)) {
          row[order[rank]] = Number.NEGATIVE_INFINITY;
          continue;
        }
        const p = probabilities[order[rank]];
        const sum = mass + p;
        rest += mass >= p ? mass - sum + p : p - sum + mass;
        mass = sum;
      }
      return;
    }
    case 'minP': {
      const probabilities = zeros(row.length, row);
      softmaxInto(probabilities, row, 0, row.length);
      const order = byLogit(row);
      const least = fl(step.p * probabilities[order[0]]);
      for (let rank = step.minKeep ?? 1; rank < order.length; rank++) {
        if (probabilities[order[rank]] < least) row[order[rank]] = Number.NEGATIVE_INFINITY;
      }
      return;
    }
  }
}

/** Token ids from the largest logit to the smallest; of equal logits the lower id first. */
function byLogit(row: Vector): number[] {
  return Array.from(row.keys()).sort((a, b) => row[b] - row[a] || a - b);
}

/** @throws ConfigError naming the option and its range. */
export function checkSamplingStep(step: SamplingStep): void {
  const expect = (name: string, value: number, holds: boolean, range: string) => {
    if (!holds) throw new ConfigError(`${name}: expected ${range}, got ${value}`);
  };
  const positive = (x: number) => x > 0 && x < Number.POSITIVE_INFINITY;
  const count = (x: number) => Number.isInteger(x) && x >= 1;
  if (step.kind === 'logitBias') {
    for (const [token, bias] of step.bias) {
      expect('logitBias', token, Number.isInteger(token) && token >= 0, 'a token id ≥ 0');
      expect('logitBias', bias, bias < Number.POSITIVE_INFINITY, 'a number or −Infinity');
    }
  } else if (step.kind === 'repetitionPenalty') {
    expect('repetitionPenalty', step.penalty, positive(step.penalty), 'a number > 0');
  } else if (step.kind === 'temperature') {
    expect('temperature', step.temperature, positive(step.temperature), 'a number > 0');
  } else {
    const minKeep = step.minKeep ?? 1;
    expect('minKeep', minKeep, count(minKeep), 'a whole number ≥ 1');
    if (step.kind === 'topK') expect('topK', step.k, count(step.k), 'a whole number ≥ 1');
    if (step.kind === 'topP')
      expect('topP', step.p, step.p > 0 && step.p <= 1, 'a number in (0, 1]');
    if (step.kind === 'minP')
      expect('minP', step.p, step.p >= 0 && step.p <= 1, 'a number in [0, 1]');
  }
}

export interface ChooseTokenInput {
  /** Filtered logits, −Infinity for removed tokens. Shape (rows, vocabSize). */
  logits: Tensor;
  /** One uniform number in [0, 1) per row, e.g. from {@link uniform}. */
  u: readonly number[];
}

export interface ChooseTokenOutput {
  /** One token id per row. */
  tokens: number[];
  /** Natural logarithm of the probability with which each was drawn. */
  logprobs: number[];
}

/**
 * The token at which the cumulative distribution, summed in order of token ids, first exceeds u:
 *
 *   smallest i with Σ_{j ≤ i} p_j > u,   p = softmax(logits)
 *
 * A removed token is never chosen, whatever u.
 * @throws SelscanError with code NonFiniteLogits for NaN, +Infinity, or a row without any token left.
 */
export function chooseToken({ logits, u }: ChooseTokenInput): ChooseTokenOutput {
  const [rows, vocabSize] = mainInput('chooseToken', 'logits', logits, ['rows', 'vocabSize']).sizes;
  const tokens: number[] = [];
  const logprobs: number[] = [];
  for (let r = 0; r < rows; r++) {
    if (!(u[r] >= 0 && u[r] < 1)) {
      throw new ConfigError(
        `chooseToken: u: expected a number in [0, 1) for row ${r}, got ${u[r]}`,
      );
    }
    const row = logits.data.subarray(r * vocabSize, (r + 1) * vocabSize);
    const best = largest(row);
    const weights = Float64Array.from(row, (x) => exp(x - row[best]));
    let total = 0;
    for (const weight of weights) total += weight;
    let token = best;
    let sum = 0;
    for (let i = 0; i < vocabSize; i++) {
      sum += weights[i];
      if (weights[i] > 0 && sum > u[r] * total) {
        token = i;
        break;
      }
    }
    tokens.push(token);
    logprobs.push(row[token] - row[best] - log(total));
  }
  return { tokens, logprobs };
}

export interface GreedyTokenInput {
  /** Shape (rows, vocabSize). */
  logits: Tensor;
}

/**
 * The token with the largest logit, the lowest id among equals: what temperature 0 means. Its logprob is
 * 0, since nothing else could have been drawn.
 * @throws SelscanError with code NonFiniteLogits for NaN, +Infinity, or a row without any token left.
 */
export function greedyToken({ logits }: GreedyTokenInput): ChooseTokenOutput {
  const [rows, vocabSize] = mainInput('greedyToken', 'logits', logits, ['rows', 'vocabSize']).sizes;
  const tokens: number[] = [];
  for (let r = 0; r < rows; r++) {
    tokens.push(largest(logits.data.subarray(r * vocabSize, (r + 1) * vocabSize)));
  }
  return { tokens, logprobs: tokens.map(() => 0) };
}

/** Index of the largest element, the first of equals. @throws SelscanError with code NonFiniteLogits. */
function largest(row: Vector): number {
  let best = 0;
  for (let i = 0; i < row.length; i++) {
    if (Number.isNaN(row[i]) || row[i] === Number.POSITIVE_INFINITY) {
      throw nonFinite(`${row[i]} for token ${i}`);
    }
    if (row[i] > row[best]) best = i;
  }
  if (!(row[best] > Number.NEGATIVE_INFINITY)) throw nonFinite('no token left to choose');
  return best;
}

function nonFinite(what: string): SelscanError {
  return new SelscanError(
    'NonFiniteLogits',
    `logits: expected finite numbers, got ${what}; check the weights, and the logit bias if there is one`,
  );
}

/** ln softmax(logits)[token] of one row: the model's own log-probability, before any filter. */
export function logprobOf(logits: Vector, token: number): number {
  return logits[token] - logSumExp(logits);
}
