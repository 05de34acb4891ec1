/** Backends for a model: the reference, or one that runs its plans. */

import { type OpenOptions, openBackend as openDevice } from '../backends/index.ts';
import type { Backend, BackendInfo, Executor } from '../backends/types.ts';
import { ConfigError } from '../reference/errors.ts';
import type { Model } from '../reference/model.ts';
import { referenceExecutor } from './decode/referenceExecutor.ts';
import { buildPlan } from './plan/buildPlan.ts';
import { weightNamed } from './plan/weights.ts';
import { referenceOps } from './referenceOps.ts';

/** What computes where nobody says otherwise. */
export const DEFAULT_BACKEND = 'wasm';

export { BACKEND_NAMES, type OpenOptions, presentBackends } from '../backends/index.ts';

/** Backends that can be given a number of threads and a format of weights. */
const IS_TUNABLE: ReadonlySet<string> = new Set(['wasm']);

/** @throws ConfigError for threads or weights that a backend does not have a choice of. */
export function checkOpenOptions(backend: string, { threads, weights }: OpenOptions): void {
  if (threads !== undefined && !(Number.isInteger(threads) && threads >= 1)) {
    throw new ConfigError(`threads: expected a whole number ≥ 1, got ${threads}`);
  }
  if (weights !== undefined && weights !== 'float32' && weights !== 'int8') {
    throw new ConfigError(`weights: expected float32 or int8, got ${weights}`);
  }
  if (IS_TUNABLE.has(backend)) return;
  if (threads !== undefined && threads !== 1) {
    throw new ConfigError(`threads: expected 1, all that ${backend} uses, got ${threads}`);
  }
  if (weights !== undefined && weights !== 'float32') {
    throw new ConfigError(
      `weights: expected none or float32, ${backend} keeps them as they are, got ${weights}; use wasm`,
    );
  }
}

/**
 * Runs a model on a backend by name: `reference`, `gpujs:webasm`, ….
 * @throws BackendError when that backend cannot run here; nothing else is run in its place. ConfigError for
 *   options that it does not have.
 */
export async function openExecutor(
  model: Model,
  backend: string,
  options: OpenOptions = {},
): Promise<Executor> {
  checkOpenOptions(backend, options);
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
