/** What scores chains, from its folder. */

import { CheckpointError } from '../checkpoint/errors.ts';
import type { BlobFiles } from '../checkpoint/files.ts';
import { type LoadedParts, type LoadModelOptions, loadParts, openFiles } from '../loadModel.ts';

/** A model that scores chains: a Llama's layers, and the weight `score`, (1, dModel), behind its last norm. */
export type Reward = LoadedParts & Required<Pick<LoadedParts, 'reward'>>;

/** A reward model, or a model that writes: what it thinks of a chain is how probably it would write it itself. */
export type Judge = LoadedParts | Reward;

/**
 * Loads either.
 * @throws CheckpointError as loadModel; with code ConfigSchema for one without an end token.
 */
export async function loadJudge(
  source: string | BlobFiles,
  options: LoadModelOptions = {},
): Promise<Judge> {
  const parts = await loadParts(await openFiles(source), { precision: 'float32', ...options });
  if (parts.eosTokens.length === 0) {
    throw new CheckpointError(
      'ConfigSchema',
      'config.json',
      'eos_token_id: is missing; chains end there',
    );
  }
  return parts;
}

/** Whether it has a head that was trained to score. */
export const isReward = (judge: Judge): judge is Reward => judge.reward !== undefined;

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
  const judge = await loadJudge(source, options);
  if (!isReward(judge)) {
    throw new CheckpointError(
      'UnsupportedModel',
      'config.json',
      'architectures: expected a reward model, LlamaForSequenceClassification with num_labels 1, got a model ' +
        'that writes; selscan reward makes one of it',
    );
  }
  return judge;
}
