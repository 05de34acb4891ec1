/** `selscan distil`: makes a recurrent student of a Transformer. */

import type { Command } from 'commander';
import type { TrainingDevice } from '../../backends/training.ts';
import { UnsupportedError } from '../../reference/errors.ts';
import { distil, distilPhases, initialStudent } from '../distil/distil.ts';
import type { ModelWithWeights } from '../distil/initFromAttention.ts';
import { type LoadedModel, loadModel } from '../loadModel.ts';
import { namedWeights } from '../plan/weights.ts';
import { VOCABULARY } from '../tasks/vocabulary.ts';
import type { Batch, Example } from '../train/batches.ts';
import { crossEntropyOf } from '../train/crossEntropy.ts';
import { openTraining } from '../train/device.ts';
import type { BatchSize } from '../train/estimate.ts';
import { type DistilRecipe, readDistilRecipe } from '../train/recipe.ts';
import { expectExamplesFit, taskBatches } from '../train/taskData.ts';
import { readTextData, type TextData, textBatches } from '../train/textData.ts';
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
  const initial = initialStudent(teacher, recipe);
  await expectWritable(flags, initial);
  const device = await openTraining(flags.backend, flags);
  try {
    const phases = distilPhases(teacher, initial, recipe);
    const plan = {
      ...{ phases, size: recipe, batches },
      ...(data && { afterwards: judging(teacher, initial) }),
    };
    await tellNeeds(device, plan, flags, context);
    if (flags.dryRun) return;
    const tell = tellProgress(context, flags.json);
    const nameOf = (i: number) => phases[i].name;
    const result = await distil({
      ...{ device, teacher, recipe, initial, batches, folder: runFolder(flags), signal },
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
  if (loaded.config.vocabSize !== VOCABULARY.length) {
    throw new UnsupportedError(
      `teacher: expected a model of the ${VOCABULARY.length} tokens of the tasks, got one of ` +
        `${loaded.config.vocabSize}; give texts as data in the recipe`,
    );
  }
  const named = { ...recipe, tasks: tasks ?? [] };
  expectExamplesFit(
    named,
    recipe.stages.reduce((sum, { steps }) => sum + steps, 0),
  );
  return { batches: taskBatches(named) };
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

/** {@link judgeTexts} of texts that are as long and as many at a time as they can be, for an estimate. */
function judging(...models: readonly ModelWithWeights[]) {
  return (device: TrainingDevice, size: BatchSize) => {
    const tokens = new Array<number>(size.seqlen + 1).fill(0);
    const examples = new Array<Example>(size.batch).fill({ tokens, learnFrom: 1 });
    for (const model of models) crossEntropyOf(device, model, examples, size);
  };
}
