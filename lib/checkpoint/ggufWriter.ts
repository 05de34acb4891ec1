/** Writes GGUF files, for Node: tensor by tensor, whole or not at all. */

import { encodeGguf, type GgufDtype } from './gguf.ts';
import { type GgufTexts, ggufModel, type WeightSource } from './ggufModel.ts';

export interface WriteGgufOptions extends GgufTexts {
  /** Of the matrices. Default F32. */
  readonly dtype?: GgufDtype;
  /** Called after each piece with the bytes so far. */
  readonly onProgress?: (bytes: number) => void;
}

/**
 * Writes a model as llama.cpp reads it. No more than one tensor is in memory at a time; the file appears under
 * its name when all of it is on disk. Makes its folder.
 * @returns bytes written.
 * @throws UnsupportedError with code UnsupportedModel; CheckpointError for weights that do not fit.
 */
export async function writeGguf(
  path: string,
  source: WeightSource,
  { dtype = 'F32', onProgress, ...texts }: WriteGgufOptions = {},
): Promise<number> {
  const { metadata, tensors } = ggufModel(source, dtype, texts);
  let bytes = 0;
  async function* pieces(): AsyncGenerator<Uint8Array> {
    for await (const piece of encodeGguf(path, metadata, tensors)) {
      yield piece;
      bytes += piece.length;
      onProgress?.(bytes);
    }
  }
  const { writeAtomically } = await import('./atomicFile.ts');
  await writeAtomically(path, pieces());
  return bytes;
}
