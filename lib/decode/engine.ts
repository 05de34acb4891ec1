/** An engine: a model loaded once, decoding for many calls, in a worker so that this thread stays free. */

import type { BlobFiles } from '../checkpoint/files.ts';
import { type Engine, type EngineOptions, openLocal } from './localEngine.ts';
import { openRemote } from './worker/remoteEngine.ts';
import type { Thread } from './worker/thread.ts';

let started = 0;

/**
 * Loads a model and keeps it ready. By default all work is done in a worker of its own (a thread in Node, a Web
 * Worker in a browser): events come in batches, no more of them than are taken, and errors are what they would be
 * here, class and code. An engine without calls keeps no process alive.
 *
 * @example
 * const engine = await createEngine('models/mamba-130m');
 * for await (const event of engine.generate(['Once upon a time'], { samples: 8 })) console.log(event);
 * await engine.close();
 * @param source path of a folder (Node only), or the files themselves, as for loadModel.
 * @throws what loadModel and openExecutor throw; SelscanError with code WorkerLost, from here and from every call
 *   under way, when the worker ends: the error names it, and comes after the events that had arrived.
 */
export async function createEngine(
  source: string | BlobFiles,
  options: EngineOptions = {},
): Promise<Engine> {
  if (options.worker === false) return openLocal(source, options);
  return openRemote(await startThread(`selscan-engine-${++started}`), source, options);
}

async function startThread(name: string): Promise<Thread> {
  const isNode = typeof process === 'object' && process.versions?.node !== undefined;
  const { startThread: start } = isNode
    ? await import('./worker/nodeThread.ts')
    : await import('./worker/webThread.ts');
  return start(name);
}
