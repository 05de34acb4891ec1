/** Training on the reference: Float64, readable, slow. What every other device is compared with. */

import type { TrainingDevice } from '../../backends/training.ts';
import { sizeOf, type Tensor } from '../../reference/tensor.ts';
import { held } from './onReference.ts';
import { referenceTrainingOps } from './referenceOps.ts';

export function referenceDevice(): TrainingDevice {
  return {
    name: 'reference',
    ops: referenceTrainingOps,
    keep: (shape, data) => filled(shape, data),
    free: () => {},
    zeros: (shape) => filled(shape),
    reset: () => {},
    read: (numbers) => Float64Array.from(held(numbers).data),
    write: (numbers, data) => held(numbers).data.set(Array.from(data)),
    close: async () => {},
  };
}

function filled(shape: readonly number[], data?: ArrayLike<number>): Tensor {
  return { data: data ? Float64Array.from(data) : new Float64Array(sizeOf(shape)), shape };
}
