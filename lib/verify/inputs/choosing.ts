/** Random inputs of the ops that choose tokens and judge chains. */

import fc from 'fast-check';
import type { SamplingStep } from '../../../reference/sampling.ts';
import type { Tensor } from '../../../reference/tensor.ts';
import type { Draws } from '../values.ts';
import { drawn, flag, type InputOf, size } from './drawn.ts';

const vocabulary = { rows: size(3), vocabSize: size(12), isTied: flag };
/** A third of the vocabularies are larger than what a workgroup looks at in one go. */
const largeVocabulary = {
  ...vocabulary,
  vocabSize: fc.oneof(
    { withCrossShrink: true },
    { arbitrary: size(12), weight: 2 },
    { arbitrary: size(600, 13), weight: 1 },
  ),
};

function drawLogits(
  draws: Draws,
  d: { rows: number; vocabSize: number; isTied: boolean; reach?: number },
): Tensor {
  const { reach = 6 } = d;
  const logits = draws.tensorBetween(-reach, reach, d.rows, d.vocabSize);
  return d.isTied ? { ...logits, data: logits.data.map(Math.round) } : logits;
}

/** Logits of a small vocabulary, often with ties. */
export const logitsInput = drawn(
  largeVocabulary,
  (d, draws): { logits: Tensor } => ({ logits: drawLogits(draws, d) }),
  ['usual'],
);

export type StepKind = SamplingStep['kind'];
const STEP_KINDS: readonly StepKind[] = [
  'logitBias',
  'repetitionPenalty',
  'temperature',
  'topK',
  'topP',
  'minP',
];

/** A sampling step of a kind, with options from all of their range. */
export function drawStep(kind: StepKind, draws: Draws, vocabSize: number): SamplingStep {
  const share = 1 - draws.uniform(); // (0, 1]
  switch (kind) {
    case 'logitBias': {
      const biases = Array.from({ length: draws.below(3) }, (): [number, number] => [
        draws.below(vocabSize),
        Math.fround(draws.between(-9, 9)),
      ]);
      // one token of at least two is banned, so that others are left
      if (vocabSize > 1 && draws.below(3) === 0) {
        biases.push([draws.below(vocabSize), Number.NEGATIVE_INFINITY]);
      }
      return { kind, bias: new Map(biases) };
    }
    case 'repetitionPenalty':
      return { kind, penalty: Math.fround(draws.between(0.5, 2)) };
    case 'temperature':
      return { kind, temperature: Math.fround(draws.between(0.25, 4)) };
    case 'topK':
      // also more than there are, but mostly few enough to remove some
      return { kind, k: 1 + draws.below(draws.below(vocabSize + 2) + 1), ...minKeep(draws) };
    default:
      return { kind, p: share, ...minKeep(draws) };
  }
}

/** How many tokens a filter must leave, where it says so. */
const minKeep = (draws: Draws) => (draws.below(4) === 0 ? { minKeep: 1 + draws.below(3) } : {});

/** Any steps, or each kind at most once in any order, as samplers have them. */
const steps = {
  kinds: fc.oneof(fc.array(fc.constantFrom(...STEP_KINDS), { maxLength: 4 }), {
    arbitrary: fc.shuffledSubarray([...STEP_KINDS], { minLength: 2 }),
    weight: 2,
  }),
};

export const filterLogitsInput = drawn(
  {
    ...vocabulary,
    vocabSize: fc.oneof(size(3), { arbitrary: size(16, 4), weight: 3 }),
    reach: fc.constantFrom(1, 6), // with 1 many tokens share the probability
    ...steps,
  },
  (d, draws): InputOf<'filterLogits'> => ({
    logits: drawLogits(draws, d),
    steps: d.kinds.map((kind) => drawStep(kind, draws, d.vocabSize)),
    previous: Array.from({ length: d.rows }, () =>
      Array.from({ length: draws.below(4) }, () => draws.below(d.vocabSize)),
    ),
  }),
  ['usual'],
);

/** Logits with some tokens removed, and a uniform number for every row. */
export const chooseTokenInput = drawn(
  { ...largeVocabulary, removed: flag, isAtEdge: flag },
  (d, draws): InputOf<'chooseToken'> => {
    const logits = drawLogits(draws, d);
    for (let i = 0; d.removed && i < logits.data.length; i++) {
      // the last token of every row stays
      if ((i + 1) % d.vocabSize > 0 && draws.uniform() < 0.5)
        logits.data[i] = Number.NEGATIVE_INFINITY;
    }
    return { logits, u: Array.from({ length: d.rows }, () => (d.isAtEdge ? 0 : draws.uniform())) };
  },
  ['usual'],
);

const ties = fc.constantFrom('first', 'split', 'none' as const);
const chains = { nAnswers: size(4), nChains: size(8, 0), ties };

function drawAnswers(draws: Draws, d: { nAnswers: number; nChains: number }): (string | null)[] {
  return Array.from({ length: d.nChains }, () => {
    const answer = draws.below(d.nAnswers + 1);
    return answer === d.nAnswers ? null : String(answer);
  });
}

export const majorityVoteInput = drawn(
  chains,
  (d, draws): InputOf<'majorityVote'> => ({ answers: drawAnswers(draws, d), ties: d.ties }),
  ['usual'],
);

export const weightedVoteInput = drawn(
  chains,
  (d, draws): InputOf<'weightedVote'> => ({
    answers: drawAnswers(draws, d),
    weights: Array.from({ length: d.nChains }, () => draws.below(9) / 8), // sums are exact
    ties: d.ties,
  }),
  ['usual'],
);

const numbers = (draws: Draws, length: number) =>
  Array.from({ length }, () => (draws.below(17) - 8) / 8);

export const bestOfNInput = drawn(
  { nChains: size(8) },
  (d, draws): InputOf<'bestOfN'> => ({ rewards: numbers(draws, d.nChains) }),
  ['usual'],
);

export const aggregateStepScoresInput = drawn(
  { nSteps: size(6), method: fc.constantFrom('last', 'min', 'product', 'mean' as const) },
  (d, draws): InputOf<'aggregateStepScores'> => ({
    scores: numbers(draws, d.nSteps),
    method: d.method,
  }),
  ['usual'],
);

export const passAtKInput = drawn(
  { nSamples: size(300) },
  (d, draws): InputOf<'passAtK'> => ({
    nSamples: d.nSamples,
    nCorrect: draws.below(d.nSamples + 1),
    k: 1 + draws.below(d.nSamples),
  }),
  ['usual'],
);
