/** The gpu.js backend in a browser, from a production build: minified kernels must still be kernels. */

import { openGpujs } from 'minified';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../backends/types.ts';
import { loadOn } from '../../lib/backend.ts';
import { collect } from '../../lib/decode/events.ts';
import { generate } from '../../lib/decode/generate.ts';
import { loadModel } from '../../lib/loadModel.ts';
import { checkLaw } from '../../lib/verify/check.ts';
import { lawsOf } from '../../lib/verify/laws/index.ts';
import type { LawOf } from '../../lib/verify/laws/law.ts';
import { MODEL_LAWS } from '../../lib/verify/laws/models.ts';
import { backendSubject } from '../../lib/verify/subject.ts';
import type { OpName } from '../../reference/ops.ts';

const SEED = 20260101;
/** Inputs of each law: every new shape costs the build of its kernels. */
const RUNS = 2;

async function expectLaw<Judged>(law: LawOf<Judged>, subject: Judged): Promise<void> {
  const { ok, counterexample } = await checkLaw(law, subject, { seed: SEED, runs: RUNS });
  expect(ok, JSON.stringify(counterexample)).toBe(true);
}

const FOLDER = '/fixtures/models/tinystories-260k';

/** The bundled model from the files of the development server. */
async function tinyStories() {
  const names = ['config.json', 'model.safetensors', 'tokenizer.json'];
  const files = await Promise.all(
    names.map(async (name) => [name, await (await fetch(`${FOLDER}/${name}`)).blob()] as const),
  );
  return loadModel(Object.fromEntries(files));
}

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
    for (const op of ops) for (const law of lawsOf(op)) await expectLaw(law, subject);
  });

  it.each(MODEL_LAWS)('models: $law', async (law) => {
    const { precision, arithmetic } = backend.info;
    const open = (model: Parameters<typeof loadOn>[1]) => loadOn(backend, model);
    await expectLaw(law, { open, precision, arithmetic, isBitwise: false });
  });

  it('tells the story of TinyStories token by token as the oracle does', async () => {
    const loaded = await tinyStories();
    const executor = await loadOn(backend, loaded.model);
    const options = { temperature: 0, maxTokens: 60 };
    const prompts = ['', 'Lily and Tom went to'];
    const got = await collect(generate(loaded, prompts, { ...options, backend: executor }));
    await executor.close();
    const want = await collect(generate(loaded, prompts, options));
    expect(got.map(({ text }) => text)).toEqual(want.map(({ text }) => text));
  });
});
