/** Where an engine's worker begins in Node. */

import { parentPort } from 'node:worker_threads';
import { serveEngine } from './serve.ts';

if (parentPort) {
  const port = parentPort;
  serveEngine({
    post: (message) => port.postMessage(message),
    listen: (onMessage) => {
      port.on('message', onMessage);
    },
  });
}
