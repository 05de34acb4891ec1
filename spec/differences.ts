/** Derivatives from values alone, each with a bound on how wrong it may be: the yardstick of gradients. */

import type { Tensor } from '../reference/tensor.ts';

/** Inputs of an op by name, tensors among them. */
export type Named = Record<string, unknown>;

/** Numbers of float32 inputs and their multiples of this add without rounding. */
const STEP = 2 ** -8;

/**
 * f'(0) of a smooth function whose values are off by `noise` at most, and a bound on its own error.
 *
 * Central differences D(h) = (f(h) − f(−h))/2h are off by c₂h² + c₄h⁴ + c₆h⁶ + …. Their combination
 * E(h) = (4·D(h) − D(2h))/3 has no h² (Richardson 1911): it is off by −4c₄h⁴ − …, and E(2h) by 16 times as
 * much. So |E(2h) − E(h)| is 15 times what truncation costs E(h), as long as the step is small for f, and more
 * where it is not. Cancellation costs D(h) at most noise/h and D(2h) half of that, hence E(h) 1.5·noise/h.
 * What an analytic gradient loses by rounding is about the noise, 2⁻⁸ of that.
 */
export function derivative(
  f: (h: number) => number,
  noise: number,
): { value: number; error: number } {
  const central = (h: number) => (f(h) - f(-h)) / (2 * h);
  const [near, middle, far] = [central(STEP), central(2 * STEP), central(4 * STEP)];
  const value = (4 * near - middle) / 3;
  const truncation = Math.abs((4 * middle - far) / 3 - value);
  return { value, error: truncation + (1.5 * noise) / STEP };
}

/** The inputs with h times a direction added to the tensors that it names. */
export function moved(input: Named, direction: Readonly<Record<string, Tensor>>, h: number): Named {
  const copy = { ...input };
  for (const [name, { data }] of Object.entries(direction)) {
    const t = input[name] as Tensor;
    copy[name] = { data: t.data.map((x, i) => x + h * data[i]), shape: t.shape };
  }
  return copy;
}

/**
 * Compares every number of every gradient with differences of `f`, a function of the inputs.
 * @returns what is wrong, as sentences; NaN is wrong.
 */
export function wrongGradients(
  f: (input: Named) => number,
  input: Named,
  gradients: Readonly<Record<string, Tensor>>,
  noise: number,
): string[] {
  const wrong: string[] = [];
  for (const [name, gradient] of Object.entries(gradients)) {
    const { shape, data } = input[name] as Tensor;
    if (gradient.shape.join() !== shape.join()) wrong.push(`${name}: shape [${gradient.shape}]`);
    for (let i = 0; i < data.length; i++) {
      const one = { data: new Float64Array(data.length), shape };
      one.data[i] = 1;
      const { value, error } = derivative((h) => f(moved(input, { [name]: one }, h)), noise);
      const isClose = Math.abs(gradient.data[i] - value) <= error;
      if (!isClose) wrong.push(`${name}[${i}]: want ${value} ± ${error}, got ${gradient.data[i]}`);
    }
  }
  return wrong;
}

/** Σ a·b over all elements. */
export function inner(a: Tensor, b: Tensor): number {
  let sum = 0;
  for (let i = 0; i < a.data.length; i++) sum += a.data[i] * b.data[i];
  return sum;
}
