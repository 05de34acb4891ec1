/** An engine: the same in a worker as here, errors and all; and what happens when the worker is lost. */

import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { DEFAULT_BACKEND } from '../lib/backend.ts';
import { CheckpointError } from '../lib/checkpoint/errors.ts';
import { createEngine } from '../lib/decode/engine.ts';
import type { GenerateEvent, Prompt } from '../lib/decode/events.ts';
import { generate } from '../lib/decode/generate.ts';
import type { Engine, EngineGenerateOptions } from '../lib/decode/localEngine.ts';
import { score } from '../lib/decode/score.ts';
import { loadModel } from '../lib/loadModel.ts';
import { ConfigError, UnsupportedError } from '../reference/errors.ts';
import { path, TINY_STORIES, temporaryFolder } from './support.ts';

const model = await loadModel(TINY_STORIES);
const inWorker = await createEngine(TINY_STORIES);
const here = await createEngine(TINY_STORIES, { worker: false });
afterAll(async () => {
  await Promise.all([inWorker.close(), here.close()]);
});
const ENGINES: [string, Engine][] = [
  ['in a worker', inWorker],
  ['here', here],
];

async function all(events: AsyncIterable<GenerateEvent>): Promise<GenerateEvent[]> {
  const found: GenerateEvent[] = [];
  for await (const event of events) found.push(event);
  return found;
}

const folder = temporaryFolder();
const CLASSES: Record<string, typeof ConfigError> = { ConfigError, UnsupportedError };
const PROMPTS: Prompt[] = ['Once upon', [1, 300, 20], 'Lily'];

describe.each(ENGINES)('%s', (where, engine) => {
  it('says what runs', () => {
    const { worker, backend, ...info } = engine.info;
    expect(info).toEqual({
      model: model.name,
      family: 'llama',
      config: model.config,
      hasTokenizer: true,
      warnings: [],
    });
    expect(backend.backend).toBe(DEFAULT_BACKEND);
    if (where === 'here') expect(worker).toBeUndefined();
    else expect(worker).toMatch(/^selscan-engine-\d+$/);
  });

  it('gives the events of generate, in several calls at the same time', async () => {
    const calls: [Prompt[], EngineGenerateOptions][] = [
      [PROMPTS, { samples: 3, maxTokens: 9, seed: 5, maxRows: 4, stop: ['the'] }],
      [[PROMPTS[0]], { maxTokens: 30, temperature: 0 }],
      [
        PROMPTS,
        { logitBias: new Map([[300, 4]]), topP: 0.9, maxTokens: 5, budget: { tokens: 12 } },
      ],
    ];
    const got = await Promise.all(calls.map(([prompts, o]) => all(engine.generate(prompts, o))));
    const want = await Promise.all(calls.map(([prompts, o]) => all(generate(model, prompts, o))));
    expect(got).toEqual(want);
  });

  it('scores as score does', async () => {
    const options = { withLogits: true };
    expect(await engine.score('One day', options)).toEqual(await score(model, 'One day', options));
  });

  it('a signal ends a call and keeps what it has; one that has fired begins nothing', async () => {
    const controller = new AbortController();
    const events: GenerateEvent[] = [];
    const options = { samples: 3, maxTokens: 400, stopTokens: [], signal: controller.signal };
    for await (const event of engine.generate(['Once'], options)) {
      events.push(event);
      if (events.length === 5) controller.abort();
    }
    const ends = events.filter((event) => event.kind === 'end');
    expect(ends.map(({ finishReason }) => finishReason)).toEqual(new Array(3).fill('aborted'));
    const tokens = events.filter(({ kind }) => kind === 'token').length;
    expect(ends.reduce((sum, end) => sum + end.tokens.length, 0)).toBe(tokens);
    expect(await all(engine.generate(['Once'], options))).toEqual([]);
    const scoring = engine.score('Once', { signal: controller.signal });
    await expect(scoring).rejects.toMatchObject({ name: 'SelscanError', code: 'Aborted' });
  });

  it('whoever stops listening ends the call, and the next is served', async () => {
    for await (const _ of engine.generate(['Once'], { samples: 1000 })) break;
    const [event] = await all(engine.generate(['Once'], { maxTokens: 1, temperature: 0 }));
    expect(event.kind).toBe('token');
  });

  it.each([
    [[[1, 999]], {}, 'ConfigError', 'TokenRange', /^prompt 0: expected token ids/],
    [['Once'], { topP: 2 }, 'ConfigError', 'Option', /^topP: expected a number/],
    [['Once'], { temprature: 1 }, 'UnsupportedError', 'Unsupported', /did you mean temperature\?$/],
    [
      ['Once'],
      { backend: 'reference' },
      'UnsupportedError',
      'Unsupported',
      /createEngine takes it$/,
    ],
  ] as [Prompt[], EngineGenerateOptions, string, string, RegExp][])(
    '%j with %j rejects as generate does, class and code',
    async (prompts, options, name, code, message) => {
      const failing = all(engine.generate(prompts, options));
      await expect(failing).rejects.toMatchObject({ name, code });
      await expect(failing).rejects.toThrow(message);
      await expect(failing).rejects.toBeInstanceOf(CLASSES[name]);
    },
  );
});

describe.each([true, false])('opening, in a worker: %s', (worker) => {
  it('a bad folder is the CheckpointError of loadModel, with its file', async () => {
    const want = await loadModel(folder).catch((error: Error) => error);
    const failing = createEngine(folder, { worker });
    await expect(failing).rejects.toBeInstanceOf(CheckpointError);
    const { name, message, code, file } = want as CheckpointError;
    await expect(failing).rejects.toMatchObject({ name, message, code, file });
  });

  it('an unknown backend is a BackendError, threads that it has not a ConfigError', async () => {
    const failing = createEngine(TINY_STORIES, { worker, backend: 'abacus' });
    await expect(failing).rejects.toMatchObject({ name: 'BackendError', code: 'UnknownBackend' });
    const threads = createEngine(TINY_STORIES, { worker, backend: 'reference', threads: 4 });
    await expect(threads).rejects.toThrow(/^threads: expected 1, all that reference uses, got 4/);
  });

  it('files in memory are a model as well; progress is told, a signal ends it', async () => {
    const names = ['config.json', 'model.safetensors', 'tokenizer.json'];
    const files = Object.fromEntries(
      names.map((name) => [name, new Blob([readFileSync(join(TINY_STORIES, name))])]),
    );
    const heard: number[] = [];
    const onProgress = ({ loaded }: { loaded: number }) => void heard.push(loaded);
    const engine = await createEngine(files, { worker, onProgress });
    const options = { maxTokens: 3, temperature: 0 };
    expect(await all(engine.generate(['Once'], options))).toEqual(
      await all(generate(model, ['Once'], options)),
    );
    await engine.close();
    expect(heard.length).toBeGreaterThan(10);
    const aborted = createEngine(files, { worker, signal: AbortSignal.abort() });
    await expect(aborted).rejects.toMatchObject({ name: 'SelscanError', code: 'Aborted' });
  });

  it('once it is closed, calls reject with code Closed, also those that are under way', async () => {
    const engine = await createEngine(TINY_STORIES, { worker });
    const events = engine.generate(['Once'], { samples: 100 });
    await events.next();
    await engine.close();
    const closed = { name: 'SelscanError', code: 'Closed' };
    await expect(all(events)).rejects.toMatchObject(closed);
    await expect(engine.score('Once')).rejects.toMatchObject(closed);
    await expect(all(engine.generate(['Once']))).rejects.toMatchObject(closed);
    await engine.close();
  });
});

it('a backend with threads of its own runs in the worker too', async () => {
  const engine = await createEngine(TINY_STORIES, { backend: 'wasm', threads: 2 });
  expect(engine.info.backend).toMatchObject({ backend: 'wasm', threads: 2 });
  const options = { maxTokens: 40, temperature: 0 };
  const told = async (events: AsyncIterable<GenerateEvent>) =>
    (await all(events)).map((event) => (event.kind === 'token' ? event.text : '')).join('');
  expect(await told(engine.generate([''], options))).toBe(await told(here.generate([''], options)));
  await engine.close();
});

it('functions and what is no plain data are refused by name where there is a worker', async () => {
  const traced = all(inWorker.generate(['Once'], { trace: () => {} }));
  await expect(traced).rejects.toMatchObject({ name: 'UnsupportedError', code: 'Unsupported' });
  await expect(traced).rejects.toThrow(/^engine: option "trace" is a function, .* worker: false$/);
  const odd = { stop: [Symbol('end')] } as unknown as EngineGenerateOptions;
  await expect(all(inWorker.generate(['Once'], odd))).rejects.toThrow(
    /^engine: expected .* plain data/,
  );
  const heard: string[] = [];
  const trace = ({ kind }: { kind: string }) => void heard.push(kind);
  await all(here.generate(['Once'], { maxTokens: 2, trace }));
  expect(heard).toContain('sampler');
});

it('an engine without calls keeps no process alive, and works through tsx', () => {
  const script = join(folder, 'script.mts');
  const index = JSON.stringify(path('lib/index.ts'));
  writeFileSync(
    script,
    `import { createEngine } from ${index};
    const engine = await createEngine(${JSON.stringify(TINY_STORIES)});
    let text = '';
    for await (const event of engine.generate([''], { temperature: 0, maxTokens: 12 }))
      if (event.kind === 'token') text += event.text;
    console.log(engine.info.worker + ': ' + text);`,
  );
  const { stdout, stderr } = spawnSync('npx', ['tsx', script], {
    cwd: path('.'),
    encoding: 'utf8',
  });
  expect(stderr).toBe('');
  expect(stdout).toMatch(/^selscan-engine-1: Once upon a time, there was/);
});
