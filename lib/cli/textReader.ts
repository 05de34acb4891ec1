/** A folder whose tokenizer reads the texts of a new model. */

import { ConfigError } from '../../reference/errors.ts';
import { readDescription } from '../checkpoint/config.ts';
import { filesFromFolder } from '../checkpoint/nodeFiles.ts';
import { readText } from '../loadModel.ts';
import type { TextReader } from '../train/textData.ts';
import type { TokenizerOf } from './training.ts';

/**
 * Reads a model's folder, without its weights; or one that has only a tokenizer.json: then texts begin with what the
 * tokenizer puts in front, and no token ends them.
 * @throws ConfigError with code NoTokenizer; CheckpointError for damaged files.
 */
export async function readerOf(folder: string): Promise<TextReader & TokenizerOf> {
  const files = await filesFromFolder(folder);
  const { tokenizer } = await readText(files);
  if (!tokenizer) {
    throw new ConfigError(
      `tokenizer: expected a folder with a tokenizer.json, found none in ${folder}`,
      'NoTokenizer',
    );
  }
  const hasModel = (await files.list()).includes('config.json');
  const model = hasModel ? await readDescription(files, []) : undefined;
  const [bosToken] = model ? [model.bosToken] : tokenizer.encode('');
  const eosTokens = model?.eosTokens ?? [];
  return {
    ...{ folder, name: folder, tokenizer, eosTokens },
    vocabSize: Math.max(model?.config.vocabSize ?? 0, tokenizer.size),
    ...(bosToken !== undefined && { bosToken }),
    ...(eosTokens.length > 0 && { endToken: eosTokens[0] }),
  };
}
