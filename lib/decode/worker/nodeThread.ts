/** An engine's worker in Node. */

import { Worker } from 'node:worker_threads';
import type { Thread } from './thread.ts';
import type { FromWorker } from './wire.ts';

/** Starts a worker that waits for an engine's calls. */
export function startThread(name: string): Thread {
  // in a checkout tsx runs the worker's TypeScript, whatever runs this thread's
  const isSource = import.meta.url.endsWith('.ts');
  const entry = new URL(isSource ? './nodeSource.mjs' : './nodeWorker.js', import.meta.url);
  // what this thread was started with (a loader, --input-type) is not for the worker
  const worker = new Worker(entry, { name, execArgv: [] });
  return {
    name,
    post: (message) => worker.postMessage(message),
    listen: (onMessage, onEnd) => {
      let why: string | undefined;
      worker.on('message', (message: FromWorker) => onMessage(message));
      worker.on('messageerror', (error) => {
        why = `sent what cannot be read: ${error.message}`;
        void worker.terminate();
      });
      worker.on('error', (error) => {
        why = `crashed: ${error instanceof Error ? error.message : String(error)}`;
      });
      worker.on('exit', (code) => onEnd(why ?? `ended with exit code ${code}`));
    },
    keep: (isNeeded) => {
      if (isNeeded) worker.ref();
      else worker.unref();
    },
    terminate: async () => {
      await worker.terminate();
    },
  };
}
