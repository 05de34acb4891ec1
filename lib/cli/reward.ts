/** `selscan reward`: trains a model that tells right chains from wrong ones. */

import type { Command } from 'commander';
import type { TrainingDevice } from '../../backends/training.ts';
import { openExecutor } from '../backend.ts';
import { writeModelFolder } from '../checkpoint/modelWriter.ts';
import { type LoadedModel, loadModel } from '../loadModel.ts';
import { namedWeights } from '../plan/weights.ts';
import { type DrawnProblem, type DrawOptions, drawChains } from '../reward/drawChains.ts';
import { evaluateReward, type RewardAccuracy } from '../reward/evaluate.ts';
import { withScore, withTwoRows } from '../reward/head.ts';
import { countsOf, type LabelCounts } from '../reward/labels.ts';
import { loadReward } from '../reward/loadReward.ts';
import type { Separation } from '../reward/measures.ts';
import { resumeChains, saveChains } from '../reward/savedChains.ts';
import { labelDrawn, TASK_REWARD, trainReward } from '../reward/train.ts';
import { openTraining } from '../train/device.ts';
import { type RewardRecipe, readRewardRecipe } from '../train/recipe.ts';
import { fingerprintOf } from '../train/savedRun.ts';
import { expectTaskVocabulary } from '../train/taskData.ts';
import type { Context } from './context.ts';
import { formatCount } from './terminal.ts';
import {
  expectWritable,
  minutes,
  percent,
  runFolder,
  TASK_FILES,
  type TrainingFlags,
  tellProgress,
  trainingOptions,
  writeCurves,
} from './training.ts';

interface Flags extends TrainingFlags {
  model: string;
}

export function addReward(program: Command, context: Context): void {
  trainingOptions(
    program
      .command('reward')
      .description('train a verifier: a model that scores chains and their steps')
      .requiredOption('--model <dir>', 'folder of the teacher: it draws the chains'),
  ).action((flags: Flags) => run(flags, context));
}

async function run(flags: Flags, context: Context): Promise<void> {
  const recipe = await readRewardRecipe(flags.recipe);
  const { signal, terminal } = context;
  const teacher = await loadModel(flags.model, { precision: 'float32', signal });
  expectTaskVocabulary(teacher.config, 'its chains must be those of tasks');
  const judge =
    recipe.from === undefined
      ? teacher
      : await loadModel(recipe.from, { precision: 'float32', signal });
  expectTaskVocabulary(judge.config, 'it must read the chains of tasks', 'from');
  // the embedding stays no head: what is written has none for logits
  const config = { ...judge.config, isTied: true, hasHeadBias: false };
  const weights = namedWeights(judge.model);
  const untrained = withScore(withTwoRows(weights, config.dModel));
  const { reward } = TASK_REWARD;
  // refuses what no layout can hold before anything is drawn
  await expectWritable(flags, { config, weights: untrained, reward });
  const origin = JSON.stringify({
    recipe,
    teacher: await fingerprintOf(namedWeights(teacher.model)),
    ...(judge !== teacher && { from: await fingerprintOf(weights) }),
  });
  const drawn = await drawToLearn(flags, context, { teacher, recipe, origin });
  if (drawn.length < recipe.problems) {
    terminal.err(
      `stopped after ${drawn.length} of ${recipe.problems} problems; the same command goes on from there\n`,
    );
    return;
  }
  const chains = labelDrawn(drawn);
  const device = await openTraining(flags.backend, flags);
  try {
    const tell = tellProgress(context, flags.json);
    const { curve, seconds, step, ...made } = await trainReward({
      ...{ device, judge: { config, weights }, chains, recipe, signal },
      saved: { folder: runFolder(flags), recipe: origin },
      onProgress: (progress) => tell('reward', progress),
    });
    if (step < recipe.steps) {
      terminal.err(
        `stopped after step ${step} of ${recipe.steps}; the same command goes on from there\n`,
      );
      return;
    }
    const facts = { ...countsOf(chains), seconds };
    const { dtype, overwrite } = flags;
    const model = { config, weights: made.weights, dtype, reward, ...TASK_FILES };
    const card = (accuracy?: RewardAccuracy) => cardOf(recipe, facts, accuracy);
    await writeModelFolder(flags.out, { ...model, card: card(), ...(overwrite && { overwrite }) });
    await writeCurves(flags, new Map([['reward', curve]]));
    const accuracy = await judgeUnseen(flags, context, { teacher, recipe, device });
    if (accuracy) {
      await writeModelFolder(flags.out, { ...model, card: card(accuracy), overwrite: true });
    }
    if (flags.json) {
      terminal.out(`${JSON.stringify({ result: { out: flags.out, ...facts, ...accuracy } })}\n`);
      return;
    }
    terminal.out(`${flags.out} written after ${minutes(seconds)} of training\n`);
    terminal.out(`${learnedFrom(facts)}\n`);
    if (accuracy) terminal.out(`${sentencesOf(accuracy).join('\n')}\n`);
  } finally {
    await device.close();
  }
}

/** The chains of the recipe, saved every minute. */
async function drawToLearn(
  flags: Flags,
  { terminal, signal }: Context,
  { teacher, recipe, origin }: { teacher: LoadedModel; recipe: RewardRecipe; origin: string },
): Promise<DrawnProblem[]> {
  const folder = runFolder(flags);
  const { problems, samples, seed } = recipe;
  const before = await resumeChains(folder, origin);
  const begin = performance.now();
  let [lastSave, lastTold] = [begin, begin];
  const drawn = await draw(flags, teacher, recipe, {
    ...{ problems, samples, split: 'train', seed, before, signal },
    onBlock: async (chains) => {
      const now = performance.now();
      if (now - lastSave > 60_000) {
        await saveChains(folder, origin, chains);
        lastSave = now;
      }
      const done = chains.length;
      if (done < problems && now - lastTold < 5_000) return;
      lastTold = now;
      const seconds = (now - begin) / 1e3;
      const secondsLeft = (seconds / (done - before.length)) * (problems - done);
      if (flags.json) {
        const progress = { stage: 'draw', problem: done, problems, seconds, secondsLeft };
        terminal.out(`${JSON.stringify({ progress })}\n`);
      } else {
        const count = `${formatCount(done)} of ${formatCount(problems)} problems`;
        terminal.err(`draw: ${count}, ${minutes(secondsLeft)} left\n`);
      }
    },
  });
  if (drawn.length > before.length) {
    const all = drawn.map(({ chains }) => chains);
    await saveChains(folder, origin, all);
  }
  return drawn;
}

/** What was written is good for, on problems that nothing here has seen; undefined where nobody asks, or interrupts. */
async function judgeUnseen(
  flags: Flags,
  { signal }: Context,
  run: { teacher: LoadedModel; recipe: RewardRecipe; device: TrainingDevice },
): Promise<RewardAccuracy | undefined> {
  const { evaluate: problems, samples } = flags;
  if (problems === 0) return undefined;
  const { teacher, recipe, device } = run;
  const options = { problems, samples, split: 'test', seed: recipe.seed + 1, signal } as const;
  const unseen = await draw(flags, teacher, recipe, options);
  if (unseen.length < problems) return undefined;
  return evaluateReward(await loadReward(flags.out), unseen, { backend: device, signal });
}

/** Draws on an executor of its own, which is closed before anything else computes. */
async function draw(
  { backend, threads }: Flags,
  teacher: LoadedModel,
  { tasks, seqlen, temperature }: RewardRecipe,
  options: Omit<DrawOptions, 'tasks' | 'seqlen' | 'temperature' | 'executor'>,
): Promise<DrawnProblem[]> {
  const tuning = threads === undefined ? {} : { threads };
  const executor = await openExecutor(teacher.model, backend, tuning);
  try {
    const shared = { tasks, seqlen, ...(temperature !== undefined && { temperature }) };
    return await drawChains(teacher, { ...shared, ...options, executor });
  } finally {
    await executor.close();
  }
}

/** What was learned from. */
interface Facts extends LabelCounts {
  seconds: number;
}

function learnedFrom({ chains, ended, right, steps, rightSteps }: Facts): string {
  return (
    `learned from ${formatCount(chains)} chains, of whose ${formatCount(ended)} answers ${percent(right)} are right, and ` +
    `of whose ${formatCount(steps)} ends of steps ${percent(rightSteps)} come after right steps only`
  );
}

function sentencesOf(accuracy: RewardAccuracy): string[] {
  const { problems, samples, outcome, steps, error, ...shares } = accuracy;
  const separates = ({ count, right, accuracy: hits, auc }: Separation) =>
    `${percent(hits)} of ${formatCount(count)}, of which ${percent(right)} are right, are told apart at ½` +
    (auc === undefined ? '' : `, AUC ${auc.toFixed(3)}`);
  return [
    `on ${samples} chains of each of ${problems} unseen problems: outcomes: ${separates(outcome)}`,
    ...(steps ? [`ends of steps: ${separates(steps)}`] : []),
    `solved by one chain ${percent(shares.mean)}, by the best score ${percent(shares.bestOfN)} ` +
      `(± ${(100 * error).toFixed(1)}), by majority ${percent(shares.majority)}, by votes weighted with scores ` +
      `${percent(shares.weighted)}, by any ${percent(shares.coverage)}`,
  ];
}

function cardOf(recipe: RewardRecipe, facts: Facts, accuracy?: RewardAccuracy): string {
  return [
    `# A reward model of ${recipe.tasks.join(' and ')}`,
    'Scores chains of thought: the probability that all steps so far are right at the end of each step, and that the ' +
      'answer is right at the end. Trained by selscan on chains that its teacher drew, judged by the tasks. Made by ' +
      'this recipe:',
    `\`\`\`json\n${JSON.stringify(recipe, null, 2)}\n\`\`\``,
    `It ${learnedFrom(facts)}. Training took ${minutes(facts.seconds)}.`,
    ...(accuracy ? [`Measured: ${sentencesOf(accuracy).join('; ')}.`] : []),
    'Read it with `selscan judge`, or as `LlamaForSequenceClassification` with one label: the sigmoid of its logit.',
    '',
  ].join('\n\n');
}
