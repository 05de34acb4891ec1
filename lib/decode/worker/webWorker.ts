/** Where an engine's worker begins in a browser. */

import { serveEngine } from './serve.ts';
import type { ToWorker } from './wire.ts';

/** The part of a worker's global scope that is needed; TypeScript knows either pages or workers, not both. */
interface Scope {
  postMessage(message: unknown): void;
  addEventListener(type: 'message', hear: (event: { data: ToWorker }) => void): void;
}

const scope = globalThis as unknown as Scope;

serveEngine({
  post: (message) => scope.postMessage(message),
  listen: (onMessage) => scope.addEventListener('message', ({ data }) => onMessage(data)),
});
