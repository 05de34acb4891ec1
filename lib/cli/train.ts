/** `selscan train`: trains a small Llama on tasks. */

import type { Command } from 'commander';
import { plain } from '../distil/stages.ts';
import { VOCABULARY } from '../tasks/vocabulary.ts';
import { firstNotFinite } from '../train/cause.ts';
import { openTraining } from '../train/device.ts';
import type { Phase } from '../train/estimate.ts';
import { train } from '../train/loop.ts';
import { readTrainRecipe } from '../train/recipe.ts';
import { expectExamplesFit, taskBatches } from '../train/taskData.ts';
import { initialWeights, teacherConfig } from '../train/teacher.ts';
import type { Context } from './context.ts';
import { tellNeeds } from './needs.ts';
import {
  expectWritable,
  finish,
  runFolder,
  type TrainingFlags,
  tellProgress,
  trainingOptions,
} from './training.ts';

export function addTrain(program: Command, context: Context): void {
  trainingOptions(
    program
      .command('train')
      .description('train a small Transformer on tasks with chains of thought'),
  ).action((flags: TrainingFlags) => run(flags, context));
}

async function run(flags: TrainingFlags, context: Context): Promise<void> {
  const recipe = await readTrainRecipe(flags.recipe);
  const { steps, seed } = recipe;
  const config = teacherConfig({ vocabSize: VOCABULARY.length, ...recipe.model });
  // refuses what does not fit before anything is opened
  expectExamplesFit(recipe, steps);
  const batch = taskBatches(recipe);
  const initial = initialWeights(config, seed);
  await expectWritable(flags, { config, weights: initial });
  const device = await openTraining(flags.backend, flags);
  try {
    const phase: Phase = {
      ...{ name: 'train', steps, weights: initial },
      prepare: (_, of) => ({ objective: plain({ config }, of), isTrained: () => true, free() {} }),
    };
    await tellNeeds(device, { phases: [phase], size: recipe, batches: batch }, flags, context);
    if (flags.dryRun) return;
    const tell = tellProgress(context, flags.json);
    const result = await train({
      ...{ device, weights: initial, steps },
      objective: plain({ config }, batch),
      ...{ schedule: recipe, optimiser: recipe, signal: context.signal },
      saved: { folder: runFolder(flags), recipe: JSON.stringify(recipe) },
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
    await finish(flags, context, { config, weights, curves, seconds }, recipe);
  } finally {
    await device.close();
  }
}
