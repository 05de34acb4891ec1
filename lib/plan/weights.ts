/** The weights that a plan names, taken from a model. */

import type { Model } from '../../reference/model.ts';
import type { Tensor } from '../../reference/tensor.ts';

/** Finds a weight by its name, `layers.0.mixer.inProj`. */
export function weightNamed({ weights }: Model, name: string): Tensor {
  let node: unknown = weights;
  for (const key of name.split('.')) node = (node as Record<string, unknown>)[key];
  return node as Tensor;
}
