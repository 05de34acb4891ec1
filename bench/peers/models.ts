/** What both sides of a match must agree on: the models, their weights, and the tokens that they are given. */

import type { ModelConfig } from '../../reference/config.ts';
import { REAL_MODELS, shortened } from '../realModels.ts';
import type { Cell } from './protocol.ts';

/** Makes the weights of every match. */
export const SEED = 1;

/** @throws Error for a model that there is not. */
export function configOf({ model, layers }: Pick<Cell, 'model' | 'layers'>): ModelConfig {
  const config = REAL_MODELS[model];
  if (!config) {
    throw new Error(`model: expected one of ${Object.keys(REAL_MODELS).join(', ')}, got ${model}`);
  }
  return layers === undefined ? config : shortened(config, layers);
}

/** Some tokens, different for each sequence. */
export function tokensOf({ vocabSize }: ModelConfig, length: number, sequence: number): number[] {
  return Array.from({ length }, (_, t) => (7919 * t + 104_729 * sequence + 1) % vocabSize);
}
