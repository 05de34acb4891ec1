/** What every command is given, and checks that several of them share. */

import { BackendError, ConfigError } from '../../reference/errors.ts';
import type { Terminal } from './terminal.ts';

export interface Context {
  terminal: Terminal;
  /** Fires when the user interrupts. */
  signal: AbortSignal;
  /** Sets the exit code: 1 for a check that failed (the default), 2 for bad input that did not stop the rest. */
  fail(code?: 1 | 2): void;
}

/** Backends that other versions of selscan have, or will. */
const OTHER_BACKENDS = [
  'wasm',
  'gpujs:cpu',
  'gpujs:webasm',
  'gpujs:webgpu',
  'gpujs:webgl2',
  'gpujs:headlessgl',
  'webgpu',
];

/** @throws BackendError for a backend that this version does not have; nothing else is run in its place. */
export function checkBackend(backend: string, threads = 1): void {
  if (backend !== 'reference') {
    const known = OTHER_BACKENDS.includes(backend) ? 'is not part of this version' : 'is not known';
    throw new BackendError(`backend: ${backend} ${known}; use reference`);
  }
  if (threads !== 1) {
    throw new ConfigError(
      `threads: expected 1, all that the reference backend uses, got ${threads}`,
    );
  }
}
