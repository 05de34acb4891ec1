/** `selscan train`: trains a small Llama on tasks or texts. */

import type { Command } from 'commander';
import { UnsupportedError } from '../../reference/errors.ts';
import type { ModelWithWeights } from '../distil/initFromAttention.ts';
import { plain } from '../distil/stages.ts';
import { loadModel } from '../loadModel.ts';
import { namedWeights } from '../plan/weights.ts';
import { VOCABULARY } from '../tasks/vocabulary.ts';
import { firstNotFinite } from '../train/cause.ts';
import { openTraining } from '../train/device.ts';
import type { Phase } from '../train/estimate.ts';
import { train } from '../train/loop.ts';
import { readTrainRecipe, type TrainRecipe } from '../train/recipe.ts';
import { fingerprintOf, savedSteps } from '../train/savedRun.ts';
import { initialWeights, teacherConfig } from '../train/teacher.ts';
import type { Context } from './context.ts';
import { tellNeeds } from './needs.ts';
import { readerOf } from './textReader.ts';
import {
  expectWritable,
  finish,
  runFolder,
  type TrainingFlags,
  tellProgress,
  trainingOptions,
} from './training.ts';
import { judgeTexts, judgingOf, problemsFor, textsFrom } from './trainingData.ts';

export function addTrain(program: Command, context: Context): void {
  trainingOptions(
    program
      .command('train')
      .description('train a small Transformer on tasks or texts, or any model further'),
  ).action((flags: TrainingFlags) => run(flags, context));
}

async function run(flags: TrainingFlags, context: Context): Promise<void> {
  const recipe = await readTrainRecipe(flags.recipe);
  const { steps, tasks = [], data } = recipe;
  const reader = recipe.tokenizer === undefined ? undefined : await readerOf(recipe.tokenizer);
  const vocabSize = reader?.vocabSize ?? VOCABULARY.length;
  const { config, weights: initial, origin } = await beginningOf(recipe, vocabSize, context);
  // refuses what does not fit before anything is opened
  const { batches: batch, texts } =
    data !== undefined && reader
      ? await textsFrom(data, reader, recipe)
      : problemsFor({ ...recipe, tasks }, steps);
  await expectWritable(flags, { config, weights: initial });
  const saved = { folder: runFolder(flags), recipe: origin };
  const done = await savedSteps(saved);
  const device = await openTraining(flags.backend, flags);
  try {
    const phase: Phase = {
      ...{ name: 'train', steps, done, weights: initial },
      prepare: (_, of) => ({ objective: plain({ config }, of), isTrained: () => true, free() {} }),
    };
    const plan = {
      ...{ phases: [phase], size: recipe, batches: batch },
      ...(texts && { afterwards: judgingOf([{ config, weights: initial }]) }),
    };
    await tellNeeds(device, plan, flags, context);
    if (flags.dryRun) return;
    const tell = tellProgress(context, flags.json);
    const result = await train({
      ...{ device, weights: initial, steps },
      objective: plain({ config }, batch),
      ...{ schedule: recipe, optimiser: recipe, signal: context.signal },
      saved,
      onProgress: (progress) => tell('train', progress),
      findCause: (parameters, step) => firstNotFinite(device, config, parameters, batch(step)),
    });
    const { weights, curve, seconds } = result;
    if (result.step < steps) {
      context.terminal.err(
        `stopped after step ${result.step} of ${steps}; the same command goes on from there\n`,
      );
      return;
    }
    const curves = new Map([['train', curve]]);
    const judged = texts && judgeTexts(device, [{ config, weights }], texts, recipe);
    const made = {
      config,
      weights,
      curves,
      seconds,
      ...(judged && { heldOut: { model: judged[0] } }),
    };
    await finish(flags, context, made, recipe, reader);
  } finally {
    await device.close();
  }
}

/** Positions that a new model is said to know, at least. */
const CONTEXT = 2048;

/** What is trained: a new model, or one of a folder; and what tells this run from others. */
async function beginningOf(
  recipe: TrainRecipe,
  vocabSize: number,
  { signal }: Context,
): Promise<ModelWithWeights & { origin: string }> {
  const { seed, seqlen, model, from } = recipe;
  if (from === undefined) {
    const contextLength = Math.max(seqlen, CONTEXT);
    const sizes = model as NonNullable<TrainRecipe['model']>; // a recipe has either
    const config = teacherConfig({ vocabSize, contextLength, ...sizes });
    return { config, weights: initialWeights(config, seed), origin: JSON.stringify(recipe) };
  }
  const loaded = await loadModel(from, { precision: 'float32', signal });
  if (loaded.config.vocabSize !== vocabSize) {
    throw new UnsupportedError(
      `from: expected a model of the ${vocabSize} tokens that are learned, got one of ` +
        `${loaded.config.vocabSize}; take the tasks or the tokenizer that it was made with`,
    );
  }
  const { contextLength } = loaded.config;
  const longer = contextLength !== undefined && { contextLength: Math.max(seqlen, contextLength) };
  const weights = namedWeights(loaded.model);
  // another model in the same folder is another run
  const origin = JSON.stringify({ recipe, from: await fingerprintOf(weights) });
  return { config: { ...loaded.config, ...longer }, weights, origin };
}
