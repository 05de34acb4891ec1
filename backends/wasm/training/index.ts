/** Training on WASM: the kernels' memory, and all ops on it. */

import type { Numbers, TrainingDevice, TrainingOps } from '../../training.ts';
import { Kernels, type KernelsOptions } from '../kernels.ts';
import { attentionOps } from './attention.ts';
import { CountingMemory } from './counting.ts';
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
  const { threads } = kernels;
  return {
    ...deviceOn(memory),
    name: `wasm (${kernels.simd} SIMD, ${threads} threads)`,
    close: () => kernels.close(),
    memory: {
      get peak() {
        return kernels.memory.peak;
      },
      limit: kernels.memory.limit,
      reserve: (step) => memory.reserve(step),
      counting: () => {
        const counting = new CountingMemory(threads);
        const counted = () => counting.counted();
        return { ...deviceOn(counting), name: 'counting', close: async () => {}, counted };
      },
    },
  };
}

function deviceOn(memory: TrainingMemory): Omit<TrainingDevice, 'name' | 'close' | 'memory'> {
  const ops: TrainingOps = {
    ...layerOps(memory),
    ...linearOp(memory),
    ...recurrenceOps(memory),
    ...attentionOps(memory),
    ...mixerMatrixOp(memory),
    ...lossOps(memory),
    ...optimiserOps(memory),
  };
  return {
    ops,
    keep: (shape, data) => memory.keep(shape, data),
    free: (numbers) => memory.free(own(numbers)),
    zeros: (shape) => memory.zeros(shape),
    reset: () => memory.reset(),
    read: (numbers: Numbers) => memory.read(own(numbers)),
    write: (numbers: Numbers, data) => memory.write(own(numbers), data),
  };
}
