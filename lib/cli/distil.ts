/** `selscan distil`: makes a recurrent student of a Transformer. */

import type { Command } from 'commander';
import { distil } from '../distil/distil.ts';
import { initFromAttention } from '../distil/initFromAttention.ts';
import { loadModel } from '../loadModel.ts';
import { namedWeights } from '../plan/weights.ts';
import { openTraining } from '../train/device.ts';
import { readDistilRecipe } from '../train/recipe.ts';
import { taskBatches } from '../train/taskData.ts';
import type { Context } from './context.ts';
import {
  expectWritable,
  finish,
  runFolder,
  type TrainingFlags,
  tellProgress,
  trainingOptions,
} from './training.ts';

interface Flags extends TrainingFlags {
  teacher: string;
}

export function addDistil(program: Command, context: Context): void {
  trainingOptions(
    program
      .command('distil')
      .description('make a Mamba student, pure or hybrid, of a Transformer')
      .requiredOption('--teacher <dir>', 'folder of a Llama-family model'),
  ).action((flags: Flags) => run(flags, context));
}

async function run(flags: Flags, context: Context): Promise<void> {
  const recipe = await readDistilRecipe(flags.recipe);
  taskBatches(recipe)(1); // refuses what does not fit before anything is opened
  const { signal } = context;
  const { config, model } = await loadModel(flags.teacher, { precision: 'float32', signal });
  const teacher = { config, weights: namedWeights(model) };
  const { seed, kind, keptAttention = [] } = recipe;
  await expectWritable(flags, initFromAttention(teacher, { kind, keptAttention, seed }));
  const device = await openTraining(flags.backend, flags);
  try {
    const tell = tellProgress(context, flags.json);
    const nameOf = (i: number) => `${i + 1} ${recipe.stages[i].stage}`;
    const result = await distil({
      ...{ device, teacher, recipe, folder: runFolder(flags), signal },
      onProgress: (stage, progress) => tell(nameOf(stage), progress),
    });
    if (!result.isDone) {
      const stage = result.curves.length;
      context.terminal.err(
        `stopped in stage ${stage} of ${recipe.stages.length}; the same command goes on from there\n`,
      );
      return;
    }
    const curves = new Map(result.curves.map((curve, i) => [nameOf(i), curve]));
    await finish(flags, context, { ...result, curves }, recipe);
  } finally {
    await device.close();
  }
}
