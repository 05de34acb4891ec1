/** How far a mixer's matrices are from a teacher's attention, and the gradient of that: MOHAWK's first stage. */

import { mainInput, type Tensor } from '../tensor.ts';
import { float64ZerosLike } from './slopes.ts';

export interface MatrixDistanceInput {
  /** The student's matrices. Shape (batch, nHeads, seqlen, seqlen). */
  x: Tensor;
  /** The teacher's, taken as constant. Shape (batch, nHeads, seqlen, seqlen). */
  target: Tensor;
}

/**
 * mean over rows and heads of ‖x − target‖, ‖·‖ the Frobenius norm √Σ_ts (…)², not squared.
 *
 * Bick et al. 2024 (MOHAWK, arXiv 2408.10189), stage 1, averaged over heads as their code does.
 * @throws ShapeError when the shapes differ.
 */
export function matrixDistance(input: MatrixDistanceInput): number {
  const norms = normsOf('matrixDistance', input);
  let sum = 0;
  for (const norm of norms) sum += norm;
  return sum / norms.length;
}

/**
 *   dx = (x − target)/(‖x − target‖·batch·nHeads)
 *
 * and 0 for a matrix that equals its target, where the norm has no slope.
 * @returns the gradient of x, in Float64.
 * @throws ShapeError when the shapes differ.
 */
export function matrixDistanceGradient(input: MatrixDistanceInput): { x: Tensor } {
  const { x, target } = input;
  const norms = normsOf('matrixDistanceGradient', input);
  const gradient = float64ZerosLike(x);
  const size = x.data.length / norms.length;
  for (let i = 0; i < x.data.length; i++) {
    const norm = norms[Math.floor(i / size)];
    if (norm !== 0) gradient.data[i] = (x.data[i] - target.data[i]) / (norm * norms.length);
  }
  return { x: gradient };
}

/** ‖x − target‖ of every row and head. */
function normsOf(op: string, { x, target }: MatrixDistanceInput): number[] {
  const axes = ['batch', 'nHeads', 'seqlen', 'seqlen (source)'];
  const { sizes, check } = mainInput(op, 'x', x, axes);
  const [batch, nHeads, seqlen, sources] = sizes;
  check('target', target, { batch, nHeads, seqlen, 'seqlen (source)': sources });
  const size = seqlen * sources;
  return Array.from({ length: batch * nHeads }, (_, head) => {
    let sum = 0;
    for (let i = head * size; i < (head + 1) * size; i++) {
      const difference = x.data[i] - target.data[i];
      sum += difference * difference;
    }
    return Math.sqrt(sum);
  });
}
