/** Backends for a model: the reference, or one that runs its plans. */

import { type OpenOptions, openBackend as openDevice } from '../backends/index.ts';
import type { Backend, BackendInfo, Executor } from '../backends/types.ts';
import type { Model } from '../reference/model.ts';
import { referenceExecutor } from './decode/referenceExecutor.ts';
import { buildPlan } from './plan/buildPlan.ts';
import { weightNamed } from './plan/weights.ts';
import { referenceOps } from './referenceOps.ts';

export { BACKEND_NAMES, type OpenOptions, presentBackends } from '../backends/index.ts';

/**
 * Runs a model on a backend by name: `reference`, `gpujs:webasm`, ….
 * @throws BackendError when that backend cannot run here; nothing else is run in its place.
 */
export async function openExecutor(
  model: Model,
  backend: string,
  options: OpenOptions = {},
): Promise<Executor> {
  if (backend === 'reference') return referenceExecutor(model);
  const device = await openDevice(backend, options);
  try {
    const executor = await loadOn(device, model);
    const close = async () => {
      await executor.close();
      await device.close();
    };
    return { ...executor, close };
  } catch (error) {
    await device.close();
    throw error;
  }
}

/** Loads a model on an open backend. */
export function loadOn(device: Backend, model: Model): Promise<Executor> {
  const { config } = model;
  return device.load({
    config,
    prefill: buildPlan(config, 'prefill'),
    step: buildPlan(config, 'step'),
    weight: (name) => weightNamed(model, name),
  });
}

/**
 * A backend by name, for its ops: `reference`, `gpujs:webasm`, ….
 * @throws BackendError when that backend cannot run here; nothing else is run in its place.
 */
export async function openBackend(name: string, options: OpenOptions = {}): Promise<OpsBackend> {
  if (name !== 'reference') return openDevice(name, options);
  const info: BackendInfo = { backend: name, precision: 'float64', arithmetic: 'ieee' };
  return { info, ops: referenceOps, close: async () => {} };
}

/** The part of a backend that does not need a model. */
export type OpsBackend = Pick<Backend, 'info' | 'ops' | 'close'>;
