/** A reward model from its folder. */

import { CheckpointError } from '../checkpoint/errors.ts';
import type { BlobFiles } from '../checkpoint/files.ts';
import { type LoadedParts, type LoadModelOptions, loadParts, openFiles } from '../loadModel.ts';

/** A model that scores chains: a Llama's layers, and the weight `score`, (1, dModel), behind its last norm. */
export type Reward = LoadedParts & Required<Pick<LoadedParts, 'reward'>>;

/**
 * Loads a reward model in the layout of Hugging Face's LlamaForSequenceClassification with one label, as `selscan
 * reward` writes it; its steps end at config.json's `step_token_id`.
 * @param source path of a folder (Node only), or the files themselves.
 * @throws CheckpointError as loadModel; with code UnsupportedModel for a model that writes, ConfigSchema for one
 *   without an end token.
 */
export async function loadReward(
  source: string | BlobFiles,
  options: LoadModelOptions = {},
): Promise<Reward> {
  const parts = await loadParts(await openFiles(source), { precision: 'float32', ...options });
  const { reward, eosTokens } = parts;
  const file = 'config.json';
  if (!reward) {
    throw new CheckpointError(
      'UnsupportedModel',
      file,
      'architectures: expected a reward model, LlamaForSequenceClassification with num_labels 1, got a model ' +
        'that writes; selscan reward makes one of it',
    );
  }
  if (eosTokens.length === 0) {
    throw new CheckpointError('ConfigSchema', file, 'eos_token_id: is missing; chains end there');
  }
  return { ...parts, reward };
}
