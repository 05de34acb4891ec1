/** The weights that a plan names, taken from a model. */

import { type Model, weightShapes } from '../../reference/model.ts';
import type { Tensor } from '../../reference/tensor.ts';

/** Finds a weight by its name, `layers.0.mixer.inProj`. */
export function weightNamed({ weights }: Model, name: string): Tensor {
  let node: unknown = weights;
  for (const key of name.split('.')) node = (node as Record<string, unknown>)[key];
  return node as Tensor;
}

/** All weights of a model by their names, in the order of weightShapes; nothing is copied. */
export function namedWeights(model: Model): Map<string, Tensor> {
  return new Map(
    Array.from(weightShapes(model.config).keys(), (name) => [name, weightNamed(model, name)]),
  );
}
