/** Both ends of a worker, in Node and in a browser alike. */

import type { FromWorker, ToWorker } from './wire.ts';

/** A worker as whoever started it sees it. */
export interface Thread {
  /** For messages: `selscan-engine-1`. */
  readonly name: string;
  /** @throws DataCloneError for what is no plain data. */
  post(message: ToWorker): void;
  /** @param onEnd says why it ended: it crashed, or somebody ended it. Never called twice. */
  listen(onMessage: (message: FromWorker) => void, onEnd: (why: string) => void): void;
  /** Whether the process has to stay for it. */
  keep(isNeeded: boolean): void;
  terminate(): Promise<void>;
}

/** Whoever started it, as the worker sees it. */
export interface Port {
  post(message: FromWorker): void;
  listen(onMessage: (message: ToWorker) => void): void;
}
