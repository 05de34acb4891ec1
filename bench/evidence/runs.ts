/** What shows that distillation is what helps: students made with and without each part of it, at equal tokens. */

import type { Variant } from '../../lib/distil/initFromAttention.ts';
import type { Accuracy } from '../../lib/train/evaluate.ts';
import type { DistilRecipe, StageRecipe } from '../../lib/train/recipe.ts';

/** One student of the evidence. */
export interface EvidenceRun {
  readonly name: string;
  /** What it says in figures. */
  readonly title: string;
  readonly recipe: Omit<DistilRecipe, 'seed' | 'tasks' | 'batch' | 'seqlen'>;
}

/** Steps of every run, over all its stages. */
export const STEPS = 450;
/** Losses of so many steps are one point of a curve. */
export const SMOOTHED = 10;
/** Also the way of the published recipes: warm-up, then down along a cosine. */
const forward = (steps: number): StageRecipe => ({
  ...{ stage: 'forward', steps, learningRate: 0.001, shape: 'cosine', warmUp: 0.05 },
});
const matrices = (steps: number): StageRecipe => ({
  ...{ stage: 'matrices', steps, learningRate: 0.002 },
});
const hidden = (steps: number): StageRecipe => ({
  ...{ stage: 'hidden', steps, learningRate: 0.002 },
});

const hybrid = (keptAttention: number[], more: { variant?: Variant } = {}) => ({
  ...{ kind: 'mambaInLlama2' as const, keptAttention, stages: [forward(STEPS)], ...more },
});
const pure = (stages: StageRecipe[], more: { variant?: Variant } = {}) => ({
  ...{ kind: 'llamba' as const, stages, ...more },
});

export const RUNS: readonly EvidenceRun[] = [
  { name: 'kept-50', title: '50 % attention', recipe: hybrid([1, 3]) },
  { name: 'kept-25', title: '25 % attention', recipe: hybrid([3]) },
  { name: 'kept-0', title: '0 % attention', recipe: hybrid([]) },
  {
    ...{ name: 'hybrid-random', title: '25 % attention, drawn' },
    recipe: hybrid([3], { variant: 'random' }),
  },
  {
    ...{ name: 'hybrid-passing', title: '25 % attention, passing' },
    recipe: hybrid([3], { variant: 'passing' }),
  },
  { name: 'pure-forward', title: 'logits only', recipe: pure([forward(STEPS)]) },
  {
    ...{ name: 'pure-random', title: 'logits only, drawn' },
    recipe: pure([forward(STEPS)], { variant: 'random' }),
  },
  {
    ...{ name: 'pure-hidden', title: 'hidden states, then logits' },
    recipe: pure([hidden(150), forward(STEPS - 150)]),
  },
  {
    ...{ name: 'pure-all', title: 'matrices, hidden states, logits' },
    recipe: pure([matrices(50), hidden(130), forward(STEPS - 180)]),
  },
];

/** What one student reached. */
export interface EvidenceResult extends Accuracy {
  readonly run: string;
  readonly seed: number;
  /** Nats per token of the right chains of unseen problems. */
  readonly nats: number;
  readonly minutes: number;
  readonly commit: string;
  /** Loss of each step: mean over ten steps, of the last stage. */
  readonly curve: readonly (readonly [step: number, loss: number])[];
}
