/** From a folder, or from files in memory, to a model that can decode. */

import type { ModelConfig } from '../reference/config.ts';
import { ConfigError } from '../reference/errors.ts';
import { createModel, type Model } from '../reference/model.ts';
import type { Precision, Tensor } from '../reference/tensor.ts';
import { type ModelDescription, readConfigObject, readDescription } from './checkpoint/config.ts';
import { CheckpointError } from './checkpoint/errors.ts';
import { type BlobFiles, filesFromBlobs, type ModelFiles } from './checkpoint/files.ts';
import type { Json } from './checkpoint/json.ts';
import { TensorSet } from './checkpoint/shards.ts';
import { type LoadProgress, loadWeights } from './checkpoint/weights.ts';
import { ggufAmong, type OpenGguf, openGguf } from './openGguf.ts';
import { type ChatTemplate, chatTemplateOf } from './tokenizer/chatTemplate.ts';
import { readTokenizer, type Tokenizer } from './tokenizer/tokenizer.ts';

export interface LoadModelOptions {
  /** Arithmetic of the reference. Default float64. */
  precision?: Precision;
  /** Whether NaN and infinite weights are let through. Default false. */
  allowNonFinite?: boolean;
  /** Stops loading between two tensors; loading then rejects with code Aborted. */
  signal?: AbortSignal;
  /** Called after each tensor. */
  onProgress?: (progress: LoadProgress) => void;
}

/** A checkpoint, loaded. */
export interface LoadedModel extends ModelDescription {
  /** Where it came from, for messages. */
  readonly name: string;
  readonly config: ModelConfig;
  /** The reference model with its weights. */
  readonly model: Model;
  /** Absent when the checkpoint has no tokenizer.json, or a GGUF file no tokenizer that is known here: then only token ids can be given. */
  readonly tokenizer?: Tokenizer;
  readonly chatTemplate?: ChatTemplate;
}

/**
 * Loads a checkpoint in Hugging Face layout (config.json, *.safetensors with or without index, tokenizer.json), or a
 * GGUF file.
 *
 * @param source path of a folder or of a .gguf (Node only), or the files themselves: File objects from an input element,
 *   or blobs and buffers by name. Nothing is ever fetched.
 * @throws CheckpointError naming the file and what is wrong with it; no partial model is left.
 * @throws SelscanError with code Aborted when the signal fires.
 */
export async function loadModel(
  source: string | BlobFiles,
  options: LoadModelOptions = {},
): Promise<LoadedModel> {
  return loadFromFiles(await openFiles(source), options);
}

/** {@link loadModel} from an opened folder. */
export async function loadFromFiles(
  files: ModelFiles,
  options: LoadModelOptions = {},
): Promise<LoadedModel> {
  const { weights, ...parts } = await loadParts(files, options);
  if (parts.reward) {
    throw new CheckpointError(
      'UnsupportedModel',
      'config.json',
      'architectures: expected a model that writes, got one that scores what others wrote; ' +
        'selscan judge does, or loadReward',
    );
  }
  return { ...parts, model: createModel(parts.config, weights, options.precision) };
}

/** All of a checkpoint before a model is made of it. */
export interface LoadedParts extends Omit<LoadedModel, 'model'> {
  /** By the names of weightShapes, a reward model's `score` among them. */
  readonly weights: ReadonlyMap<string, Tensor>;
}

/** Loads a checkpoint of a model that writes, or of one that scores. @throws as {@link loadModel}. */
export async function loadParts(
  files: ModelFiles,
  options: LoadModelOptions = {},
): Promise<LoadedParts> {
  const { tensors, description, text } = await openCheckpoint(files);
  try {
    const { tokenizer, chatTemplate } = text;
    checkTokenizerFits(tokenizer, description, tensors.label);
    const weights = await loadWeights(tensors, description, options);
    return {
      ...description,
      name: files.name,
      weights,
      ...(tokenizer && { tokenizer }),
      ...(chatTemplate && { chatTemplate }),
    };
  } finally {
    await tensors.close();
  }
}

/** A checkpoint's parts, its tensors still in their files. */
async function openCheckpoint(
  files: ModelFiles,
): Promise<Omit<OpenGguf, 'text'> & { text: Texts }> {
  const gguf = await ggufAmong(files);
  if (gguf !== undefined) return openGguf(files, gguf);
  const tensors = await TensorSet.open(files);
  try {
    const description = await readDescription(files, tensors.names());
    return { tensors, description, text: await readText(files) };
  } catch (error) {
    await tensors.close();
    throw error;
  }
}

/** A folder or a GGUF file by its path in Node, or files in memory anywhere. */
export async function openFiles(source: string | BlobFiles): Promise<ModelFiles> {
  if (typeof source !== 'string') return filesFromBlobs(source);
  const { filesFromModel } = await import('./checkpoint/nodeFiles.ts');
  return filesFromModel(source);
}

interface Texts {
  tokenizer?: Tokenizer;
  chatTemplate?: ChatTemplate;
}

/** Tokenizer and chat template of a folder. */
export async function readText(files: ModelFiles): Promise<Texts> {
  const hasConfig = (await files.list()).includes('tokenizer_config.json');
  const config: ReadonlyMap<string, Json> = hasConfig
    ? await readConfigObject(files, 'tokenizer_config.json')
    : new Map();
  return { tokenizer: await readTokenizer(files, config), chatTemplate: chatTemplateOf(config) };
}

/** @throws CheckpointError with code ConfigMismatch when the tokenizer has ids that the model lacks. */
function checkTokenizerFits(
  tokenizer: Tokenizer | undefined,
  { config, scheme }: ModelDescription,
  label: string,
): void {
  if (tokenizer && tokenizer.size > config.vocabRows) {
    throw new CheckpointError(
      'ConfigMismatch',
      scheme === 'gguf' ? label : 'tokenizer.json',
      `has ids up to ${tokenizer.size - 1}, the model knows ids below ${config.vocabRows}; ` +
        'is the tokenizer from the same model?',
    );
  }
}

/** @throws ConfigError with code NoTokenizer. */
export function requireTokenizer({
  tokenizer,
  name,
}: Pick<LoadedModel, 'tokenizer' | 'name'>): Tokenizer {
  if (tokenizer) return tokenizer;
  throw new ConfigError(
    `${name}: expected a tokenizer.json to turn text into tokens, found none; give token ids instead`,
    'NoTokenizer',
  );
}
