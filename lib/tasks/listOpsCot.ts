/**
 * ListOps with its reasoning written out: a short expression, reduced operation by operation.
 *
 *   prompt   [MAX 2 9 [MIN 4 7 ] ]
 *   chain    MIN 4 7 = 4 ; MAX 2 9 4 = 9 ; # 9
 *
 * The reductions come in post-order (arguments from left to right, each before the operation that takes it), so
 * every problem has one right chain. With `rewrites` each step also writes what is left of the expression, which
 * makes chains of many hundreds of words of it:
 *
 *   chain    MIN 4 7 = 4 : [MAX 2 9 4 ] ; MAX 2 9 4 = 9 : 9 ; # 9
 */

import {
  apply,
  drawExpression,
  type Expression,
  formatExpression,
  type Operator,
  readExpression,
} from './expression.ts';
import { CONCLUSION, STEP_END, type StepForm } from './steps.ts';
import { checkShare, checkWhole, type Dial, defineTask, dialled, type Task } from './task.ts';

export interface ListOpsCotOptions {
  /** Nesting, at most: digits at this depth, operations above. */
  maxDepth: number;
  /** Arguments of an operation, at most. */
  maxArgs: number;
  /** Probability that an argument is an operation. The whole expression always is one. */
  operationShare: number;
  /** Operations of an expression, which are the steps of its chain. Others are drawn again. */
  minOperations: number;
  maxOperations: number;
  /** Whether each step writes what is left of the expression. */
  rewrites: boolean;
  /** Words of a chain, at least and at most. Others are drawn again. */
  minChain: number;
  maxChain: number;
}

const PLAIN = { rewrites: false, minChain: 1, maxChain: 100_000 };

export const LISTOPS_COT_PRESETS = {
  tiny: {
    ...PLAIN,
    maxDepth: 3,
    maxArgs: 3,
    operationShare: 0.5,
    minOperations: 2,
    maxOperations: 4,
  },
  small: {
    ...PLAIN,
    maxDepth: 4,
    maxArgs: 3,
    operationShare: 0.5,
    minOperations: 3,
    maxOperations: 8,
  },
  base: {
    ...PLAIN,
    maxDepth: 5,
    maxArgs: 4,
    operationShare: 0.4,
    minOperations: 6,
    maxOperations: 16,
  },
  /** Like `small`, and with rewrites: what `long` does, for beginners. */
  rewritten: {
    ...PLAIN,
    rewrites: true,
    maxDepth: 4,
    maxArgs: 3,
    operationShare: 0.5,
    minOperations: 3,
    maxOperations: 8,
  },
  /**
   * For what only shows in long chains. Of 2,000: prompts of 53 to 110 words, median 71; chains of 500 to 1,480, median
   * 725, nine of ten from 517 to 1,252.
   */
  long: {
    ...{ maxDepth: 6, maxArgs: 4, operationShare: 0.4, minOperations: 14, maxOperations: 24 },
    ...{ rewrites: true, minChain: 500, maxChain: 1500 },
  },
} as const satisfies Record<string, ListOpsCotOptions>;

/** What a problem of ListOps-CoT has besides. */
export interface ListOpsCotContent {
  readonly expression: Expression;
}

/** @throws ConfigError for options out of range. */
export function listOpsCot(
  dial: Dial<ListOpsCotOptions, keyof typeof LISTOPS_COT_PRESETS> = {},
): Task<ListOpsCotContent> {
  const { preset, options } = dialled<ListOpsCotOptions, keyof typeof LISTOPS_COT_PRESETS>(
    'listops-cot',
    LISTOPS_COT_PRESETS,
    dial,
    'base',
  );
  const { maxDepth, maxArgs, operationShare, minOperations, maxOperations, rewrites } = options;
  const { minChain, maxChain } = options;
  checkWhole('maxDepth', maxDepth, 2, 40);
  checkWhole('maxArgs', maxArgs, 2, 100);
  checkShare('operationShare', operationShare);
  checkWhole('maxOperations', maxOperations, 1, 1000);
  checkWhole('minOperations', minOperations, 1, maxOperations);
  checkWhole('maxChain', maxChain, 1, 1_000_000);
  checkWhole('minChain', minChain, 1, maxChain);
  const maxLength = maxOperations * (maxArgs + 2);
  const shape = { maxDepth, maxArgs, operationShare, maxLength, isRootOperation: true };
  return defineTask({
    name: 'listops-cot',
    preset,
    draw: (draws) => {
      const drawn = drawExpression(draws, shape);
      if (!drawn || drawn.operations < minOperations || drawn.operations > maxOperations) {
        return undefined;
      }
      const { expression } = drawn;
      const { steps, value } = reductions(expression, rewrites);
      const answer = String(value);
      const chain = [...steps, `${CONCLUSION} ${answer}`].join(' ');
      const length = chain.split(' ').length;
      if (length < minChain || length > maxChain) return undefined;
      return { prompt: formatExpression(expression), chain, answer, expression };
    },
    formOf: (step) => formOf(step, rewrites),
  });
}

/** An operation whose arguments become digits one by one. */
interface Reducible {
  operator: Operator;
  args: (number | Reducible)[];
}

/** All reductions in post-order, and the value that they lead to. */
function reductions(expression: Expression, rewrites: boolean): { steps: string[]; value: number } {
  const copy = (from: Expression): number | Reducible =>
    typeof from === 'number' ? from : { operator: from.operator, args: from.args.map(copy) };
  const root = copy(expression);
  const steps: string[] = [];
  /** Reduces an operation; `replace` puts its value where it stood and says what is left. */
  const reduce = (node: number | Reducible, replace: (value: number) => Expression): number => {
    if (typeof node === 'number') return node;
    const { operator, args } = node;
    const values = args.map((arg, i) =>
      reduce(arg, (value) => {
        args[i] = value;
        return root;
      }),
    );
    const value = apply(operator, values);
    const left = replace(value);
    const rewritten = rewrites ? ` : ${formatExpression(left)}` : '';
    steps.push(`${operator} ${values.join(' ')} = ${value}${rewritten} ${STEP_END}`);
    return value;
  };
  return { value: reduce(root, (value) => value), steps };
}

const REDUCTION = /^(MIN|MAX|MED|SM)((?: [0-9]){2,}) = ([0-9])(?: : ([^:;#]+))? ;$/;

function formOf(step: string, rewrites: boolean): StepForm {
  if (/^# [0-9]$/.test(step)) return 'true';
  const found = REDUCTION.exec(step);
  if (!found) return 'malformed';
  const [, operator, values, value, left] = found;
  if ((left !== undefined) !== rewrites) return 'malformed';
  if (left !== undefined && readExpression(left.split(' ')) === undefined) return 'malformed';
  const want = apply(operator as Operator, values.trim().split(' ').map(Number));
  return want === Number(value) ? 'true' : 'untrue';
}
