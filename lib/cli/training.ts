/** What `train`, `distil` and `reward` share: progress, the model that they write, and how good it is. */

import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type Command, Option } from 'commander';
import { ConfigError } from '../../reference/errors.ts';
import { createModel } from '../../reference/model.ts';
import { writeAtomically } from '../checkpoint/atomicFile.ts';
import type { SequenceTokens } from '../checkpoint/configWriter.ts';
import type { WrittenDtype } from '../checkpoint/dtypes.ts';
import { type ModelToWrite, modelFiles, writeModelFolder } from '../checkpoint/modelWriter.ts';
import type { ModelWithWeights } from '../distil/initFromAttention.ts';
import { loadModel } from '../loadModel.ts';
import { tokenizerJson } from '../tasks/vocabulary.ts';
import { type Accuracy, evaluate, TASK_TOKENS } from '../train/evaluate.ts';
import type { TrainProgress } from '../train/loop.ts';
import type { LossCurve } from '../train/savedRun.ts';
import type { Context } from './context.ts';
import { parseInteger } from './options.ts';
import { formatCount, type Terminal } from './terminal.ts';

export interface TrainingFlags {
  recipe: string;
  out: string;
  run?: string;
  backend: string;
  threads?: number;
  evaluate: number;
  samples: number;
  dtype: WrittenDtype;
  overwrite?: boolean;
  dryRun?: boolean;
  json?: boolean;
}

/** The options of all commands that train. */
export function trainingOptions(command: Command): Command {
  return command
    .requiredOption('--recipe <file>', 'JSON object that makes the run; see docs/training.md')
    .requiredOption('--out <dir>', 'folder that is written for the model')
    .option('--run <dir>', 'where the run is saved every minute and goes on from; default OUT.run')
    .addOption(new Option('--backend <name>', 'what computes: wasm or reference').default('wasm'))
    .option('--threads <n>', 'threads that compute', parseInteger)
    .option('--evaluate <n>', 'unseen problems to solve at the end; 0 for none', parseInteger, 200)
    .option('--samples <n>', 'chains of each of them by chance', parseInteger, 16)
    .addOption(
      new Option('--dtype <dtype>', 'how the weights are written')
        .choices(['F32', 'BF16'])
        .default('F32'),
    )
    .option('--overwrite', 'replace the model folder if there is one')
    .option('--dry-run', 'only say what memory and time it would need')
    .option('--json', 'JSON lines: what it needs, progress, then the result');
}

export const runFolder = ({ run, out }: TrainingFlags) => run ?? `${out.replace(/\/+$/, '')}.run`;

/** Tells of a run: a line on stderr every few seconds, or JSON lines. */
export function tellProgress({ terminal }: Context, json?: boolean) {
  let last = 0;
  return (stage: string, progress: TrainProgress): void => {
    const { step, steps, loss, tokens, seconds, secondsLeft, learningRate, gradientNorm } =
      progress;
    const now = performance.now();
    if (now - last < 5_000 && step !== steps) return;
    last = now;
    if (json) {
      const numbers = { step, steps, loss, learningRate, gradientNorm, tokens, seconds };
      terminal.out(`${JSON.stringify({ progress: { stage, ...numbers, secondsLeft } })}\n`);
      return;
    }
    const speed = formatCount(Math.round(tokens / seconds));
    terminal.err(
      `${stage}: step ${step} of ${steps}, loss ${loss.toFixed(4)}, ${speed} tokens/s, ` +
        `${minutes(secondsLeft)} left\n`,
    );
  };
}

export const minutes = (seconds: number) =>
  seconds < 90 ? `${Math.ceil(seconds)} s` : `${Math.ceil(seconds / 60)} min`;

/** @throws UnsupportedError or ConfigError, before any training, for a model that could not be written at the end. */
export async function expectWritable(
  { out, overwrite }: TrainingFlags,
  model: ModelWithWeights & Pick<ModelToWrite, 'reward'>,
): Promise<void> {
  await modelFiles({ ...model, ...TASK_TOKENS });
  const isThere = await stat(out).then(
    () => true,
    () => false,
  );
  if (isThere && !overwrite) {
    throw new ConfigError(
      `out: expected a folder that is not there yet, found ${out}; take another, or --overwrite`,
      'FolderExists',
    );
  }
}

/** A model that another one's tokenizer goes with. */
export interface TokenizerOf extends SequenceTokens {
  folder: string;
}

/** Nats per token of held-out texts. */
type HeldOut = { teacher: number; student: number } | { model: number };

/** What a model has learned, and what it is judged by. */
type Judged = { tasks?: readonly string[]; judged?: readonly string[] };

/** Writes the model and its loss curves, and solves problems with it. */
export async function finish(
  flags: TrainingFlags,
  { terminal, signal }: Context,
  made: ModelWithWeights & {
    curves: ReadonlyMap<string, LossCurve>;
    seconds: number;
    heldOut?: HeldOut;
  },
  recipe: Judged & { seqlen: number; seed: number },
  tokenizerOf?: TokenizerOf,
): Promise<void> {
  const { config, weights, curves, seconds, heldOut } = made;
  createModel(config, weights, 'float32');
  const { dtype, overwrite } = flags;
  const texts = tokenizerOf ? await textFilesOf(tokenizerOf) : TASK_FILES;
  const model = { config, weights, dtype, ...texts };
  const card = (accuracy?: Accuracy) => cardOf(recipe, seconds, accuracy, heldOut);
  await writeModelFolder(flags.out, { ...model, card: card(), ...(overwrite && { overwrite }) });
  await writeCurves(flags, curves);
  let accuracy: Accuracy | undefined;
  const judged = recipe.judged ?? recipe.tasks;
  if (flags.evaluate > 0 && judged) {
    accuracy = await evaluate(await loadModel(flags.out, { precision: 'float32' }), {
      ...{ tasks: judged, problems: flags.evaluate, samples: flags.samples },
      ...{ maxTokens: recipe.seqlen, seed: recipe.seed + 1, signal },
    });
    await writeModelFolder(flags.out, { ...model, card: card(accuracy), overwrite: true });
  }
  tell(terminal, flags, seconds, accuracy, heldOut);
}

/** Writes loss.csv: the loss of every step. */
export async function writeCurves(
  flags: TrainingFlags,
  curves: ReadonlyMap<string, LossCurve>,
): Promise<void> {
  const lines = [...curves].flatMap(([stage, curve]) =>
    curve.map(([step, loss]) => `${stage},${step},${loss}`),
  );
  const csv = new TextEncoder().encode(`stage,step,loss\n${lines.join('\n')}\n`);
  await writeAtomically(`${runFolder(flags)}/loss.csv`, csv);
  // loaded when there is something to draw: that takes a third of a second
  const { lossCurves } = await import('../figures/index.ts');
  const svg = new TextEncoder().encode(lossCurves(curves));
  await writeAtomically(`${runFolder(flags)}/loss.svg`, svg);
}

function tell(
  terminal: Terminal,
  { out, json }: TrainingFlags,
  seconds: number,
  accuracy?: Accuracy,
  heldOut?: HeldOut,
): void {
  if (json) {
    const result = { out, seconds, ...accuracy, ...(heldOut && { heldOut }) };
    terminal.out(`${JSON.stringify({ result })}\n`);
    return;
  }
  terminal.out(`${out} written after ${minutes(seconds)} of training\n`);
  if (accuracy) terminal.out(`${sentenceOf(accuracy)}\n`);
  if (heldOut) terminal.out(`${heldOutSentence(heldOut)}\n`);
}

export const percent = (share: number) => `${(100 * share).toFixed(1)} %`;

function sentenceOf({ problems, greedy, greedyError, mean, coverage, samples }: Accuracy): string {
  return (
    `of ${problems} unseen problems ${percent(greedy)} (± ${(100 * greedyError).toFixed(1)}) are solved greedily, ` +
    `${percent(mean)} by a chain at temperature 1, ${percent(coverage)} by any of ${samples}`
  );
}

const heldOutSentence = (heldOut: HeldOut) =>
  'model' in heldOut
    ? `on held-out texts it needs ${heldOut.model.toFixed(3)} nats per token`
    : `on held-out texts the student needs ${heldOut.student.toFixed(3)} nats per token, ` +
      `its teacher ${heldOut.teacher.toFixed(3)}`;

function cardOf(recipe: Judged, seconds: number, accuracy?: Accuracy, heldOut?: HeldOut): string {
  const { tasks } = recipe;
  const how =
    heldOut && 'model' in heldOut
      ? 'Trained by selscan on texts'
      : 'Distilled by selscan from a teacher on texts';
  return [
    `# A model of ${tasks?.join(' and ') ?? 'texts'}`,
    tasks
      ? 'Trained by selscan on generated problems (`selscan tasks`), nothing else. Made by this recipe:'
      : `${how}. Made by this recipe:`,
    `\`\`\`json\n${JSON.stringify(recipe, null, 2)}\n\`\`\``,
    `Training took ${minutes(seconds)}.`,
    ...(accuracy ? [`Measured: ${sentenceOf(accuracy)}.`] : []),
    ...(heldOut ? [`Measured: ${heldOutSentence(heldOut)}.`] : []),
    '',
  ].join('\n\n');
}

/** The tasks' tokenizer, and the tokens that begin and end a chain. */
export const TASK_FILES = { tokenizer: new TextEncoder().encode(tokenizerJson()), ...TASK_TOKENS };

/** The files of another model's tokenizer. */
async function textFilesOf({ folder, bosToken, eosTokens }: TokenizerOf) {
  const read = (name: string) =>
    readFile(join(folder, name)).then(
      (bytes) => new Uint8Array(bytes),
      () => undefined,
    );
  const [tokenizer, tokenizerConfig] = await Promise.all([
    read('tokenizer.json'),
    read('tokenizer_config.json'),
  ]);
  return {
    ...(bosToken !== undefined && { bosToken }),
    ...(eosTokens && { eosTokens }),
    ...(tokenizer && { tokenizer }),
    ...(tokenizerConfig && { tokenizerConfig }),
  };
}
