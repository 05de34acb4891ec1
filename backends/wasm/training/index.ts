/** Training on WASM: the kernels' memory, and all ops on it. */

import type { Numbers, TrainingDevice } from '../../training.ts';
import { Kernels, type KernelsOptions } from '../kernels.ts';
import { attentionOps } from './attention.ts';
import { own, TrainingMemory } from './device.ts';
import { layerOps } from './layers.ts';
import { linearOp } from './linear.ts';
import { lossOps } from './losses.ts';
import { mixerMatrixOp } from './mixerMatrix.ts';
import { optimiserOps } from './optimiser.ts';
import { recurrenceOps } from './recurrences.ts';

/**
 * Opens the kernels for training. Results are the same bits for any number of threads.
 * @throws BackendError with code NoSimd, NoThreads or OutOfMemory.
 */
export async function openWasmTraining(options: KernelsOptions = {}): Promise<TrainingDevice> {
  const kernels = await Kernels.start(options);
  const memory = new TrainingMemory(kernels);
  return {
    name: `wasm (${kernels.simd} SIMD, ${kernels.threads} threads)`,
    ops: {
      ...layerOps(memory),
      ...linearOp(memory),
      ...recurrenceOps(memory),
      ...attentionOps(memory),
      ...mixerMatrixOp(memory),
      ...lossOps(memory),
      ...optimiserOps(memory),
    },
    keep: (shape, data) => memory.keep(shape, data),
    free: (numbers) => memory.free(own(numbers)),
    zeros: (shape) => memory.zeros(shape),
    reset: () => memory.reset(),
    read: (numbers: Numbers) => memory.read(own(numbers)),
    write: (numbers: Numbers, data) => memory.write(own(numbers), data),
    close: () => kernels.close(),
  };
}
