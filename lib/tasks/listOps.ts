/**
 * ListOps as Long Range Arena draws it (Tay et al. 2020, "Long Range Arena", section 2.2.1; generator
 * `lra_benchmarks/data/listops.py`): the value of a nested expression of hundreds of words, one of ten classes.
 *
 * Drawn as there, but from our own numbers: the published files hang on the order of Python's sets, which nobody can
 * make again. Ours do not depend on anything but a seed, and {@link Task.split} keeps the held-out ones apart.
 */

import {
  drawExpression,
  type Expression,
  evaluate,
  formatExpression,
  formatNested,
} from './expression.ts';
import { CONCLUSION, type StepForm } from './steps.ts';
import { checkShare, checkWhole, type Dial, defineTask, dialled, type Task } from './task.ts';

export interface ListOpsOptions {
  /** Words of a prompt, at least and at most. Others are drawn again. */
  minLength: number;
  maxLength: number;
  /** Nesting, at most. */
  maxDepth: number;
  /** Arguments of an operation, at most. */
  maxArgs: number;
  /** Probability that an expression is an operation, in (0, 1]. */
  operationShare: number;
}

const LRA = { maxDepth: 10, maxArgs: 10, operationShare: 0.25 };

export const LISTOPS_PRESETS = {
  /** Long Range Arena: more than 500 and fewer than 2,000 words. */
  lra: { ...LRA, minLength: 501, maxLength: 1999 },
  /** The same, a tenth as long. */
  short: { ...LRA, minLength: 51, maxLength: 199 },
} as const satisfies Record<string, ListOpsOptions>;

/** What a ListOps problem has besides. */
export interface ListOpsContent {
  readonly expression: Expression;
  /** The prompt in the form of the published files, nested to the left: `( ( ( [MAX 2 ) 9 ) ] )`. */
  readonly nested: string;
}

/**
 * Prompt `[MAX 2 9 [MIN 4 7 ] ]`, answer `9`, and no steps.
 * @throws ConfigError for options out of range.
 */
export function listOps(
  dial: Dial<ListOpsOptions, keyof typeof LISTOPS_PRESETS> = {},
): Task<ListOpsContent> {
  const { preset, options } = dialled<ListOpsOptions, keyof typeof LISTOPS_PRESETS>(
    'listops',
    LISTOPS_PRESETS,
    dial,
    'lra',
  );
  const { minLength, maxLength, maxDepth, maxArgs, operationShare } = options;
  checkWhole('maxLength', maxLength, 1, 100_000);
  checkWhole('minLength', minLength, 1, maxLength);
  checkWhole('maxDepth', maxDepth, 1, 40);
  checkWhole('maxArgs', maxArgs, 2, 100);
  checkShare('operationShare', operationShare);
  const shape = { maxLength, maxDepth, maxArgs, operationShare, isRootOperation: false };
  return defineTask({
    name: 'listops',
    preset,
    draw: (draws) => {
      const drawn = drawExpression(draws, shape);
      if (drawn === undefined || drawn.length < minLength) return undefined;
      const { expression } = drawn;
      const answer = String(evaluate(expression));
      const prompt = formatExpression(expression);
      const chain = `${CONCLUSION} ${answer}`;
      return { prompt, chain, answer, expression, nested: formatNested(expression) };
    },
    formOf: (step): StepForm => (/^# [0-9]$/.test(step) ? 'true' : 'malformed'),
  });
}
