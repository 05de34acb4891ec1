/** The pointwise functions of Mamba and Llama, and softmax. */

import { exp, log, log1p } from './elementary.ts';
import { type Rounding, rounding, type Tensor, type Vector, zeros } from './tensor.ts';

/** σ(x) = 1 / (1 + e^−x), written so that neither branch overflows. */
export function sigmoid(x: number, fl: Rounding): number {
  if (x >= 0) return fl(1 / fl(1 + fl(exp(-x))));
  const e = fl(exp(x));
  return fl(e / fl(1 + e));
}

/** silu(x) = x·σ(x), also called swish. */
export function silu(x: number, fl: Rounding): number {
  return fl(x * sigmoid(x, fl));
}

/** softplus(x) = ln(1 + e^x); above 20 it is x itself, as in PyTorch (the difference is below 2.1e-9). */
export function softplus(x: number, fl: Rounding): number {
  return x > 20 ? x : fl(log1p(fl(exp(x))));
}

/** ln σ(x) = −softplus(−x), without the switch at 20: the log decay of Discrete Mamba-2. */
export function logSigmoid(x: number, fl: Rounding): number {
  return x >= 0 ? -fl(log1p(fl(exp(-x)))) : fl(x - fl(log1p(fl(exp(x)))));
}

/** The activation after a convolution: Mamba uses `silu`, Llamba none (`identity`). */
export type Activation = 'silu' | 'identity';

export function activate(x: number, activation: Activation, fl: Rounding): number {
  return activation === 'silu' ? silu(x, fl) : x;
}

/** Applies a pointwise function to every element. */
export function mapElements(x: Vector, f: (value: number, fl: Rounding) => number): Vector {
  const fl = rounding(x);
  const y = zeros(x.length, x);
  for (let i = 0; i < x.length; i++) y[i] = f(x[i], fl);
  return y;
}

/**
 * softmax(x)ᵢ = e^(xᵢ − max) / Σⱼ e^(xⱼ − max) of `length` elements from `start`, written to the same
 * places of `out`. An element of −Infinity gets probability 0.
 */
export function softmaxInto(out: Vector, x: Vector, start: number, length: number): void {
  const fl = rounding(x);
  let max = Number.NEGATIVE_INFINITY;
  for (let i = start; i < start + length; i++) if (x[i] > max || Number.isNaN(x[i])) max = x[i];
  let sum = 0;
  for (let i = start; i < start + length; i++) {
    const e = fl(exp(fl(x[i] - max)));
    out[i] = e;
    sum = fl(sum + e);
  }
  for (let i = start; i < start + length; i++) out[i] = fl(out[i] / sum);
}

/** softmax over the last axis. */
export function softmax(x: Tensor): Tensor {
  const data = zeros(x.data.length, x.data);
  const width = x.shape.at(-1) ?? 1;
  for (let row = 0; row < data.length; row += width) softmaxInto(data, x.data, row, width);
  return { data, shape: x.shape };
}

/** ln Σᵢ e^xᵢ of a row, −Infinity elements included. */
export function logSumExp(x: Vector, start = 0, length = x.length): number {
  const fl = rounding(x);
  let max = Number.NEGATIVE_INFINITY;
  for (let i = start; i < start + length; i++) if (x[i] > max || Number.isNaN(x[i])) max = x[i];
  if (max === Number.NEGATIVE_INFINITY) return max;
  let sum = 0;
  for (let i = start; i < start + length; i++) sum = fl(sum + fl(exp(fl(x[i] - max))));
  return fl(max + fl(log(sum)));
}

/** log softmax over the last axis: xᵢ − ln Σⱼ e^xⱼ. */
export function logSoftmax(x: Tensor): Tensor {
  const fl = rounding(x.data);
  const data = zeros(x.data.length, x.data);
  const width = x.shape.at(-1) ?? 1;
  for (let row = 0; row < data.length; row += width) {
    const total = logSumExp(x.data, row, width);
    for (let i = row; i < row + width; i++) data[i] = fl(x.data[i] - total);
  }
  return { data, shape: x.shape };
}
