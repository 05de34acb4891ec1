/** The worker of an engine: what is left when it is lost, and that it never runs ahead of who listens. */

import { describe, expect, it, vi } from 'vitest';
import type { GenerateEvent } from '../lib/decode/events.ts';
import { generate } from '../lib/decode/generate.ts';
import { startThread } from '../lib/decode/worker/nodeThread.ts';
import { Outbox } from '../lib/decode/worker/outbox.ts';
import { openRemote } from '../lib/decode/worker/remoteEngine.ts';
import { serveEngine } from '../lib/decode/worker/serve.ts';
import type { Thread } from '../lib/decode/worker/thread.ts';
import type { FromWorker, ToWorker } from '../lib/decode/worker/wire.ts';
import { loadModel } from '../lib/loadModel.ts';
import { SelscanError } from '../reference/errors.ts';
import { TINY_STORIES } from './support.ts';

const model = await loadModel(TINY_STORIES);

async function all(events: AsyncIterable<GenerateEvent>): Promise<GenerateEvent[]> {
  const found: GenerateEvent[] = [];
  for await (const event of events) found.push(event);
  return found;
}

describe('a worker that is lost', () => {
  const options = { samples: 40, maxTokens: 12, seed: 3, maxRows: 4 };

  it('is named by the error, after the chains that had finished', async () => {
    const thread = startThread('selscan-engine-lost');
    const engine = await openRemote(thread, TINY_STORIES);
    const want = await all(generate(model, ['Once'], options));
    const events: GenerateEvent[] = [];
    const listen = async () => {
      for await (const event of engine.generate(['Once'], options)) {
        events.push(event);
        if (event.kind === 'end' && event.sample === 5) await thread.terminate();
      }
    };
    const listening = listen();
    await expect(listening).rejects.toBeInstanceOf(SelscanError);
    await expect(listening).rejects.toMatchObject({ code: 'WorkerLost' });
    await expect(listening).rejects.toThrow(
      /^engine: expected worker selscan-engine-lost to go on, it ended with exit code 1; /,
    );
    expect(events).toEqual(want.slice(0, events.length));
    expect(events.filter(({ kind }) => kind === 'end').length).toBeGreaterThanOrEqual(4);
    await expect(engine.score('Once')).rejects.toMatchObject({ code: 'WorkerLost' });
    await engine.close();
  });

  it('ends every call that waits, with the reason', async () => {
    const { thread, crash } = insideOut();
    const engine = await openRemote(thread, TINY_STORIES);
    const waiting = [engine.score('Once upon a time'), all(engine.generate(['Once'], options))];
    crash('crashed: out of memory');
    for (const call of waiting) {
      await expect(call).rejects.toThrow(
        /selscan-inside-out to go on, it crashed: out of memory; /,
      );
    }
  });

  it('while it opens is the error of createEngine', async () => {
    const { thread, crash } = insideOut();
    const opening = openRemote(thread, TINY_STORIES);
    crash('ended with exit code 7');
    await expect(opening).rejects.toMatchObject({ code: 'WorkerLost' });
  });
});

describe('a listener', () => {
  const options = { samples: 60, maxTokens: 5, maxRows: 2 };

  it('that is slow makes the worker wait: no more than four batches are under way', async () => {
    const { thread, under } = insideOut();
    const engine = await openRemote(thread, TINY_STORIES);
    const want = await all(generate(model, ['Once'], options));
    const events: GenerateEvent[] = [];
    for await (const event of engine.generate(['Once'], options)) {
      events.push(event);
      // many turns of the event loop, in which the worker could send what it has
      if (events.length % 100 === 1) await new Promise((done) => setTimeout(done, 50));
    }
    expect(events).toEqual(want);
    expect(under.most).toBe(4);
    await engine.close();
  });

  it('that goes away ends the call in the worker too', async () => {
    const { thread, sent } = insideOut();
    const engine = await openRemote(thread, TINY_STORIES);
    for await (const _ of engine.generate(['Once'], { ...options, samples: 100_000 })) break;
    while (!sent.some(({ kind, id }) => kind === 'done' && id === 2)) {
      await new Promise((done) => setTimeout(done, 1));
    }
    await engine.close();
  });
});

describe('the outbox', () => {
  it('sends at once what ends a chain, and holds tokens back for a moment only', async () => {
    const clock = vi.spyOn(performance, 'now').mockReturnValue(0);
    try {
      const sent: number[] = [];
      const outbox = new Outbox((events) => {
        sent.push(events.length);
        outbox.taken();
      });
      const token = { kind: 'token' } as GenerateEvent;
      const end = { kind: 'end' } as GenerateEvent;
      await outbox.add([token]); // the first is due
      await outbox.add([token, token]);
      expect(sent).toEqual([1]);
      await outbox.add([token, end]);
      expect(sent).toEqual([1, 4]);
      await outbox.add([token]);
      clock.mockReturnValue(15);
      await outbox.add([token]);
      expect(sent).toEqual([1, 4, 2]);
      await outbox.add(new Array<GenerateEvent>(256).fill(token));
      expect(sent).toEqual([1, 4, 2, 256]);
      await outbox.add([token]);
      outbox.flush();
      outbox.flush();
      expect(sent).toEqual([1, 4, 2, 256, 1]);
    } finally {
      clock.mockRestore();
    }
  });
});

/** A worker that is no thread of its own, and can be made to crash. */
function insideOut() {
  const sent: FromWorker[] = [];
  let hear: ((message: FromWorker) => void) | undefined;
  let end: ((why: string) => void) | undefined;
  let serve: ((message: ToWorker) => void) | undefined;
  /** Batches of events that were sent and not taken. */
  const under = { now: 0, most: 0 };
  const later = (work: () => void) => void setImmediate(work);
  const thread: Thread = {
    name: 'selscan-inside-out',
    post: (message) => {
      const copy = structuredClone(message);
      if (message.kind === 'taken') under.now--;
      later(() => serve?.(copy));
    },
    listen: (onMessage, onEnd) => {
      hear = onMessage;
      end = onEnd;
    },
    keep: () => {},
    terminate: async () => {},
  };
  serveEngine({
    post: (message) => {
      sent.push(message);
      if (message.kind === 'events') under.most = Math.max(under.most, ++under.now);
      const copy = structuredClone(message);
      later(() => hear?.(copy));
    },
    listen: (onMessage) => {
      serve = onMessage;
    },
  });
  const crash = (why: string) => {
    hear = undefined;
    end?.(why);
  };
  return { thread, sent, under, crash };
}
