/**
 * Expressions of ListOps (Nangia and Bowman 2018, "ListOps: a diagnostic dataset for latent tree learning"): how
 * they are drawn, what they are worth, and their written forms.
 *
 *   expression = digit | `[` operator expression expression … `]`
 *   MIN, MAX   the smallest, the largest
 *   MED        the median without its fraction; of an even count the mean of the two in the middle
 *   SM         the sum modulo 10
 */

import { ConfigError } from '../../reference/errors.ts';
import type { Draws } from './draws.ts';

export const OPERATORS = ['MIN', 'MAX', 'MED', 'SM'] as const;
export type Operator = (typeof OPERATORS)[number];

/** A digit, or an operation on two expressions or more. */
export type Expression = number | Operation;

export interface Operation {
  readonly operator: Operator;
  readonly args: readonly Expression[];
}

/** How expressions are drawn. */
export interface Shape {
  /** Nesting, the root at depth 1; what is as deep as this is a digit. */
  maxDepth: number;
  /** Arguments of an operation: from 2 to this many, all alike in probability. */
  maxArgs: number;
  /** Probability that an expression is an operation, where it may be one. */
  operationShare: number;
  /** Whether the whole expression is always an operation. */
  isRootOperation: boolean;
  /** Longer ones are given up before they are finished. */
  maxLength: number;
}

/** An expression and its size. */
export interface Sized {
  expression: Expression;
  /** Words without parentheses: 1 for a digit, 2 for an operation (`[MIN` and `]`). */
  length: number;
  operations: number;
}

/** Draws an expression; undefined when it gets longer than it may. */
export function drawExpression(draws: Draws, shape: Shape): Sized | undefined {
  const size = { length: 0, operations: 0 };
  const grow = (depth: number): Expression | undefined => {
    const isOperation =
      (depth === 1 && shape.isRootOperation) ||
      (depth < shape.maxDepth && draws.chance(shape.operationShare));
    size.length += isOperation ? 2 : 1;
    if (size.length > shape.maxLength) return undefined;
    if (!isOperation) return draws.below(10);
    size.operations++;
    const args: Expression[] = [];
    for (let left = draws.between(2, shape.maxArgs); left > 0; left--) {
      const arg = grow(depth + 1);
      if (arg === undefined) return undefined;
      args.push(arg);
    }
    return { operator: draws.pick(OPERATORS), args };
  };
  const expression = grow(1);
  return expression === undefined ? undefined : { expression, ...size };
}

/** The digit that an expression is worth. */
export function evaluate(expression: Expression): number {
  if (typeof expression === 'number') return expression;
  return apply(expression.operator, expression.args.map(evaluate));
}

/** An operator on digits. */
export function apply(operator: Operator, values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  switch (operator) {
    case 'MIN':
      return sorted[0];
    case 'MAX':
      return sorted[sorted.length - 1];
    case 'MED': {
      const [low, high] = [(sorted.length - 1) >> 1, sorted.length >> 1];
      return Math.trunc((sorted[low] + sorted[high]) / 2);
    }
    case 'SM':
      return values.reduce((sum, value) => sum + value, 0) % 10;
  }
}

/** `[MAX 2 9 ]`: words between single spaces. */
export function formatExpression(expression: Expression): string {
  if (typeof expression === 'number') return String(expression);
  return `[${expression.operator} ${expression.args.map(formatExpression).join(' ')} ]`;
}

/** `( ( ( [MAX 2 ) 9 ) ] )`: the form of the published files, a binary tree nested to the left. */
export function formatNested(expression: Expression): string {
  if (typeof expression === 'number') return String(expression);
  const { operator, args } = expression;
  const inner = args.map((arg) => ` ${formatNested(arg)} )`).join('');
  return `${'( '.repeat(args.length + 1)}[${operator}${inner} ] )`;
}

/** More nesting than this is refused. */
const MAX_DEPTH = 500;

/**
 * Reads either written form; parentheses say nothing that the brackets do not, and are skipped.
 * @throws ConfigError with code Expression for a text that is none.
 */
export function parseExpression(text: string): Expression {
  const expression = readExpression(text.split(/\s+/).filter((word) => !/^[()]?$/.test(word)));
  if (expression !== undefined) return expression;
  const shown = JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
  throw new ConfigError(`expression: expected one such as [MAX 2 9 ], got ${shown}`, 'Expression');
}

/** The expression that some words are, all of them; undefined if they are none. */
export function readExpression(words: readonly string[]): Expression | undefined {
  const open: { operator: Operator; args: Expression[] }[] = [];
  for (let i = 0; i < words.length; i++) {
    const word = words[i];
    let read: Expression | undefined;
    if (/^[0-9]$/.test(word)) read = Number(word);
    else if (word === ']') {
      read = open.pop();
      if (typeof read !== 'object' || read.args.length < 2) return undefined;
    } else {
      const operator = OPERATORS.find((name) => word === `[${name}`);
      if (!operator || open.length === MAX_DEPTH) return undefined;
      open.push({ operator, args: [] });
      continue;
    }
    const parent = open.at(-1);
    if (parent) parent.args.push(read);
    else return i === words.length - 1 ? read : undefined;
  }
  return undefined;
}
