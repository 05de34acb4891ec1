/** Opens backends by name; each is loaded when it is first asked for. */

import { BackendError } from '../reference/errors.ts';
import type { Backend, WeightFormat } from './types.ts';

export interface OpenOptions {
  /** Whether another mode may run where the one that was asked for cannot; `info.fallback` then says why. */
  allowsFallback?: boolean;
  /** Threads that compute; `wasm` only. Default: all cores, where memory can be shared. */
  threads?: number;
  /** How the matrices are stored; `wasm` only. Default float32. */
  weights?: WeightFormat;
}

const OPENERS: Record<string, (options: OpenOptions) => Promise<Backend>> = {
  wasm: async (options) => (await import('./wasm/index.ts')).openWasm(options),
  ...Object.fromEntries(
    (['cpu', 'webasm', 'webgpu', 'webgl2', 'headlessgl'] as const).map((mode) => [
      `gpujs:${mode}`,
      async (options: OpenOptions) => (await import('./gpujs/index.ts')).openGpujs(mode, options),
    ]),
  ),
};

/** All backends but the reference. */
export const BACKEND_NAMES: readonly string[] = Object.keys(OPENERS);

/**
 * @throws BackendError for an unknown name, a package or device that is missing, or where another mode
 *   runs than was asked for.
 */
export async function openBackend(name: string, options: OpenOptions = {}): Promise<Backend> {
  const open = OPENERS[name];
  if (open) return open(options);
  throw new BackendError(
    `backend: expected reference or one of ${BACKEND_NAMES.join(', ')}, got ${name}`,
    'UnknownBackend',
  );
}

/** Every backend, with why it cannot run here where it cannot. */
export async function presentBackends(): Promise<readonly { name: string; absent?: string }[]> {
  const found: { name: string; absent?: string }[] = [];
  for (const name of BACKEND_NAMES) {
    try {
      await (await openBackend(name)).close();
      found.push({ name });
    } catch (error) {
      if (!(error instanceof BackendError)) throw error;
      found.push({ name, absent: error.message });
    }
  }
  return found;
}
