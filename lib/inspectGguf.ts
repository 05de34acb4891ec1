/** What a GGUF file is, from its header alone. */

import type { ModelDescription } from './checkpoint/config.ts';
import { CheckpointError } from './checkpoint/errors.ts';
import type { ModelFiles } from './checkpoint/files.ts';
import { architectureOf } from './checkpoint/ggufConfig.ts';
import { GgufFile } from './checkpoint/ggufFile.ts';
import { planWeights } from './checkpoint/weights.ts';
import { openModel } from './openGguf.ts';
import { readGgufText } from './tokenizer/ggufTokenizer.ts';

/** A file that is a model, or what is wrong with it as one. */
export interface GgufFacts {
  readonly tensors: number;
  readonly bytes: number;
  readonly bytesByDtype: Record<string, number>;
  /** Absent for a file that lacks sizes or tensors of its model: it is judged as a container then. */
  readonly model?: { readonly description: ModelDescription; readonly tokenizerSize?: number };
  readonly warnings: readonly string[];
}

/** What a file lacks to be a model, which is no fault of the container. */
const INCOMPLETE: ReadonlySet<string> = new Set([
  'ConfigSchema',
  'MissingTensor',
  'UnexpectedTensor',
  'ShapeMismatch',
]);

/**
 * Reads a file's header: container, keys that are there, and the whole model where they say all of one.
 * @throws CheckpointError when the container is not sound, or a key is out of range.
 */
export async function readGgufFacts(files: ModelFiles, name: string): Promise<GgufFacts> {
  const file = await GgufFile.open(await files.open(name));
  try {
    const { metadata, tensors } = file.header;
    // a container without anything is valid
    if (tensors.size > 0 || metadata.has('general.architecture')) architectureOf(metadata, name);
    const bytesByDtype: Record<string, number> = {};
    let bytes = 0;
    for (const { dtype, begin, end } of tensors.values()) {
      bytesByDtype[dtype] = (bytesByDtype[dtype] ?? 0) + end - begin;
      bytes += end - begin;
    }
    const facts = { tensors: tensors.size, bytes, bytesByDtype };
    return { ...facts, ...(await readModel(file)) };
  } finally {
    await file.close();
  }
}

async function readModel(file: GgufFile): Promise<Pick<GgufFacts, 'model' | 'warnings'>> {
  const { metadata, tensors } = file.header;
  if (tensors.size === 0) {
    return { warnings: metadata.size === 0 ? [] : readGgufText(metadata, file.name).warnings };
  }
  try {
    const { tensors: set, description, text } = await openModel(file);
    planWeights(set, description);
    const tokenizerSize = text.tokenizer?.size;
    const model = { description, ...(tokenizerSize !== undefined && { tokenizerSize }) };
    return { model, warnings: [] };
  } catch (error) {
    if (!(error instanceof CheckpointError) || !INCOMPLETE.has(error.code)) throw error;
    // what is there of the vocabulary must be sound all the same
    const { warnings } = readGgufText(metadata, file.name);
    return { warnings: [`no whole model: ${error.message}`, ...warnings] };
  }
}
