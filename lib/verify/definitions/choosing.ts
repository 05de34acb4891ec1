/**
 * What the steps of filterLogits do, by counting instead of sorting. A token whose fate hangs on less than the
 * arithmetic can tell leaves its whole row undecided: there anything goes.
 */

import type { Ops } from '../../../reference/ops.ts';
import type { SamplingStep } from '../../../reference/sampling.ts';
import { type Approx, type Calculator, exactly, ZERO } from '../approx.ts';
import { softmaxOf } from './layers.ts';

type FilterLogitsInput = Parameters<Ops['filterLogits']>[0];

const REMOVED = exactly(Number.NEGATIVE_INFINITY);
const isLeft = ({ value }: Approx) => value !== Number.NEGATIVE_INFINITY;

/** Whether something is so, as far as the arithmetic can tell. */
type Answer = 'yes' | 'no' | 'unknown';

/** Whether a > b. Numbers that were computed in the same way are equal. */
function isLarger(a: Approx, b: Approx): Answer {
  if (a.value === b.value && (a.error === b.error || !isLeft(a))) return 'no';
  const apart = a.value - b.value;
  const error = a.error + b.error;
  if (apart > error) return 'yes';
  return apart < -error || (apart === -error && error === 0) ? 'no' : 'unknown';
}

const opposite = { yes: 'no', no: 'yes', unknown: 'unknown' } as const;

type Row = readonly Approx[];

/** Whether each token stays. */
type Filter<Kind> = (
  row: Row,
  step: Extract<SamplingStep, { kind: Kind }>,
  calc: Calculator,
) => Answer[];

/** Whether token j comes before token i: it is likelier, or as likely with a lower id. */
function precedes(row: Row, j: number, i: number): Answer {
  return j < i ? opposite[isLarger(row[i], row[j])] : isLarger(row[j], row[i]);
}

/** The tokens that come before token i, for certain and at most. */
function before(row: Row, i: number): { certain: number[]; possible: number[] } {
  const others = row.flatMap((_, j) => (j === i ? [] : [{ j, answer: precedes(row, j, i) }]));
  return {
    certain: others.flatMap(({ j, answer }) => (answer === 'yes' ? [j] : [])),
    possible: others.flatMap(({ j, answer }) => (answer === 'no' ? [] : [j])),
  };
}

/** Fewer than k logits are larger. */
const topK: Filter<'topK'> = (row, { k, minKeep = 1 }) => {
  const kept = Math.max(k, minKeep);
  return row.map((x) => {
    const answers = row.map((other) => isLarger(other, x));
    if (answers.filter((answer) => answer !== 'no').length < kept) return 'yes';
    return answers.filter((answer) => answer === 'yes').length >= kept ? 'no' : 'unknown';
  });
};

/** The tokens before it have together less than p, or are fewer than minKeep. */
const topP: Filter<'topP'> = (row, { p, minKeep = 1 }, calc) => {
  const probabilities = probabilitiesOf(row, calc);
  const massOf = (tokens: number[]) => calc.sum(tokens.map((j) => probabilities[j]));
  return row.map((_, i) => {
    const { certain, possible } = before(row, i);
    const [least, most] = [massOf(certain), massOf(possible)];
    if (possible.length < minKeep || most.value + most.error < p) return 'yes';
    return certain.length >= minKeep && least.value - least.error >= p ? 'no' : 'unknown';
  });
};

/** It has at least p times the probability of the likeliest, or is among the minKeep first. */
const minP: Filter<'minP'> = (row, { p, minKeep = 1 }, calc) => {
  const probabilities = probabilitiesOf(row, calc);
  const best = probabilities[row.findIndex((x) => row.every((y) => isLarger(y, x) !== 'yes'))];
  const least = calc.mul(exactly(p), best);
  return row.map((x, i) => {
    const { certain, possible } = before(row, i);
    const isLikeliest = row.every((other) => isLarger(other, x) === 'no');
    if (possible.length < minKeep || isLikeliest) return 'yes';
    const isLess = isLarger(least, probabilities[i]);
    if (isLess === 'no') return 'yes';
    return certain.length >= minKeep && isLess === 'yes' ? 'no' : 'unknown';
  });
};

/** Softmax over the tokens that are left, 0 for the others. */
function probabilitiesOf(row: Row, calc: Calculator): Approx[] {
  const left = softmaxOf(row.filter(isLeft), calc);
  let next = 0;
  return row.map((x) => (isLeft(x) ? left[next++] : ZERO));
}

/** x/penalty above 0, x·penalty below. */
function penalised(x: Approx, penalty: number, calc: Calculator): Approx {
  const [quotient, product] = [calc.div(x, exactly(penalty)), calc.mul(x, exactly(penalty))];
  const chosen = x.value > 0 ? quotient : product;
  if (Math.abs(x.value) > x.error || x.error === 0) return chosen;
  const error = Math.max(quotient.error, product.error) + Math.abs(quotient.value - product.value);
  return { value: chosen.value, error };
}

/** A row after one step, or undefined where the arithmetic cannot tell which tokens are left. */
function applied(
  row: Row,
  step: SamplingStep,
  previous: ReadonlySet<number>,
  calc: Calculator,
): Row | undefined {
  const changed = (f: (x: Approx, token: number) => Approx) =>
    row.map((x, token) => (isLeft(x) ? f(x, token) : x));
  const filtered = (answers: readonly Answer[]) =>
    answers.includes('unknown')
      ? undefined
      : changed((x, token) => (answers[token] === 'yes' ? x : REMOVED));
  switch (step.kind) {
    case 'logitBias':
      return changed((x, token) => {
        const bias = step.bias.get(token);
        if (bias === undefined) return x;
        return bias === Number.NEGATIVE_INFINITY ? REMOVED : calc.add(x, exactly(bias));
      });
    case 'repetitionPenalty':
      return changed((x, token) => (previous.has(token) ? penalised(x, step.penalty, calc) : x));
    case 'temperature':
      return changed((x) => calc.div(x, exactly(step.temperature)));
    case 'topK':
      return filtered(topK(row, step, calc));
    case 'topP':
      return filtered(topP(row, step, calc));
    case 'minP':
      return filtered(minP(row, step, calc));
  }
}

export function filterLogits(input: FilterLogitsInput, calc: Calculator) {
  const { logits: given, steps, previous } = input;
  const [rows, vocabSize] = given.shape;
  const logits = Array.from({ length: rows }, (_, r) => {
    const seen = new Set(previous?.[r]);
    let row: Row | undefined = Array.from(
      given.data.subarray(r * vocabSize, (r + 1) * vocabSize),
      exactly,
    );
    for (const step of steps) row &&= applied(row, step, seen, calc);
    return row ?? Array.from({ length: vocabSize }, () => ({ value: 0, error: Infinity }));
  });
  return { logits: logits.flat() };
}
