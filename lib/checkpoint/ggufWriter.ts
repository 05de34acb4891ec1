/** Writes GGUF files, for Node: tensor by tensor, whole or not at all. */

import { mkdir, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { encodeGguf, type GgufDtype } from './gguf.ts';
import { ggufModel, type WeightSource } from './ggufModel.ts';

export interface WriteGgufOptions {
  /** Of the matrices. Default F32. */
  readonly dtype?: GgufDtype;
  /** The model's name in the file. */
  readonly name?: string;
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
  { dtype = 'F32', name, onProgress }: WriteGgufOptions = {},
): Promise<number> {
  const { metadata, tensors } = ggufModel(source, dtype, name);
  const temporary = join(dirname(path), `.${basename(path)}.${process.pid}.part`);
  await mkdir(dirname(path), { recursive: true });
  try {
    const file = await open(temporary, 'w');
    let bytes = 0;
    try {
      for await (const piece of encodeGguf(path, metadata, tensors)) {
        await file.writeFile(piece);
        bytes += piece.length;
        onProgress?.(bytes);
      }
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
    return bytes;
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}
