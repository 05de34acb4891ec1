/** Writes models in the layouts in which their families are published. */

import type { ModelConfig } from '../../reference/config.ts';
import { SelscanError, UnsupportedError } from '../../reference/errors.ts';
import { createModel } from '../../reference/model.ts';
import { checkShape, sizeOf, type Tensor, type Vector } from '../../reference/tensor.ts';
import { readDescription } from './config.ts';
import {
  type RewardToWrite,
  type SequenceTokens,
  type WrittenConfig,
  writtenConfig,
} from './configWriter.ts';
import { decodeFloats, encodeFloats, type WrittenDtype } from './dtypes.ts';
import { CheckpointError } from './errors.ts';
import { filesFromBlobs, type OutputFile } from './files.ts';
import { safetensorsHeader, type TensorLayout } from './tensorFile.ts';
import { foreignShape, type Plan, weightPlans } from './weights.ts';

export interface ModelToWrite extends SequenceTokens {
  readonly config: ModelConfig;
  /** A tensor for every name of weightShapes, and a reward model's `score`; others are left out. */
  readonly weights: ReadonlyMap<string, Tensor>;
  /** Bytes of tokenizer.json. */
  readonly tokenizer?: Uint8Array;
  /** Bytes of tokenizer_config.json. */
  readonly tokenizerConfig?: Uint8Array;
  /** Format of the weights: each becomes the nearest number there is, halves to even. Default F32. */
  readonly dtype?: WrittenDtype;
  /**
   * Makes the model one that scores sequences, in the layout of Hugging Face's LlamaForSequenceClassification: with the
   * weight `score`, (1, dModel), in place of a head.
   */
  readonly reward?: RewardToWrite;
  /** README.md: what the model is, how it was made and how good it is. Default: what its config says. */
  readonly card?: string;
}

export interface WriteModelOptions extends ModelToWrite {
  /** Whether a model folder that is there already is replaced. Default false. */
  readonly overwrite?: boolean;
}

const WEIGHTS_FILE = 'model.safetensors';
/** Numbers that are converted at a time. */
const PIECE = 2 ** 20;

/**
 * Writes a model as a folder, for Node: config.json (and mamba_config.json), model.safetensors, the tokenizer's
 * files, generation_config.json where there are tokens to name, README.md. The folder appears under its name
 * when all of it is on disk: a full disk or a kill leaves what was there before, or nothing. loadModel reads
 * the same config and, in F32, the same bits back.
 *
 * @example await writeModelFolder('student', { config, weights, dtype: 'BF16', eosTokens: [2] })
 * @returns bytes written.
 * @throws ConfigError with code FolderExists; and as {@link modelFiles}.
 */
export async function writeModelFolder(
  folder: string,
  { overwrite = false, ...model }: WriteModelOptions,
): Promise<number> {
  const files = await modelFiles(model);
  const { writeFolder } = await import('./nodeFiles.ts');
  return writeFolder(folder, files, overwrite);
}

/**
 * The same files in memory, made piece by piece: no more than a million numbers at a time are converted.
 * @throws UnsupportedError with code UnsupportedModel when the layout of the model's family cannot say its
 *   config, naming the first thing that it cannot; ShapeError for weights that do not fit. Making the weights'
 *   pieces throws CheckpointError with code NonFinite for numbers that are not finite in the dtype.
 */
export async function modelFiles(model: ModelToWrite): Promise<OutputFile[]> {
  const { config, weights, dtype = 'F32' } = model;
  createModel(config, weights);
  if (model.reward) {
    const shape = { labels: 1, dModel: config.dModel };
    checkShape('modelFiles', 'score', weights.get('score'), shape);
  }
  const written = writtenConfig(config, model, dtype);
  const json = Array.from(written.files, ([name, value]) =>
    whole(name, new TextEncoder().encode(`${JSON.stringify(value, null, 2)}\n`)),
  );
  const { reward } = model;
  const plans = weightPlans({ config, scheme: written.scheme, ...(reward && { reward }) });
  await expectReadable(model, written, json, plans);
  const card = model.card ?? defaultCard(model, written);
  return [
    ...json,
    weightsFile(plans, weights, dtype),
    ...(model.tokenizer ? [whole('tokenizer.json', model.tokenizer)] : []),
    ...(model.tokenizerConfig ? [whole('tokenizer_config.json', model.tokenizerConfig)] : []),
    whole('README.md', new TextEncoder().encode(card)),
  ];
}

const whole = (name: string, bytes: Uint8Array): OutputFile => ({ name, pieces: () => [bytes] });

function defaultCard({ config, weights }: ModelToWrite, { title }: WrittenConfig): string {
  const count = [...weights.values()].reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  const kinds = new Set(config.layers.map(({ mixer }) => mixer.kind));
  return (
    `# ${title}\n\n${count.toLocaleString('en')} parameters, width ${config.dModel}, ` +
    `${config.layers.length} layers (${[...kinds].join(', ')}), vocabulary ${config.vocabSize}. ` +
    'Written by selscan; `selscan generate --model FOLDER` runs it.\n'
  );
}

/** Reads the config files back: what was lost in them cannot be said in this layout. */
async function expectReadable(
  model: ModelToWrite,
  { title }: WrittenConfig,
  json: readonly OutputFile[],
  plans: readonly Plan[],
): Promise<void> {
  const refuse = (problem: string) =>
    new UnsupportedError(
      `writeModelFolder: ${problem}; the ${title} layout cannot say it`,
      'UnsupportedModel',
    );
  const blobs = new Map(json.map(({ name, pieces }) => [name, [...pieces()][0]]));
  const names = plans.flatMap(({ parts }) => parts.flatMap(([name]) => name ?? []));
  const read = await readDescription(filesFromBlobs(blobs), names).catch((error: unknown) => {
    throw error instanceof SelscanError ? refuse(error.message) : error;
  });
  const { config, bosToken, eosTokens = [], reward } = model;
  const stepToken = reward?.stepToken;
  const wanted = { config, bosToken, eosTokens, stepToken };
  const got = {
    ...{ config: read.config, bosToken: read.bosToken, eosTokens: read.eosTokens },
    stepToken: read.reward?.stepToken,
  };
  const lost = firstDifference(wanted, got, '');
  if (lost) throw refuse(lost);
}

/** Where two values of plain data differ, as a sentence; a field that is undefined is as good as absent. */
function firstDifference(wanted: unknown, got: unknown, at: string): string | undefined {
  const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;
  if (!isObject(wanted) || !isObject(got)) {
    if (Object.is(wanted, got)) return undefined;
    const [a, b] = [wanted, got].map((value) => JSON.stringify(value) ?? 'none');
    return `${at}: expected ${b}, got ${a}`;
  }
  const [a, b] = [wanted, got] as Record<string, unknown>[];
  for (const key of new Set([...Object.keys(a), ...Object.keys(b)])) {
    const index = /^\d+$/.test(key) ? `[${key}]` : at ? `.${key}` : key;
    const difference = firstDifference(a[key], b[key], at + index);
    if (difference) return difference;
  }
  return undefined;
}

/** A tensor of the file: some rows of one of ours. */
interface Part extends TensorLayout {
  readonly data: Vector;
}

function weightsFile(
  plans: readonly Plan[],
  weights: ReadonlyMap<string, Tensor>,
  dtype: WrittenDtype,
): OutputFile {
  const parts = plans
    .flatMap((plan) => partsOf(plan, weights, dtype))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  return {
    name: WEIGHTS_FILE,
    *pieces() {
      yield safetensorsHeader(parts, { format: 'pt' }); // without it, transformers refuses a file
      for (const { name, data } of parts) {
        for (let from = 0; from < data.length; from += PIECE) {
          const bytes = encodeFloats(data.subarray(from, from + PIECE), dtype);
          expectFinite(decodeFloats(bytes, dtype), name, from, dtype);
          yield bytes;
        }
      }
    },
  };
}

function partsOf(
  { name, shape, parts }: Plan,
  weights: ReadonlyMap<string, Tensor>,
  dtype: WrittenDtype,
): Part[] {
  const { data } = weights.get(name) as Tensor; // createModel has seen them all
  const width = sizeOf(shape.slice(1));
  const found: Part[] = [];
  let row = 0;
  for (const [file, rows] of parts) {
    const part = data.subarray(row * width, (row + rows) * width);
    row += rows;
    if (file !== null) {
      const byteLength = part.length * (dtype === 'F32' ? 4 : 2);
      const foreign = foreignShape(name, [rows, ...shape.slice(1)]);
      found.push({ name: file, dtype, shape: foreign, byteLength, data: part });
    } else if (part.some((x) => x !== 0)) {
      throw new UnsupportedError(
        `writeModelFolder: ${name}: expected zeros in rows ${row - rows} to ${row - 1}, got others; ` +
          'the layout has no tensor for them',
        'UnsupportedModel',
      );
    }
  }
  return found;
}

function expectFinite(data: Vector, name: string, from: number, dtype: WrittenDtype): void {
  let i = 0;
  while (i < data.length && data[i] - data[i] === 0) i++;
  if (i === data.length) return;
  throw new CheckpointError(
    'NonFinite',
    WEIGHTS_FILE,
    `tensor "${name}": expected finite numbers in ${dtype}, got ${data[i]} at element ${from + i}; ` +
      'nothing has been written',
  );
}
