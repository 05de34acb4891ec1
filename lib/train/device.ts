/** Opens what trains. */

import type { TrainingDevice } from '../../backends/training.ts';
import { BackendError } from '../../reference/errors.ts';
import { checkOpenOptions } from '../backend.ts';
import { referenceDevice } from './referenceDevice.ts';

export const TRAINING_BACKENDS = ['wasm', 'reference'] as const;

/** @throws BackendError for a backend that does not train, or cannot run here; ConfigError for its threads. */
export async function openTraining(
  backend: string,
  { threads }: { threads?: number } = {},
): Promise<TrainingDevice> {
  if (!(TRAINING_BACKENDS as readonly string[]).includes(backend)) {
    throw new BackendError(
      `backend: expected one of ${TRAINING_BACKENDS.join(', ')} to train on, got ${backend}`,
      'UnknownBackend',
    );
  }
  checkOpenOptions(backend, { threads });
  if (backend === 'reference') return referenceDevice();
  const { openWasmTraining } = await import('../../backends/wasm/training/index.ts');
  return openWasmTraining({ ...(threads !== undefined && { threads }) });
}
