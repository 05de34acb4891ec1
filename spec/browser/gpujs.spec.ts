/** The gpu.js backend in a browser, from a production build: minified kernels must still be kernels. */

import { openGpujs } from 'minified';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../backends/types.ts';
import { loadOn } from '../../lib/backend.ts';
import { collect } from '../../lib/decode/events.ts';
import { generate } from '../../lib/decode/generate.ts';
import { lawsOf } from '../../lib/verify/laws/index.ts';
import { MODEL_LAWS } from '../../lib/verify/laws/models.ts';
import { backendSubject } from '../../lib/verify/subject.ts';
import type { OpName } from '../../reference/ops.ts';
import { expectLaw, tinyStories } from './support.ts';

/** Inputs of each law: every new shape costs the build of its kernels. */
const RUNS = 2;

describe.each(['webgl2', 'webgpu'] as const)('gpujs:%s, minified', (mode) => {
  let backend: Backend;
  beforeAll(async () => {
    backend = await openGpujs(mode);
  });
  afterAll(() => backend.close());

  it('is what runs', () => {
    expect(backend.info).toMatchObject({ backend: `gpujs:${mode}`, mode });
    expect(backend.info.fallback).toBeUndefined();
    expect(backend.info.adapter).toBeTruthy();
  });

  it('holds every law of every op', async () => {
    const ops = Object.keys(backend.ops) as OpName[];
    expect(ops.length).toBe(28);
    const subject = backendSubject(backend.info, backend.ops);
    for (const op of ops) for (const law of lawsOf(op)) await expectLaw(law, subject, RUNS);
    // on a GPU that is software, beside other specs
  }, 600_000);

  it.each(MODEL_LAWS)('models: $law', async (law) => {
    const { precision, arithmetic } = backend.info;
    const open = (model: Parameters<typeof loadOn>[1]) => loadOn(backend, model);
    await expectLaw(law, { open, precision, arithmetic, isBitwise: false }, RUNS);
  });

  it('tells the story of TinyStories token by token as the oracle does', async () => {
    const loaded = await tinyStories();
    const executor = await loadOn(backend, loaded.model);
    const options = { temperature: 0, maxTokens: 60 };
    const prompts = ['', 'Lily and Tom went to'];
    const got = await collect(generate(loaded, prompts, { ...options, backend: executor }));
    await executor.close();
    const oracle = { ...options, backend: 'reference' };
    const want = await collect(generate(loaded, prompts, oracle));
    expect(got.map(({ text }) => text)).toEqual(want.map(({ text }) => text));
  });
});
