/** A GGUF file opened as a model: its description, its tensors in our shapes, its texts. */

import type { ModelDescription } from './checkpoint/config.ts';
import { CheckpointError } from './checkpoint/errors.ts';
import type { ModelFiles } from './checkpoint/files.ts';
import { describeGguf } from './checkpoint/ggufConfig.ts';
import { GgufFile } from './checkpoint/ggufFile.ts';
import { GgufLayout } from './checkpoint/ggufLayout.ts';
import { ropeScalingOf } from './checkpoint/ggufRope.ts';
import { INDEX_FILE, TensorSet } from './checkpoint/shards.ts';
import { type GgufText, readGgufText } from './tokenizer/ggufTokenizer.ts';

/** A model's file, open. */
export interface OpenGguf {
  readonly tensors: TensorSet;
  readonly description: ModelDescription;
  readonly text: GgufText;
}

/**
 * The GGUF file among a folder's files that is its model; undefined where config.json or safetensors are.
 * @throws CheckpointError with code NotFound where there are several.
 */
export async function ggufAmong(files: ModelFiles): Promise<string | undefined> {
  const names = await files.list();
  const isOther = (name: string) =>
    name === 'config.json' || name === INDEX_FILE || name.endsWith('.safetensors');
  const candidates = names.filter((name) => name.endsWith('.gguf'));
  if (candidates.length === 0 || names.some(isOther)) return undefined;
  if (candidates.length === 1) return candidates[0];
  throw new CheckpointError(
    'NotFound',
    files.name,
    `expected one GGUF file, got ${candidates.length}; give the path of one of them`,
  );
}

/**
 * Opens a GGUF file; reads its header, no weights.
 * @throws CheckpointError for a file that is not sound, or no model that runs here; then it is closed.
 */
export async function openGguf(files: ModelFiles, name: string): Promise<OpenGguf> {
  const file = await GgufFile.open(await files.open(name));
  try {
    return await openModel(file);
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** {@link openGguf} of an open file, which it takes over where it succeeds. */
export async function openModel(file: GgufFile): Promise<OpenGguf> {
  const { header, name } = file;
  const parts = Number(header.metadata.get('split.count')?.value ?? 1);
  if (parts > 1) {
    throw new CheckpointError(
      'UnsupportedModel',
      name,
      `split.count: expected a whole model, got one of ${parts} parts; merge them with llama-gguf-split`,
    );
  }
  const plain = describeGguf(header, name);
  const scaling = await ropeScalingOf(file, plain.config);
  const described = scaling ? describeGguf(header, name, scaling) : plain;
  const text = readGgufText(header.metadata, name);
  const tensors = new TensorSet([new GgufLayout(file, described.config)]);
  const description = { ...described, warnings: [...described.warnings, ...text.warnings] };
  return { tensors, description, text };
}
