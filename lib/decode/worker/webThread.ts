/** An engine's worker in a browser. */

import type { Thread } from './thread.ts';
import type { FromWorker } from './wire.ts';

/** Starts a worker that waits for an engine's calls. */
export function startThread(name: string): Thread {
  // bundlers look for exactly this expression and make a file of the worker
  const worker = new Worker(new URL('./webWorker.js', import.meta.url), { type: 'module' });
  return {
    name,
    post: (message) => worker.postMessage(message),
    listen: (onMessage, onEnd) => {
      let hasEnded = false;
      const end = (why: string) => {
        if (hasEnded) return;
        hasEnded = true;
        worker.terminate();
        onEnd(why);
      };
      worker.addEventListener('message', ({ data }: MessageEvent<FromWorker>) => onMessage(data));
      worker.addEventListener('messageerror', () => end('sent what cannot be read'));
      // also when its file cannot be loaded, and then without a message
      worker.addEventListener('error', ({ message }) => {
        end(`crashed: ${message || 'its file could not be loaded'}`);
      });
    },
    keep: () => {},
    terminate: async () => worker.terminate(),
  };
}
