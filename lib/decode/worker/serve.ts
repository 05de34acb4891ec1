/** The worker's side of an engine: runs calls, each until it is done, aborted, or nobody listens. */

import { SelscanError } from '../../../reference/errors.ts';
import type { LoadProgress } from '../../checkpoint/weights.ts';
import { type LocalEngine, openLocal } from '../localEngine.ts';
import { Outbox } from './outbox.ts';
import type { Port } from './thread.ts';
import { sendError, type ToWorker } from './wire.ts';

type Request = Extract<ToWorker, { kind: 'open' | 'generate' | 'score' | 'close' }>;

/** One call while it runs. */
interface Call {
  readonly controller: AbortController;
  readonly outbox: Outbox;
}

/** Serves one engine's calls for as long as the worker lives. */
export function serveEngine(port: Port): void {
  const calls = new Map<number, Call>();
  let engine: LocalEngine | undefined;

  const opened = (): LocalEngine => {
    if (engine) return engine;
    throw new SelscanError('Closed', 'engine: expected the worker to have a model, it has none');
  };

  const answer = async (message: Request, { controller, outbox }: Call): Promise<void> => {
    const { id } = message;
    const { signal } = controller;
    switch (message.kind) {
      case 'open': {
        const onProgress = (progress: LoadProgress) =>
          port.post({ kind: 'progress', id, progress });
        engine = await openLocal(message.source, { ...message.options, signal, onProgress });
        port.post({ kind: 'opened', id, info: engine.info });
        return;
      }
      case 'generate': {
        const events = opened().batches(message.prompts, { ...message.options, signal });
        try {
          for await (const batch of events) if (!(await outbox.add(batch))) break;
        } finally {
          outbox.flush();
        }
        port.post({ kind: 'done', id });
        return;
      }
      case 'score': {
        const score = await opened().score(message.text, { ...message.options, signal });
        port.post({ kind: 'scored', id, score });
        return;
      }
      case 'close':
        await engine?.close();
        port.post({ kind: 'done', id });
    }
  };

  const run = async (message: Request): Promise<void> => {
    const { id } = message;
    const outbox = new Outbox((events) => port.post({ kind: 'events', id, events }));
    const call = { controller: new AbortController(), outbox };
    if (message.isAborted) call.controller.abort();
    calls.set(id, call);
    try {
      await answer(message, call);
    } catch (error) {
      port.post({ kind: 'failed', id, error: sendError(error) });
    } finally {
      calls.delete(id);
    }
  };

  port.listen((message) => {
    switch (message.kind) {
      case 'taken':
        calls.get(message.id)?.outbox.taken();
        return;
      case 'abort':
        calls.get(message.id)?.controller.abort();
        return;
      case 'stop':
        calls.get(message.id)?.outbox.stop();
        return;
      default:
        void run(message);
    }
  });
  port.post({ kind: 'ready', id: 0 });
}
