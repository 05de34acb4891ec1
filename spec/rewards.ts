/** A small reward model with weights by chance, for specs. */

import type { Reward } from '../lib/reward/loadReward.ts';
import { TASK_REWARD } from '../lib/reward/train.ts';
import { tokenizerJson, VOCABULARY } from '../lib/tasks/vocabulary.ts';
import { parseTokenizer } from '../lib/tokenizer/tokenizer.ts';
import { initialWeights, teacherConfig } from '../lib/train/teacher.ts';
import { randomWeights } from '../lib/verify/randomModel.ts';

/** The tokens that end steps and chains of the tasks. */
export const TASK_ENDS = { ...TASK_REWARD, eosTokens: [...TASK_REWARD.eosTokens] };

export const TEACHER_CONFIG = teacherConfig({
  ...{ vocabSize: VOCABULARY.length, dModel: 32, layers: 2, nHeads: 2, nKvHeads: 1 },
  contextLength: 256,
});

/** A reward model whose scores differ from place to place. */
export function rewardOf(seed: number): Reward {
  const norms = initialWeights(TEACHER_CONFIG, seed);
  const weights = new Map(
    [...randomWeights(TEACHER_CONFIG, seed, 'float32')].map(([name, tensor]) => [
      name,
      tensor.shape.length === 1 ? (norms.get(name) ?? tensor) : tensor,
    ]),
  );
  const data = Float32Array.from({ length: 32 }, (_, i) => ((i * 37 + seed) % 17) / 20 - 0.4);
  return {
    ...{ name: 'drawn', family: 'llama', scheme: 'llama', config: TEACHER_CONFIG, bosToken: 1 },
    ...{ eosTokens: [...TASK_REWARD.eosTokens], warnings: [], reward: TASK_REWARD.reward },
    weights: weights.set('score', { data, shape: [1, 32] }),
    tokenizer: parseTokenizer(new TextEncoder().encode(tokenizerJson())),
  };
}
