/** What a model's files say of it, without loading it. Node only. */

import { createHash } from 'node:crypto';
import type { ModelFiles } from '../checkpoint/files.ts';
import { inspectFiles } from '../inspect.ts';

/** What a model is, and what a sequence costs it. */
export interface ModelFacts {
  readonly family: string;
  readonly parameters: number;
  /** Layers by the kind of their mixer. */
  readonly layers: Readonly<Record<string, number>>;
  /** Float32 bytes of state that a sequence has, and that each of its tokens adds. */
  readonly stateBytes: number;
  readonly kvBytesPerToken: number;
}

/** @throws CheckpointError for a folder that is no model. */
export async function factsOf(files: ModelFiles): Promise<ModelFacts> {
  const found = await inspectFiles(files);
  const { family = 'unknown', parameters = 0, layers = {} } = found;
  const { stateBytes = 0, kvBytesPerToken = 0 } = found;
  return { family, parameters, layers, stateBytes, kvBytesPerToken };
}

/** What is read of each end of a file of weights: enough to tell two trainings apart. */
const LOOKED_AT = 1 << 20;

/** A short text that tells a folder's model from others: names and sizes of its files, and the ends of each. */
export async function fingerprintOf(files: ModelFiles): Promise<string> {
  const hash = createHash('sha256');
  const names = (await files.list()).filter((name) => /\.(safetensors|json|gguf)$/.test(name));
  for (const name of names.sort()) {
    const file = await files.open(name);
    try {
      hash.update(`${name} ${file.size}\n`);
      const length = Math.min(file.size, LOOKED_AT);
      hash.update(await file.read(0, length));
      hash.update(await file.read(file.size - length, length));
    } finally {
      await file.close();
    }
  }
  return hash.digest('hex').slice(0, 16);
}
