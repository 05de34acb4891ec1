/**
 * Induction heads (Gu and Dao 2023, "Mamba", section 4.1.2; Olsson et al. 2022): a mark stands once among random
 * tokens and once more at the end, and what followed it the first time is to follow again. The answer's distance
 * grows with the length, up to 2²⁰.
 */

import { checkWhole, type Dial, defineTask, dialled, type Task } from './task.ts';
import { formOfIds, IGNORED, type TokenContent, tokenProblem } from './tokenTask.ts';

export interface InductionHeadsOptions {
  /** Positions, the mark at the end included. */
  length: number;
  /** Ids: 0 is the mark, the others are random. */
  vocabSize: number;
}

export const INDUCTION_HEADS_PRESETS = {
  tiny: { length: 32, vocabSize: 8 },
  /** What the paper trains on. */
  paper: { length: 256, vocabSize: 17 },
  /** A step towards the 2²⁰ that the paper tests on. */
  far: { length: 4096, vocabSize: 17 },
} as const satisfies Record<string, InductionHeadsOptions>;

/** @throws ConfigError for options out of range. */
export function inductionHeads(
  dial: Dial<InductionHeadsOptions, keyof typeof INDUCTION_HEADS_PRESETS> = {},
): Task<TokenContent> {
  const { preset, options } = dialled<InductionHeadsOptions, keyof typeof INDUCTION_HEADS_PRESETS>(
    'induction-heads',
    INDUCTION_HEADS_PRESETS,
    dial,
    'paper',
  );
  const { length, vocabSize } = options;
  checkWhole('length', length, 3, 2 ** 20);
  checkWhole('vocabSize', vocabSize, 2, 2 ** 16);
  return defineTask({
    name: 'induction-heads',
    preset,
    draw: (draws) => {
      const mark = draws.below(length - 2);
      const tokens = Array.from({ length }, () => draws.between(1, vocabSize - 1));
      const targets = tokens.map(() => IGNORED);
      tokens[mark] = 0;
      tokens[length - 1] = 0;
      targets[length - 1] = tokens[mark + 1];
      return tokenProblem(tokens, targets);
    },
    formOf: formOfIds,
  });
}
