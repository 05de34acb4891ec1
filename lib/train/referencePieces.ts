/** What training needs besides the reference's ops: columns, groups, sums, and the optimiser, in Float64. */

import type { AdamWStep } from '../../backends/training.ts';
import type { Tensor } from '../../reference/tensor.ts';

/** a + b. */
export function sum(a: Tensor, b: Tensor): Tensor {
  return { data: Float64Array.from(a.data, (x, i) => x + b.data[i]), shape: a.shape };
}

/** Columns [from, from + width) of x. */
export function columnsOf(x: Tensor, from: number, width: number): Tensor {
  const [rows, columns] = x.shape;
  const data = new Float64Array(rows * width);
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < width; i++) data[row * width + i] = x.data[row * columns + from + i];
  }
  return { data, shape: [rows, width] };
}

/** Zeros of x's shape with dy in the columns from `from` on. */
export function putColumns(x: Tensor, from: number, dy: Tensor): Tensor {
  const [rows, columns] = x.shape;
  const width = dy.shape[1];
  const data = new Float64Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < width; i++) data[row * columns + from + i] = dy.data[row * width + i];
  }
  return { data, shape: x.shape };
}

/** Sums the copies that repeatGroups had made: the gradient of every group. */
export function foldGroups(x: Tensor, width: number, times: number, dy: Tensor): Tensor {
  const data = new Float64Array(x.data.length);
  for (let i = 0; i < data.length; i++) {
    const [group, column] = [Math.floor(i / width), i % width];
    for (let copy = 0; copy < times; copy++) {
      data[i] += dy.data[(group * times + copy) * width + column];
    }
  }
  return { data, shape: x.shape };
}

/** Σ of the squares of all of them. Shape (1). */
export function sumOfSquares(tensors: readonly Tensor[]): Tensor {
  let total = 0;
  for (const { data } of tensors) for (const x of data) total += x * x;
  return { data: Float64Array.of(total), shape: [1] };
}

/**
 *   m ← β₁·m + (1 − β₁)·g,   v ← β₂·v + (1 − β₂)·g²
 *   p ← p − lr·λ·p − lr·(m/(1 − β₁ᵗ)) / (√(v/(1 − β₂ᵗ)) + ε)
 *
 * Loshchilov & Hutter 2019 (arXiv 1711.05101), algorithm 2, with g the gradient times gradientScale.
 */
export function adamW(input: AdamWStep): void {
  const { step, learningRate, eps, weightDecay, gradientScale } = input;
  const [p, gradient, m, v] = [input.parameter, input.gradient, input.m, input.v].map(
    (numbers) => (numbers as Tensor).data,
  );
  const [beta1, beta2] = input.betas;
  const [first, second] = [1 - beta1 ** step, 1 - beta2 ** step];
  for (let i = 0; i < p.length; i++) {
    const g = gradient[i] * gradientScale;
    m[i] = beta1 * m[i] + (1 - beta1) * g;
    v[i] = beta2 * v[i] + (1 - beta2) * g * g;
    const move = m[i] / first / (Math.sqrt(v[i] / second) + eps);
    p[i] -= learningRate * (weightDecay * p[i] + move);
  }
}
