/**
 * A training run on disk, for Node: one file that is there whole or not at all, from which a run goes on bit for bit.
 * What reads and writes files is loaded when it is needed: a page can train without saving.
 */

import { ConfigError, SelscanError } from '../../reference/errors.ts';
import type { Tensor } from '../../reference/tensor.ts';
import { isDiskFull } from '../checkpoint/diskFull.ts';
import { CheckpointError } from '../checkpoint/errors.ts';
import { encodeSafetensors, TensorFile } from '../checkpoint/tensorFile.ts';
import type { ParameterSet } from './optimiser.ts';

const FILE = 'run.safetensors';

/** What is known of the steps so far: [step, loss] of each. */
export type LossCurve = [step: number, loss: number][];

/** Where a run is, and what tells it from others. */
export interface SavedPlace {
  readonly folder: string;
  /** All that its numbers hang on: a recipe, and {@link fingerprintOf} what it begins with. */
  readonly recipe: string;
}

/** What a run is besides its numbers. */
export interface RunSoFar {
  readonly curve: LossCurve;
  /** Spent on it, interruptions left out. */
  readonly seconds: number;
}

/**
 * Saves a run after a step.
 * @throws SelscanError with code DiskFull where there is no room, or what else the disk throws; the file of an earlier
 *   step is then still whole.
 */
export async function saveRun(
  folder: string,
  recipe: string,
  parameters: ParameterSet,
  { curve, seconds }: RunSoFar,
): Promise<void> {
  const { writeAtomically } = await import('../checkpoint/atomicFile.ts');
  const numbers = { step: String(parameters.step), seconds: String(seconds) };
  const metadata = { recipe, ...numbers, curve: JSON.stringify(curve) };
  const bytes = encodeSafetensors(parameters.save(), metadata);
  try {
    await writeAtomically(`${folder}/${FILE}`, bytes);
  } catch (error) {
    if (!isDiskFull(error)) throw error;
    throw new SelscanError(
      'DiskFull',
      `${folder}: expected room for ${bytes.length} bytes of step ${parameters.step}, found less; ` +
        'what was saved before is whole: make room, and the same command goes on from there',
    );
  }
}

/**
 * Goes on from a saved run, if the folder has one. Returns what it was.
 * @throws ConfigError with code OtherRun where the folder's run was made by another recipe.
 */
export async function resumeRun(
  folder: string,
  recipe: string,
  parameters: ParameterSet,
): Promise<RunSoFar | undefined> {
  return withRun({ folder, recipe }, async (file) => {
    const { metadata } = file.header;
    await parameters.restore((name) => file.floats(name), Number(metadata.get('step')));
    const curve = JSON.parse(metadata.get('curve') ?? '[]') as LossCurve;
    return { curve, seconds: Number(metadata.get('seconds') ?? 0) };
  });
}

/** How many steps a saved run has done; 0 where there is none. @throws as resumeRun. */
export async function savedSteps(place: SavedPlace): Promise<number> {
  const step = await withRun(place, ({ header }) => Number(header.metadata.get('step')));
  return step ?? 0;
}

async function withRun<Result>(
  { folder, recipe }: SavedPlace,
  read: (file: TensorFile) => Promise<Result> | Result,
): Promise<Result | undefined> {
  const { openRegular } = await import('../checkpoint/nodeFiles.ts');
  let file: TensorFile;
  try {
    file = await TensorFile.open(await openRegular(`${folder}/${FILE}`, FILE));
  } catch (error) {
    if (error instanceof CheckpointError && error.code === 'NotFound') return undefined;
    throw error;
  }
  try {
    if (file.header.metadata.get('recipe') !== recipe) {
      throw new ConfigError(
        `${folder}: expected a run of this recipe and these models, found another; take another folder, or delete ${FILE} in it`,
        'OtherRun',
      );
    }
    return await read(file);
  } finally {
    await file.close();
  }
}

/** A short text that tells weights from others. */
export async function fingerprintOf(weights: ReadonlyMap<string, Tensor>): Promise<string> {
  const { createHash } = await import('node:crypto');
  const hash = createHash('sha256');
  for (const [name, { data }] of weights) {
    hash.update(`${name}\n`);
    hash.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
  return hash.digest('hex').slice(0, 16);
}
