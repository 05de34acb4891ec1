/**
 * A training run on disk, for Node: one file that is there whole or not at all, from which a run goes on bit for bit.
 * What reads and writes files is loaded when it is needed: a page can train without saving.
 */

import { ConfigError, SelscanError } from '../../reference/errors.ts';
import { isDiskFull } from '../checkpoint/diskFull.ts';
import { CheckpointError } from '../checkpoint/errors.ts';
import { encodeSafetensors, TensorFile } from '../checkpoint/tensorFile.ts';
import type { ParameterSet } from './optimiser.ts';

const FILE = 'run.safetensors';

/** What is known of the steps so far: [step, loss] of each. */
export type LossCurve = [step: number, loss: number][];

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
  const { openRegular } = await import('../checkpoint/nodeFiles.ts');
  let file: TensorFile;
  try {
    file = await TensorFile.open(await openRegular(`${folder}/${FILE}`, FILE));
  } catch (error) {
    if (error instanceof CheckpointError && error.code === 'NotFound') return undefined;
    throw error;
  }
  try {
    const { metadata } = file.header;
    if (metadata.get('recipe') !== recipe) {
      throw new ConfigError(
        `${folder}: expected a run of this recipe, found one of another; take another folder, or delete ${FILE} in it`,
        'OtherRun',
      );
    }
    await parameters.restore((name) => file.floats(name), Number(metadata.get('step')));
    const curve = JSON.parse(metadata.get('curve') ?? '[]') as LossCurve;
    return { curve, seconds: Number(metadata.get('seconds') ?? 0) };
  } finally {
    await file.close();
  }
}
