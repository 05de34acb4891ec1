/** The worker of an engine: what is left when it is lost, and that it never runs ahead of who listens. */

import { describe, expect, it } from 'vitest';
import type { GenerateEvent } from '../lib/decode/events.ts';
import { generate } from '../lib/decode/generate.ts';
import { startThread } from '../lib/decode/worker/nodeThread.ts';
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

describe('a slow listener', () => {
  it('makes the worker wait: no more than four batches are under way', async () => {
    const { thread, sent } = insideOut();
    const engine = await openRemote(thread, TINY_STORIES);
    const batches = () => sent.filter(({ kind }) => kind === 'events').length;
    const settled = async () => {
      for (let before = -1; before !== batches(); ) {
        before = batches();
        for (let turn = 0; turn < 50; turn++) await new Promise((done) => setImmediate(done));
      }
    };
    const want = await all(generate(model, ['Once'], { samples: 60, maxTokens: 5, maxRows: 2 }));
    const events: GenerateEvent[] = [];
    let most = 0;
    for await (const event of engine.generate(['Once'], {
      samples: 60,
      maxTokens: 5,
      maxRows: 2,
    })) {
      events.push(event);
      if (events.length % 60 !== 1) continue;
      const taken = batches();
      await settled();
      most = Math.max(most, batches() - taken);
    }
    expect(events).toEqual(want);
    expect(most).toBeGreaterThan(0);
    expect(most).toBeLessThanOrEqual(4);
    await engine.close();
  });
});

/** A worker that is no thread of its own, and can be made to crash. */
function insideOut() {
  const sent: FromWorker[] = [];
  let hear: ((message: FromWorker) => void) | undefined;
  let end: ((why: string) => void) | undefined;
  let serve: ((message: ToWorker) => void) | undefined;
  const later = (work: () => void) => void setImmediate(work);
  const thread: Thread = {
    name: 'selscan-inside-out',
    post: (message) => {
      const copy = structuredClone(message);
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
  return { thread, sent, crash };
}
