/**
 * Selective copying (Gu and Dao 2023, "Mamba", section 4.1.1): a few tokens are strewn among noise, and are to be
 * said again in their order. A layer that cannot choose by content what it keeps cannot do it.
 */

import { checkWhole, type Dial, defineTask, dialled, type Task } from './task.ts';
import { formOfIds, IGNORED, type TokenContent, tokenProblem } from './tokenTask.ts';

export interface SelectiveCopyingOptions {
  /** Positions of noise and data together, before the copy is asked for. */
  length: number;
  /** Data tokens to be copied. */
  count: number;
  /** Ids: 0 is noise, 1 asks for the next token of the copy, the others are data. */
  vocabSize: number;
}

export const SELECTIVE_COPYING_PRESETS = {
  tiny: { length: 16, count: 4, vocabSize: 8 },
  small: { length: 64, count: 8, vocabSize: 16 },
  /** The paper's. */
  paper: { length: 4096, count: 16, vocabSize: 16 },
} as const satisfies Record<string, SelectiveCopyingOptions>;

/** @throws ConfigError for options out of range. */
export function selectiveCopying(
  dial: Dial<SelectiveCopyingOptions, keyof typeof SELECTIVE_COPYING_PRESETS> = {},
): Task<TokenContent> {
  const { preset, options } = dialled<
    SelectiveCopyingOptions,
    keyof typeof SELECTIVE_COPYING_PRESETS
  >('selective-copying', SELECTIVE_COPYING_PRESETS, dial, 'small');
  const { length, count, vocabSize } = options;
  checkWhole('length', length, 1, 2 ** 20);
  checkWhole('count', count, 1, length);
  checkWhole('vocabSize', vocabSize, 3, 2 ** 16);
  return defineTask({
    name: 'selective-copying',
    preset,
    draw: (draws) => {
      const tokens: number[] = [];
      const data: number[] = [];
      for (let t = 0; t < length; t++) {
        // of the places left each is as likely as the others to hold one of the data left
        const isData = draws.below(length - t) < count - data.length;
        const token = isData ? draws.between(2, vocabSize - 1) : 0;
        tokens.push(token);
        if (isData) data.push(token);
      }
      const targets = tokens.map(() => IGNORED);
      return tokenProblem([...tokens, ...data.map(() => 1)], [...targets, ...data]);
    },
    formOf: formOfIds,
  });
}
