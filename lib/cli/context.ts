/** What every command is given, and checks that several of them share. */

import type { BackendInfo } from '../../backends/types.ts';
import { BackendError, ConfigError } from '../../reference/errors.ts';
import { BACKEND_NAMES } from '../backend.ts';
import type { Terminal } from './terminal.ts';

export interface Context {
  terminal: Terminal;
  /** Fires when the user interrupts. */
  signal: AbortSignal;
  /** Sets the exit code: 1 for a check that failed (the default), 2 for bad input that did not stop the rest. */
  fail(code?: 1 | 2): void;
}

/** @throws BackendError for a backend that is not known; nothing else is run in its place. */
export function checkBackend(backend: string, threads = 1): void {
  if (backend !== 'reference' && !BACKEND_NAMES.includes(backend)) {
    throw new BackendError(
      `backend: expected reference or one of ${BACKEND_NAMES.join(', ')}, got ${backend}`,
      'UnknownBackend',
    );
  }
  if (threads !== 1) {
    throw new ConfigError(`threads: expected 1, all that ${backend} uses, got ${threads}`);
  }
}

/** What ran, for people: `gpujs:webgpu (float32, google swiftshader)`. */
export function describeBackend({ backend, precision, adapter, fallback }: BackendInfo): string {
  const facts = [precision, adapter, fallback && `instead of what was asked for: ${fallback}`];
  return `${backend} (${facts.filter((fact) => fact !== undefined).join(', ')})`;
}
