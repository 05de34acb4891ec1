/** Slopes by central differences, with what they may be off by: what gradients are checked against. */

import { isTensor, type Tensor } from '../reference/tensor.ts';

export type Tensors = Record<string, Tensor>;

/** A step that every input takes exactly: inputs are float32 numbers, or dyadic. */
export const STEP = 2 ** -14;

/** Something with a slope: named outputs, and what each element of them may be off by as computed. */
export interface Computed {
  run(input: object): Tensors;
  bounds(input: object): Record<string, ArrayLike<number>>;
}

/** Every tensor of an object. */
export function tensorsIn(value: object): Tensors {
  return Object.fromEntries(Object.entries(value).filter(([, t]) => isTensor(t)));
}

/** input + by·direction, for the tensors that the direction has. */
export function moved<Input extends object>(input: Input, direction: Tensors, by: number): Input {
  const to = { ...input } as Record<string, unknown>;
  for (const [name, { data }] of Object.entries(direction)) {
    const from = to[name] as Tensor;
    to[name] = {
      data: Float64Array.from(from.data, (v, i) => v + by * data[i]),
      shape: from.shape,
    };
  }
  return to as Input;
}

/** ⟨a, b⟩ over the tensors of b, and Σ|aᵢ·bᵢ|, which says what its rounding loses. */
export function inner(a: Tensors, b: Tensors): { value: number; size: number; terms: number } {
  let [value, size, terms] = [0, 0, 0];
  for (const [name, { data }] of Object.entries(b)) {
    for (let i = 0; i < data.length; i++) {
      const term = a[name].data[i] * data[i];
      value += term;
      size += Math.abs(term);
    }
    terms += data.length;
  }
  return { value, size, terms };
}

/** What the loss ⟨upstream, outputs⟩ may be off by at an input: its outputs' bounds, and its own sum. */
function lossError(computed: Computed, input: object, upstream: Tensors): number {
  const { size, terms } = inner(computed.run(input), upstream);
  const bounds = computed.bounds(input);
  let brought = 0;
  for (const [name, { data }] of Object.entries(upstream)) {
    for (let i = 0; i < data.length; i++) brought += Math.abs(data[i]) * bounds[name][i];
  }
  return brought + (terms + 1) * 2 ** -52 * size;
}

/** What the loss may be off by within two steps of an input: twice as much as there and at the far corner. */
export function lossErrorNear(computed: Computed, input: object, upstream: Tensors): number {
  const corner = Object.fromEntries(
    Object.entries(tensorsIn(input)).map(([name, { data, shape }]) => [
      name,
      { data: data.map((v) => (v < 0 ? -1 : 1)), shape },
    ]),
  );
  const there = lossError(computed, moved(input, corner, 2 * STEP), upstream);
  return 2 * (lossError(computed, input, upstream) + there);
}

/**
 * The slope of a loss along a line, by Richardson's extrapolation of two central differences:
 *
 *   D(δ) = (L(δ) − L(−δ))/(2δ),  slope = (4·D(δ) − D(2δ))/3
 *
 * D(δ) is off by δ²·L'''/6 and more of order δ⁴, the slope only by the latter: |D(2δ) − D(δ)|, which is δ²·L'''/2,
 * is far above that. Cancellation brings at most (4·E/δ + E/2δ)/3 = 1.5·E/δ where each L is off by at most E.
 */
export function slopeAlong(
  loss: (at: number) => number,
  lossOffBy: number,
): { value: number; error: number } {
  const near = (loss(STEP) - loss(-STEP)) / (2 * STEP);
  const far = (loss(2 * STEP) - loss(-2 * STEP)) / (4 * STEP);
  const error = Math.abs(far - near) + (1.5 * lossOffBy) / STEP;
  return { value: (4 * near - far) / 3, error };
}
