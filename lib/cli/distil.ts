/** `selscan distil`: makes a recurrent student of a Transformer. */

import type { Command } from 'commander';
import { UnsupportedError } from '../../reference/errors.ts';
import { distil, distilPhases, initialStudent, lastStudent } from '../distil/distil.ts';
import { type LoadedModel, loadModel } from '../loadModel.ts';
import { namedWeights } from '../plan/weights.ts';
import { openTraining } from '../train/device.ts';
import { type DistilRecipe, readDistilRecipe } from '../train/recipe.ts';
import { expectTaskVocabulary } from '../train/taskData.ts';
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
import {
  judgeTexts,
  judgingOf,
  problemsFor,
  type TrainingData,
  textsFrom,
} from './trainingData.ts';

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
  const { batches, texts } = await dataOf(recipe, loaded);
  const initial = initialStudent(teacher, recipe);
  const last = lastStudent(teacher, initial, recipe);
  await expectWritable(flags, last);
  const phases = await distilPhases(teacher, initial, recipe, runFolder(flags));
  const device = await openTraining(flags.backend, flags);
  try {
    const plan = {
      ...{ phases, size: recipe, batches },
      ...(texts && { afterwards: judgingOf([teacher, last]) }),
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
    const judged = texts && judgeTexts(device, [teacher, result], texts, recipe);
    const made = {
      ...{ ...result, curves },
      ...(judged && { heldOut: { teacher: judged[0], student: judged[1] } }),
    };
    await finish(flags, context, made, recipe, texts && { folder: flags.teacher, ...loaded });
  } finally {
    await device.close();
  }
}

/** Problems of the recipe's tasks, or its file of texts. */
function dataOf(recipe: DistilRecipe, teacher: LoadedModel): TrainingData | Promise<TrainingData> {
  const { tasks = [], data, stages } = recipe;
  const { vocabSize } = teacher.config;
  if (data !== undefined && teacher.name.endsWith('.gguf')) {
    throw new UnsupportedError(
      'teacher: expected a folder, whose tokenizer.json the student gets, got a GGUF file; ' +
        'take the model in Hugging Face layout',
    );
  }
  if (data !== undefined) return textsFrom(data, { ...teacher, vocabSize }, recipe);
  expectTaskVocabulary(teacher.config, 'give texts as data in the recipe');
  const steps = stages.reduce((sum, stage) => sum + stage.steps, 0);
  return problemsFor({ ...recipe, tasks }, steps);
}
