/** The caller's side of an engine in a worker: calls go out, events come in, errors are what they were. */

import { SelscanError, UnsupportedError } from '../../../reference/errors.ts';
import { type BlobFiles, type BlobLike, isFile } from '../../checkpoint/files.ts';
import type { GenerateEvent, Prompt } from '../events.ts';
import {
  closedError,
  type Engine,
  type EngineGenerateOptions,
  type EngineInfo,
  type EngineOptions,
  type EngineScoreOptions,
  refuseBackend,
} from '../localEngine.ts';
import type { Score } from '../score.ts';
import type { Thread } from './thread.ts';
import { type FromWorker, receiveError, type ToWorker } from './wire.ts';

/** Messages of one call, in order; an error stands behind all that came before it. */
class Inbox {
  #messages: (FromWorker | Error)[] = [];
  #wake?: () => void;

  push(message: FromWorker | Error): void {
    this.#messages.push(message);
    this.#wake?.();
  }

  /** @throws what ended the call. */
  async next(): Promise<FromWorker> {
    while (this.#messages.length === 0) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const message = this.#messages.shift() as FromWorker | Error;
    if (message instanceof Error) throw message;
    if (message.kind === 'failed') throw receiveError(message.error);
    return message;
  }
}

/**
 * Opens an engine in a worker that was just started.
 * @throws what opening it in this thread would throw; SelscanError with code WorkerLost when the worker ends.
 */
export async function openRemote(
  thread: Thread,
  source: string | BlobFiles,
  { signal, onProgress, worker: _, ...options }: EngineOptions = {},
): Promise<Engine> {
  const line = new Line(thread);
  try {
    await line.ready;
    const sent = { source: sendable(source), options };
    const call = line.begin((id) => ({ kind: 'open', id, ...sent }), signal);
    try {
      for (;;) {
        const message = await call.inbox.next();
        if (message.kind === 'progress') onProgress?.(message.progress);
        if (message.kind === 'opened') return new RemoteEngine(line, thread, message.info);
      }
    } finally {
      call.end();
    }
  } catch (error) {
    await line.close();
    throw error;
  }
}

/** All calls to one worker, by number. */
class Line {
  readonly ready: Promise<unknown>;
  readonly #thread: Thread;
  readonly #inboxes = new Map<number, Inbox>();
  #calls = 0;
  /** Why no call can be made any more. */
  #end?: SelscanError;

  constructor(thread: Thread) {
    this.#thread = thread;
    const birth = new Inbox();
    this.#inboxes.set(0, birth);
    this.ready = birth.next().finally(() => this.#inboxes.delete(0));
    thread.listen(
      (message) => this.#inboxes.get(message.id)?.push(message),
      (why) => this.#endAll(lostError(thread.name, why)),
    );
  }

  /** Begins a call. Its `end` is to be called whatever comes. */
  begin(
    message: (id: number) => ToWorker,
    signal?: AbortSignal,
  ): { id: number; inbox: Inbox; post: (message: ToWorker) => void; end: () => void } {
    if (this.#end) throw this.#end;
    const id = ++this.#calls;
    const inbox = new Inbox();
    const post = (more: ToWorker) => {
      if (!this.#end) this.#thread.post(more);
    };
    const abort = () => post({ kind: 'abort', id });
    try {
      post({ ...message(id), ...(signal?.aborted && { isAborted: true }) });
    } catch (error) {
      throw new UnsupportedError(
        `engine: expected prompts and options of plain data, which a worker can be sent: ${(error as Error).message}`,
      );
    }
    this.#inboxes.set(id, inbox);
    this.#thread.keep(true);
    signal?.addEventListener('abort', abort);
    const end = () => {
      signal?.removeEventListener('abort', abort);
      this.#inboxes.delete(id);
      // a worker without work keeps no process alive
      if (this.#inboxes.size === 0 && !this.#end) this.#thread.keep(false);
    };
    return { id, inbox, post, end };
  }

  /** Lets the worker free what it has, then ends it. */
  async close(): Promise<void> {
    if (!this.#end) {
      const call = this.begin((id) => ({ kind: 'close', id }));
      this.#endAll(closedError(), call.id);
      await call.inbox.next().catch(() => undefined); // it may be lost just now
      call.end();
    }
    await this.#thread.terminate();
  }

  #endAll(error: SelscanError, except?: number): void {
    if (except === undefined) this.#end ??= error;
    for (const [id, inbox] of this.#inboxes) if (id !== except) inbox.push(error);
    this.#end ??= error;
  }
}

class RemoteEngine implements Engine {
  readonly info: EngineInfo;
  readonly #line: Line;

  constructor(line: Line, { name }: Thread, info: EngineInfo) {
    this.#line = line;
    this.info = { ...info, worker: name };
  }

  async *generate(
    prompts: readonly Prompt[],
    { signal, ...options }: EngineGenerateOptions = {},
  ): AsyncGenerator<GenerateEvent, void, undefined> {
    refuseFunctions(options);
    const { id, inbox, post, end } = this.#line.begin(
      (id) => ({ kind: 'generate', id, prompts, options }),
      signal,
    );
    let isDone = false;
    try {
      for (;;) {
        const message = await inbox.next();
        if (message.kind === 'events') {
          yield* message.events;
          post({ kind: 'taken', id });
        }
        if (message.kind === 'done') {
          isDone = true;
          return;
        }
      }
    } catch (error) {
      isDone = true;
      throw error;
    } finally {
      end();
      if (!isDone) post({ kind: 'stop', id });
    }
  }

  async score(
    text: string | readonly number[],
    { signal, ...options }: EngineScoreOptions = {},
  ): Promise<Score> {
    refuseFunctions(options);
    const { inbox, end } = this.#line.begin((id) => ({ kind: 'score', id, text, options }), signal);
    try {
      for (;;) {
        const message = await inbox.next();
        if (message.kind === 'scored') return message.score;
      }
    } finally {
      end();
    }
  }

  close(): Promise<void> {
    return this.#line.close();
  }
}

function lostError(name: string, why: string): SelscanError {
  return new SelscanError(
    'WorkerLost',
    `engine: expected worker ${name} to go on, it ${why}; create the engine again, finished chains were delivered`,
  );
}

/** @throws UnsupportedError for what cannot be sent to a worker. */
function refuseFunctions(options: object): void {
  refuseBackend(options);
  for (const [name, value] of Object.entries(options)) {
    if (typeof value !== 'function') continue;
    throw new UnsupportedError(
      `engine: option "${name}" is a function, which no worker can be sent; use createEngine with worker: false`,
    );
  }
}

/** Files by name: some browsers and Node lose the names of File objects on the way. */
function sendable(source: string | BlobFiles): string | ReadonlyMap<string, BlobLike> {
  if (typeof source === 'string' || source instanceof Map) return source;
  if (isFile(source)) return new Map([[source.name, source]]);
  if (Symbol.iterator in source) {
    return new Map(Array.from(source as Iterable<File>, (file) => [file.name, file]));
  }
  return new Map(Object.entries(source as Record<string, BlobLike>));
}
