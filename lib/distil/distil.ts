/** From a teacher to a trained student: initialised from attention, then taken through the stages of a recipe. */

import type { TrainingDevice } from '../../backends/training.ts';
import type { Batch } from '../train/batches.ts';
import { firstNotFinite } from '../train/cause.ts';
import type { Phase } from '../train/estimate.ts';
import { type TrainProgress, train } from '../train/loop.ts';
import type { DistilRecipe } from '../train/recipe.ts';
import type { LossCurve } from '../train/savedRun.ts';
import { taskBatches } from '../train/taskData.ts';
import { initFromAttention, type ModelWithWeights } from './initFromAttention.ts';
import { stageOf } from './stages.ts';

export interface DistilOptions {
  device: TrainingDevice;
  teacher: ModelWithWeights;
  recipe: DistilRecipe;
  /** What it begins with. Default: {@link initialStudent}. */
  initial?: ModelWithWeights;
  /** The batch of each step, counted from 1 over all stages. Default: problems of the recipe's tasks. */
  batches?: (step: number) => Batch;
  /** Where each stage is saved and goes on from. Default: nowhere. */
  folder?: string;
  onProgress?: (stage: number, progress: TrainProgress) => void;
  signal?: AbortSignal;
}

export interface DistilResult extends ModelWithWeights {
  /** Of each stage that was begun. */
  readonly curves: LossCurve[];
  readonly seconds: number;
  /** Whether all stages are done; not so where the signal has fired. */
  readonly isDone: boolean;
}

/** What a recipe makes of a teacher before anything is trained. @throws what {@link initFromAttention} throws. */
export function initialStudent(
  teacher: ModelWithWeights,
  { kind, keptAttention = [], variant = 'attention', seed }: DistilRecipe,
): ModelWithWeights {
  return initFromAttention(teacher, { kind, keptAttention, variant, seed });
}

/** The stages of a recipe, for an estimate of what they need. */
export function distilPhases(
  teacher: ModelWithWeights,
  student: ModelWithWeights,
  { stages }: DistilRecipe,
): Phase[] {
  return stages.map(({ stage, steps }, i) => ({
    ...{ name: `${i + 1} ${stage}`, steps, weights: student.weights },
    prepare: (device, batch) => stageOf(stage, { device, teacher, student, batch }),
  }));
}

/**
 * Trains a student stage by stage, each with an optimiser and a schedule of its own. Stages that are saved whole are
 * taken from there; one that is half done goes on, and ends with the bits of a run that was never interrupted.
 * @throws what {@link train}, {@link initFromAttention} and {@link stageOf} throw.
 */
export async function distil(options: DistilOptions): Promise<DistilResult> {
  const { device, teacher, recipe, folder, onProgress, signal } = options;
  const all = options.batches ?? taskBatches({ ...recipe, tasks: recipe.tasks ?? [] });
  const initial = options.initial ?? initialStudent(teacher, recipe);
  const { config } = initial;
  let { weights } = initial;
  const curves: LossCurve[] = [];
  let seconds = 0;
  let before = 0;
  for (const [i, { stage, steps, ...tuning }] of recipe.stages.entries()) {
    // no problem is seen in two stages
    const offset = before;
    const batch = (step: number) => all(offset + step);
    const { objective, isTrained, free } = stageOf(stage, {
      ...{ device, teacher, batch },
      student: { config, weights },
    });
    const saved = folder && {
      folder: `${folder}/${i + 1}-${stage}`,
      recipe: JSON.stringify({ ...recipe, stages: recipe.stages.slice(0, i + 1) }),
    };
    const whole = train({
      ...{ device, weights, isTrained, steps, objective, schedule: tuning, optimiser: tuning },
      ...(saved && { saved }),
      ...(signal && { signal }),
      onProgress: (progress) => onProgress?.(i, progress),
      findCause: (parameters, step) => firstNotFinite(device, config, parameters, batch(step)),
    });
    const result = await whole.finally(free);
    weights = result.weights;
    seconds += result.seconds;
    curves.push(result.curve);
    before += steps;
    if (result.step < steps) return { config, weights, curves, seconds, isDone: false };
  }
  return { config, weights, curves, seconds, isDone: true };
}
