/** What all contestants are given: a model, its weights and a batch, as files that any language reads. */

import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ModelWithWeights } from '../../../lib/distil/initFromAttention.ts';
import type { Batch } from '../../../lib/train/batches.ts';
import { decays } from '../../../lib/train/optimiser.ts';
import { sizeOf, type Tensor } from '../../../reference/tensor.ts';
import type { Hyperparameters, Problem, WeightEntry } from './protocol.ts';

/**
 * Ours, but for a rate, a decay and a clip that are large enough to be seen in the loss after two steps: a contestant
 * that forgets one of them is not within the bound. How long a step takes does not depend on them.
 */
export const HYPERPARAMETERS: Hyperparameters = {
  learningRate: 3e-3,
  betas: [0.9, 0.95],
  eps: 1e-8,
  weightDecay: 10,
  clip: 1,
};

/** Writes a problem into a new folder for temporary files. Returns its path. */
export async function writeProblem(model: ModelWithWeights, data: Batch): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'selscan-training-peers-'));
  const weights: WeightEntry[] = [];
  let offset = 0;
  for (const [name, { shape }] of model.weights) {
    weights.push({ name, shape, offset, decays: decays(name) });
    offset += sizeOf(shape);
  }
  const numbers = new Float32Array(offset);
  for (const entry of weights) {
    numbers.set((model.weights.get(entry.name) as Tensor).data, entry.offset);
  }
  const { tokens, targets, seqlen } = data;
  const problem: Problem = {
    ...{ config: model.config, batch: tokens.length / seqlen, seqlen, weights },
    hyperparameters: HYPERPARAMETERS,
  };
  await writeFile(join(folder, 'problem.json'), JSON.stringify(problem));
  await writeFile(join(folder, 'weights.f32'), numbers);
  await writeFile(join(folder, 'tokens.i32'), tokens);
  await writeFile(join(folder, 'targets.i32'), targets);
  return folder;
}

/** What {@link writeProblem} wrote. */
export async function readProblem(
  folder: string,
): Promise<{ problem: Problem; model: ModelWithWeights; data: Batch }> {
  const problem: Problem = JSON.parse(await readFile(join(folder, 'problem.json'), 'utf8'));
  const bytesOf = async (name: string) => {
    const { buffer, byteOffset, byteLength } = await readFile(join(folder, name));
    return buffer.slice(byteOffset, byteOffset + byteLength);
  };
  const numbers = new Float32Array(await bytesOf('weights.f32'));
  const weights = new Map<string, Tensor>(
    problem.weights.map(({ name, shape, offset }) => [
      name,
      { data: numbers.slice(offset, offset + sizeOf(shape)), shape },
    ]),
  );
  const tokens = new Int32Array(await bytesOf('tokens.i32'));
  const targets = new Int32Array(await bytesOf('targets.i32'));
  const { config, seqlen } = problem;
  return { problem, model: { config, weights }, data: { tokens, targets, seqlen } };
}
