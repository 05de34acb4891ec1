/** The reference's ops and tensors in the vocabulary of training. */

import type { Differentiable, DifferentiableLoss, Numbers } from '../../backends/training.ts';
import { sizeOf, type Tensor } from '../../reference/tensor.ts';

/** What this device made: a tensor. */
export const held = (numbers: Numbers): Tensor => numbers as Tensor;

/** Numbers of an input, or nothing where they are absent. */
export const maybeHeld = (numbers: Numbers | undefined): Tensor | undefined =>
  numbers && held(numbers);

/** The same numbers as (batch, seqlen, …), of rows that are batch·seqlen. */
export function sequences(numbers: Numbers, seqlen: number, ...axes: number[]): Tensor {
  const { data } = held(numbers);
  return { data, shape: [data.length / (seqlen * sizeOf(axes)), seqlen, ...axes] };
}

/** An op of the reference with its gradient, in the vocabulary of training. */
export function differentiable<Input, Wrt extends keyof Input & string>(
  forward: (input: Input) => Tensor,
  gradient: (input: Input, dy: Tensor) => { readonly [Name in Wrt]?: Tensor },
): Differentiable<Input, Wrt> {
  return {
    forward: (input) => ({ y: forward(input) }),
    backward: (input, _output, dy, grads) => addAll(grads, gradient(input, held(dy))),
  };
}

/** A loss of the reference, which computes its gradient along with it. */
export function loss<Input, Wrt extends keyof Input & string>(
  compute: (input: Input) => { loss: number; gradient: Tensor },
  wrt: Wrt,
): DifferentiableLoss<Input, Wrt> {
  return {
    forward: (input) => {
      const { loss: value, gradient } = compute(input);
      return { loss: { data: Float64Array.of(value), shape: [1] } as Numbers, kept: gradient };
    },
    backward: (_input, { kept }, weight, grads) => {
      const { data, shape } = kept as Tensor;
      addAll(grads, { [wrt]: { data: data.map((x) => weight * x), shape } });
    },
  };
}

/** Adds what is wanted of some gradients. */
function addAll(
  wanted: { readonly [name: string]: Numbers | undefined },
  gradients: { readonly [name: string]: Tensor | undefined },
): void {
  for (const [name, numbers] of Object.entries(wanted)) {
    const gradient = gradients[name];
    if (!numbers || !gradient) continue;
    const { data } = held(numbers);
    for (let i = 0; i < data.length; i++) data[i] += gradient.data[i];
  }
}
