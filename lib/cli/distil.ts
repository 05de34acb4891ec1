/** `selscan distil`: makes a recurrent student of a Transformer. */

import type { Command } from 'commander';
import type { TrainingDevice } from '../../backends/training.ts';
import { distil } from '../distil/distil.ts';
import { initFromAttention, type ModelWithWeights } from '../distil/initFromAttention.ts';
import { type LoadedModel, loadModel } from '../loadModel.ts';
import { namedWeights } from '../plan/weights.ts';
import type { Batch } from '../train/batches.ts';
import { crossEntropyOf } from '../train/crossEntropy.ts';
import { openTraining } from '../train/device.ts';
import { type DistilRecipe, readDistilRecipe } from '../train/recipe.ts';
import { expectTaskVocabulary, taskBatches } from '../train/taskData.ts';
import { readTextData, type TextData, textBatches } from '../train/textData.ts';
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
  const { signal } = context;
  const loaded = await loadModel(flags.teacher, { precision: 'float32', signal });
  const teacher = { config: loaded.config, weights: namedWeights(loaded.model) };
  // refuses what does not fit before anything is trained
  const { batches, data } = await batchesOf(recipe, loaded);
  batches(1);
  const { seed, kind, keptAttention = [] } = recipe;
  await expectWritable(flags, initFromAttention(teacher, { kind, keptAttention, seed }));
  const device = await openTraining(flags.backend, flags);
  try {
    const tell = tellProgress(context, flags.json);
    const nameOf = (i: number) => `${i + 1} ${recipe.stages[i].stage}`;
    const result = await distil({
      ...{ device, teacher, recipe, batches, folder: runFolder(flags), signal },
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
    const heldOut = data && judgeTexts(device, teacher, result, data, recipe);
    const made = { ...result, curves, ...(heldOut && { heldOut }) };
    await finish(flags, context, made, recipe, data && { folder: flags.teacher, ...loaded });
  } finally {
    await device.close();
  }
}

/** Batches of the recipe's tasks, or of its file of texts. */
async function batchesOf(
  recipe: DistilRecipe,
  loaded: LoadedModel,
): Promise<{ batches: (step: number) => Batch; data?: TextData }> {
  const { tasks, data: path, seqlen } = recipe;
  if (path !== undefined) {
    const data = await readTextData(path, loaded, seqlen);
    return { batches: textBatches(data.learned, recipe), data };
  }
  expectTaskVocabulary(loaded.config, 'give texts as data in the recipe');
  return { batches: taskBatches({ ...recipe, tasks: tasks ?? [] }) };
}

/** What teacher and student say to texts that neither was shown. */
function judgeTexts(
  device: TrainingDevice,
  teacher: ModelWithWeights,
  student: ModelWithWeights,
  { heldOut }: TextData,
  recipe: DistilRecipe,
): { teacher: number; student: number } {
  const of = (model: ModelWithWeights) => crossEntropyOf(device, model, heldOut, recipe);
  return { teacher: of(teacher), student: of(student) };
}
