/** What every command is given, and checks that several of them share. */

import type { BackendInfo } from '../../backends/types.ts';
import { BackendError } from '../../reference/errors.ts';
import { BACKEND_NAMES, checkOpenOptions, type OpenOptions } from '../backend.ts';
import type { Terminal } from './terminal.ts';

export interface Context {
  terminal: Terminal;
  /** Fires when the user interrupts. */
  signal: AbortSignal;
  /** Sets the exit code: 1 for a check that failed (the default), 2 for bad input that did not stop the rest. */
  fail(code?: 1 | 2): void;
}

/**
 * @throws BackendError for a backend that is not known; nothing else is run in its place. ConfigError for threads
 *   or weights that it has no choice of.
 */
export function checkBackend(backend: string, options: OpenOptions = {}): void {
  if (backend !== 'reference' && !BACKEND_NAMES.includes(backend)) {
    throw new BackendError(
      `backend: expected reference or one of ${BACKEND_NAMES.join(', ')}, got ${backend}`,
      'UnknownBackend',
    );
  }
  checkOpenOptions(backend, options);
}

/** What ran, for people: `gpujs:webgpu (float32, google swiftshader)`, `wasm (float32, int8 weights, 4 threads)`. */
export function describeBackend(info: BackendInfo): string {
  const { precision, adapter, weights, threads, fallback, backend } = info;
  const facts = [
    precision,
    adapter,
    weights && weights !== precision ? `${weights} weights` : undefined,
    threads === undefined ? undefined : `${threads} ${threads === 1 ? 'thread' : 'threads'}`,
    fallback && `instead of what was asked for: ${fallback}`,
  ];
  return `${backend} (${facts.filter((fact) => fact !== undefined).join(', ')})`;
}
