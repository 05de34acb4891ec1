/** Starts and ends the threads that run kernels beside the caller's. */

import { BackendError } from '../../reference/errors.ts';

/** What a thread is given. */
interface Start {
  module: WebAssembly.Module;
  memory: WebAssembly.Memory;
  /** Address of the team's control block, and of its word that says that a thread has failed. */
  team: number;
  lost: number;
  thread: number;
  threads: number;
}

/** A worker of Node or of a browser, as far as it is needed. */
interface Thread {
  postMessage(start: Start): void;
  terminate(): unknown;
  /** Rejects if the worker ends or fails before it is ready. */
  ready: Promise<void>;
}

/** Starts threads 1 … threads − 1 and returns once all of them wait for work. */
export async function startThreads(
  start: Omit<Start, 'thread'>,
): Promise<{ end(): Promise<void> }> {
  const workers: Thread[] = [];
  const end = async () => {
    await Promise.all(workers.map((worker) => worker.terminate()));
  };
  try {
    for (let thread = 1; thread < start.threads; thread++) {
      const worker = await newThread();
      workers.push(worker);
      worker.postMessage({ ...start, thread });
    }
    await Promise.all(workers.map(({ ready }) => ready));
  } catch (error) {
    await end();
    const reason = error instanceof Error ? error.message : String(error);
    throw new BackendError(
      `wasm: expected ${start.threads} threads, a worker did not start (${reason}); take threads: 1`,
      'NoThreads',
    );
  }
  return { end };
}

const isNode = typeof process === 'object' && process.versions?.node !== undefined;

async function newThread(): Promise<Thread> {
  if (isNode) {
    const { Worker } = await import('node:worker_threads');
    // a loader of the caller's (tsx) is none of its business
    const worker = new Worker(new URL('./teamWorker.js', import.meta.url), { execArgv: [] });
    const ready = new Promise<void>((resolve, reject) => {
      worker.once('message', () => {
        worker.unref(); // from here on it must not keep a program alive that has nothing else to do
        resolve();
      });
      worker.on('error', reject); // later ones are told through memory: the caller may be blocked
      worker.once('exit', () => reject(new Error('it ended')));
    });
    ready.catch(() => {});
    return {
      postMessage: (s) => worker.postMessage(s),
      terminate: () => worker.terminate(),
      ready,
    };
  }
  const worker = new Worker(new URL('./teamWorker.js', import.meta.url), { type: 'module' });
  const ready = new Promise<void>((resolve, reject) => {
    worker.onmessage = () => resolve();
    worker.onerror = (event) => reject(new Error(event.message || 'it could not be loaded'));
  });
  ready.catch(() => {});
  return { postMessage: (s) => worker.postMessage(s), terminate: () => worker.terminate(), ready };
}

/** Threads that this machine runs at the same time. */
export async function availableThreads(): Promise<number> {
  if (isNode) return (await import('node:os')).availableParallelism();
  return navigator.hardwareConcurrency ?? 1;
}

/** Why memory cannot be shared among threads here, if it cannot. */
export function whyNotShared(): string | undefined {
  if (typeof SharedArrayBuffer === 'undefined') return 'SharedArrayBuffer is missing';
  const isIsolated = (globalThis as { crossOriginIsolated?: boolean }).crossOriginIsolated;
  if (!isNode && isIsolated === false) {
    return 'the page is not cross-origin isolated (headers COOP and COEP)';
  }
  return undefined;
}

/** Whether this thread may sleep: the main thread of a browser may not. */
export function maySleep(): boolean {
  return isNode || typeof (globalThis as { document?: unknown }).document === 'undefined';
}
