/** What a checkpoint is, from its headers alone; and whether a run could open it. */

import { type ModelConfig, stateSize } from '../reference/config.ts';
import { createModel, step, weightShapes } from '../reference/model.ts';
import { newState } from '../reference/state.ts';
import { sizeOf } from '../reference/tensor.ts';
import { type Capacity, capacityOf, type MemoryAtHand } from './capacity.ts';
import { type ModelDescription, readDescription } from './checkpoint/config.ts';
import { CheckpointError } from './checkpoint/errors.ts';
import type { Family } from './checkpoint/families/shared.ts';
import { type BlobFiles, filesFromBlobs, type ModelFiles } from './checkpoint/files.ts';
import { INDEX_FILE, isUnsafeName, refusePickle, TensorSet } from './checkpoint/shards.ts';
import { planWeights } from './checkpoint/weights.ts';
import { readGgufFacts } from './inspectGguf.ts';
import { loadParts, readText } from './loadModel.ts';
import { ggufAmong } from './openGguf.ts';
import { buildPlan, describePlan, type Load, type Plan, type PlanLine } from './plan/index.ts';
import { TOKENIZER_FILE, type Tokenizer } from './tokenizer/tokenizer.ts';

export interface InspectOptions {
  /** Whether to open everything as a run would: all weights, the tokenizer, one token decoded. Default false. */
  load?: boolean;
  /** Whether to wire the model and count what its plans cost. Default false. */
  plan?: boolean;
  /** What there is of memory, or what finds out: then it is told of a model what fits and how fast it may be. */
  memory?: MemoryAtHand | (() => Promise<MemoryAtHand>);
}

/** A model's plans line by line, with the load for which their costs are counted. */
export type PlanReport = {
  readonly [Kind in Plan['kind']]: { readonly load: Load; readonly lines: PlanLine[] };
};

/** What a checkpoint, or a part of one, is. Parts that are not there are left out. */
export interface Inspection {
  kind: 'model' | 'tensors' | 'config' | 'tokenizer';
  family?: Family;
  /** Whether it scores what others write, and writes nothing itself. */
  isReward?: boolean;
  /** Layers by the kind of their mixer, e.g. `{ mamba2: 24, attention: 4 }`. */
  layers?: Record<string, number>;
  dModel?: number;
  vocabSize?: number;
  /** Longest sequence in tokens, where there is a limit. */
  contextLength?: number;
  /** Numbers in the weights; a tied head counts once. */
  parameters?: number;
  /** Convolution and SSM state of one sequence, in float32; the Float64 reference takes twice that. */
  stateBytes?: number;
  /** Keys and values that each token adds, in float32. */
  kvBytesPerToken?: number;
  /** Tensors in the files. */
  tensors?: number;
  /** Bytes of the tensors, and by their dtype. */
  bytes?: number;
  bytesByDtype?: Record<string, number>;
  /** One more than the largest token id of the tokenizer. */
  tokenizerSize?: number;
  bosToken?: number;
  eosTokens?: number[];
  /** Where it was asked for. */
  plan?: PlanReport;
  /** Where it was said how much memory there is. */
  capacity?: Capacity;
  warnings: string[];
}

/**
 * Says what a folder, or one file of it, holds.
 * @param source the folder's files.
 * @param file judge this file alone: a .safetensors, an index, a .gguf, a config.json or a tokenizer.json.
 * @throws CheckpointError when it is not sound.
 */
export async function inspectFiles(
  files: ModelFiles,
  options: InspectOptions = {},
  file?: string,
): Promise<Inspection> {
  if (file !== undefined) return inspectOne(files, file, options);
  const names = await files.list();
  const hasConfig = names.includes('config.json');
  const hasTensors = names.some((name) => name.endsWith('.safetensors') || name === INDEX_FILE);
  if (hasConfig && (hasTensors || names.some(isUnsafeName))) return inspectModel(files, options);
  if (hasTensors) return withTensorSet(files, describeTensors);
  if (hasConfig) return inspectConfig(files, options);
  if (names.includes(TOKENIZER_FILE)) return inspectTokenizer(files);
  const gguf = await ggufAmong(files);
  if (gguf !== undefined) return inspectGguf(files, gguf, options);
  const unsafe = names.find(isUnsafeName);
  if (unsafe) throw refusePickle(unsafe);
  throw new CheckpointError(
    'NotFound',
    files.name,
    'expected config.json, *.safetensors, *.gguf or tokenizer.json; is this a model?',
  );
}

/**
 * Says what files in memory hold; see `selscan inspect` for folders.
 * @throws CheckpointError when they are not sound.
 */
export async function inspect(
  source: string | BlobFiles,
  options: InspectOptions = {},
): Promise<Inspection> {
  if (typeof source !== 'string') return inspectFiles(filesFromBlobs(source), options);
  const { filesFromPath } = await import('./checkpoint/nodeFiles.ts');
  const { files, file } = await filesFromPath(source);
  return inspectFiles(files, options, file);
}

async function inspectGguf(
  files: ModelFiles,
  name: string,
  options: InspectOptions,
): Promise<Inspection> {
  const { model, warnings, ...counts } = await readGgufFacts(files, name);
  if (!model) return { kind: 'tensors', ...counts, warnings: [...warnings] };
  const { description, tokenizerSize } = model;
  const described = await describeModel(description, options);
  if (options.load) await tryOut({ ...files, list: async () => [name] });
  return {
    ...{ ...described, ...counts, kind: 'model' },
    ...(tokenizerSize !== undefined && { tokenizerSize }),
  };
}

async function inspectOne(
  files: ModelFiles,
  file: string,
  options: InspectOptions,
): Promise<Inspection> {
  if (isUnsafeName(file)) throw refusePickle(file);
  if (file.endsWith('.gguf')) return inspectGguf(files, file, options);
  if (file === 'config.json') return inspectConfig(files, options);
  if (file === TOKENIZER_FILE) return inspectTokenizer(files);
  if (file.endsWith('.safetensors')) {
    return withTensorSet(files, describeTensors, () => TensorSet.openFile(files, file));
  }
  if (file.endsWith('.safetensors.index.json')) {
    return withTensorSet(files, describeTensors, () => TensorSet.openIndex(files, file));
  }
  throw new CheckpointError(
    'NotACheckpoint',
    file,
    'expected .safetensors, its index, .gguf, config.json or tokenizer.json',
  );
}

async function withTensorSet<T>(
  files: ModelFiles,
  use: (tensors: TensorSet) => T | Promise<T>,
  open = () => TensorSet.open(files),
): Promise<T> {
  const tensors = await open();
  try {
    return await use(tensors);
  } finally {
    await tensors.close();
  }
}

function describeTensors(tensors: TensorSet): Inspection {
  const bytesByDtype: Record<string, number> = {};
  let count = 0;
  let bytes = 0;
  for (const name of tensors.names()) {
    const { dtype, begin, end } = tensors.entry(name);
    bytesByDtype[dtype] = (bytesByDtype[dtype] ?? 0) + end - begin;
    bytes += end - begin;
    count++;
  }
  return { kind: 'tensors', tensors: count, bytes, bytesByDtype, warnings: [] };
}

async function inspectConfig(files: ModelFiles, options: InspectOptions): Promise<Inspection> {
  return describeModel(await readDescription(files, []), options);
}

async function describeModel(
  description: ModelDescription,
  { plan, memory }: InspectOptions,
): Promise<Inspection> {
  const { family, config, bosToken, eosTokens, warnings, reward } = description;
  const described = describeConfig(config);
  return {
    kind: 'config',
    family,
    ...described,
    ...(reward && { isReward: true, parameters: described.parameters + config.dModel }),
    ...(plan && { plan: reportPlans(config) }),
    ...(memory && { capacity: await capacityOf(config, await atHand(memory)) }),
    ...(bosToken !== undefined && { bosToken }),
    eosTokens,
    warnings,
  };
}

async function atHand(memory: NonNullable<InspectOptions['memory']>): Promise<MemoryAtHand> {
  return typeof memory === 'function' ? memory() : memory;
}

/** One token of one sequence; and a prompt of 128, or as long as the context allows. */
function reportPlans(config: ModelConfig): PlanReport {
  const report = (kind: Plan['kind'], tokens: number) => {
    const load = { rows: 1, tokens, position: 0 };
    return { load, lines: describePlan(buildPlan(config, kind), load) };
  };
  const promptLength = Math.min(128, config.contextLength ?? 128);
  return { step: report('step', 1), prefill: report('prefill', promptLength) };
}

function describeConfig(config: ModelConfig) {
  const layers: Record<string, number> = {};
  for (const { mixer } of config.layers) layers[mixer.kind] = (layers[mixer.kind] ?? 0) + 1;
  const { fixed, perToken } = stateSize(config);
  const parameters = [...weightShapes(config).values()].reduce(
    (sum, shape) => sum + sizeOf(shape),
    0,
  );
  return {
    layers,
    dModel: config.dModel,
    vocabSize: config.vocabSize,
    ...(config.contextLength !== undefined && { contextLength: config.contextLength }),
    parameters,
    stateBytes: 4 * fixed,
    kvBytesPerToken: 4 * perToken,
  };
}

async function inspectTokenizer(files: ModelFiles): Promise<Inspection> {
  const { tokenizer } = await readText(files);
  return { kind: 'tokenizer', tokenizerSize: tokenizer?.size, warnings: [] };
}

async function inspectModel(files: ModelFiles, options: InspectOptions): Promise<Inspection> {
  const inspection = await withTensorSet(files, async (tensors): Promise<Inspection> => {
    const description = await readDescription(files, tensors.names());
    planWeights(tensors, description);
    const described = await describeModel(description, options);
    return { ...describeTensors(tensors), ...described, kind: 'model' };
  });
  if (!options.load) return inspection;
  const tokenizer = await tryOut(files);
  return { ...inspection, ...(tokenizer && { tokenizerSize: tokenizer.size }) };
}

/** Opens everything as a run would, and decodes a token. */
async function tryOut(files: ModelFiles): Promise<Tokenizer | undefined> {
  const { config, weights, tokenizer, bosToken = 0 } = await loadParts(files);
  const model = createModel(config, weights);
  const logits = step(model, newState(config, model.precision), bosToken);
  if (!logits.every(Number.isFinite)) {
    throw new CheckpointError(
      'NonFinite',
      files.name,
      `token ${bosToken} gives logits that are not finite`,
    );
  }
  return tokenizer;
}
