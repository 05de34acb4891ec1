/** From a teacher to a trained student: initialised from attention, then taken through the stages of a recipe. */

import type { TrainingDevice } from '../../backends/training.ts';
import { ConfigError } from '../../reference/errors.ts';
import type { Batch } from '../train/batches.ts';
import { firstNotFinite } from '../train/cause.ts';
import type { Phase } from '../train/estimate.ts';
import { type TrainProgress, train } from '../train/loop.ts';
import type { DistilRecipe } from '../train/recipe.ts';
import { fingerprintOf, type LossCurve, type SavedPlace, savedSteps } from '../train/savedRun.ts';
import { taskBatches } from '../train/taskData.ts';
import {
  convertFurther,
  type InitOptions,
  initFromAttention,
  type ModelWithWeights,
} from './initFromAttention.ts';
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
export function initialStudent(teacher: ModelWithWeights, recipe: DistilRecipe): ModelWithWeights {
  return initFromAttention(teacher, optionsOf(recipe, 0));
}

/** The student that a recipe ends with, untrained: which layers it has. @throws what {@link expectRounds} throws. */
export function lastStudent(
  teacher: ModelWithWeights,
  initial: ModelWithWeights,
  recipe: DistilRecipe,
): ModelWithWeights {
  expectRounds(recipe);
  return studentOf(teacher, initial, recipe, recipe.stages.length - 1);
}

/** @throws ConfigError with code Recipe for a stage that would make attention of a converted layer. */
function expectRounds(recipe: DistilRecipe): void {
  for (let i = 1; i < recipe.stages.length; i++) {
    const before = keptIn(recipe, i - 1);
    const back = keptIn(recipe, i).filter((layer) => !before.includes(layer));
    if (back.length === 0) continue;
    throw new ConfigError(
      `stages[${i}]: keptAttention: expected some of [${before.join(', ')}], which the stage before keeps, ` +
        `got ${back.join(', ')}; a converted layer does not become attention again`,
      'Recipe',
    );
  }
}

/** Layers that are attention in a stage. */
const keptIn = ({ stages, keptAttention = [] }: DistilRecipe, stage: number) =>
  stages[stage].keptAttention ?? keptAttention;

function optionsOf(recipe: DistilRecipe, stage: number): InitOptions {
  const { kind, variant = 'attention', seed } = recipe;
  return { kind, keptAttention: keptIn(recipe, stage), variant, seed };
}

/**
 * The stages of a recipe, for an estimate of what they need: with students that nothing has trained.
 * @param folder where stages may have been saved. @throws ConfigError with code OtherRun as {@link distil}.
 */
export async function distilPhases(
  teacher: ModelWithWeights,
  initial: ModelWithWeights,
  recipe: DistilRecipe,
  folder?: string,
): Promise<Phase[]> {
  const places = folder === undefined ? [] : await placesOf(folder, teacher, recipe);
  const done = await Promise.all(places.map(savedSteps));
  let student = initial;
  return recipe.stages.map(({ stage, steps }, i) => {
    student = studentOf(teacher, student, recipe, i);
    const own = student;
    return {
      ...{ name: `${i + 1} ${stage}`, steps, done: done[i] ?? 0, weights: own.weights },
      prepare: (device, batch) => stageOf(stage, { device, teacher, student: own, batch }),
    };
  });
}

/** Where each stage is saved. What it hangs on: the teacher, and the recipe so far. */
async function placesOf(
  folder: string,
  teacher: ModelWithWeights,
  { stages, ...recipe }: DistilRecipe,
): Promise<SavedPlace[]> {
  const origin = await fingerprintOf(teacher.weights);
  return stages.map(({ stage }, i) => ({
    folder: `${folder}/${i + 1}-${stage}`,
    recipe: JSON.stringify({ ...recipe, stages: stages.slice(0, i + 1), teacher: origin }),
  }));
}

/** The student that a stage trains: the one that the stage before has made, more of its layers converted if it says so. */
function studentOf(
  teacher: ModelWithWeights,
  student: ModelWithWeights,
  recipe: DistilRecipe,
  stage: number,
): ModelWithWeights {
  const isKept = (layer: number) => student.config.layers[layer].mixer.kind === 'attention';
  const count = student.config.layers.filter((_, layer) => isKept(layer)).length;
  if (keptIn(recipe, stage).length === count) return student;
  return convertFurther(teacher, student, optionsOf(recipe, stage));
}

/**
 * Trains a student stage by stage, each with an optimiser and a schedule of its own. A stage that keeps less attention
 * than the one before converts those layers first, from the attention that they have by then ({@link convertFurther}).
 * Stages that are saved whole are taken from there; one that is half done goes on, and ends with the bits of a run that
 * was never interrupted.
 * @throws what {@link train}, {@link initFromAttention} and {@link stageOf} throw.
 */
export async function distil(options: DistilOptions): Promise<DistilResult> {
  const { device, teacher, recipe, folder, onProgress, signal } = options;
  const all = options.batches ?? taskBatches({ ...recipe, tasks: recipe.tasks ?? [] });
  expectRounds(recipe);
  const places = folder === undefined ? [] : await placesOf(folder, teacher, recipe);
  let student = options.initial ?? initialStudent(teacher, recipe);
  const curves: LossCurve[] = [];
  let seconds = 0;
  let before = 0;
  for (const [i, { stage, steps, keptAttention: _kept, ...tuning }] of recipe.stages.entries()) {
    // no problem is seen in two stages
    const offset = before;
    const batch = (step: number) => all(offset + step);
    student = studentOf(teacher, student, recipe, i);
    const { config, weights } = student;
    const { objective, isTrained, free } = stageOf(stage, {
      ...{ device, teacher, batch, student },
    });
    const saved = places[i];
    const whole = train({
      ...{ device, weights, isTrained, steps, objective, schedule: tuning, optimiser: tuning },
      ...(saved && { saved }),
      ...(signal && { signal }),
      onProgress: (progress) => onProgress?.(i, progress),
      findCause: (parameters, step) => firstNotFinite(device, config, parameters, batch(step)),
    });
    const result = await whole.finally(free);
    student = { config, weights: result.weights };
    seconds += result.seconds;
    curves.push(result.curve);
    before += steps;
    if (result.step < steps) return { ...student, curves, seconds, isDone: false };
  }
  return { ...student, curves, seconds, isDone: true };
}
