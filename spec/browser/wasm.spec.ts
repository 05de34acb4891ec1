/** The WASM backend in a browser: both builds, on the page's own thread and on a team of workers beside it. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../backends/types.ts';
import { openWasm } from '../../backends/wasm/index.ts';
import { hasRelaxed } from '../../backends/wasm/kernels.ts';
import { loadOn } from '../../lib/backend.ts';
import { collect } from '../../lib/decode/events.ts';
import { generate } from '../../lib/decode/generate.ts';
import { lawsOf } from '../../lib/verify/laws/index.ts';
import { MODEL_LAWS } from '../../lib/verify/laws/models.ts';
import { backendSubject } from '../../lib/verify/subject.ts';
import type { OpName } from '../../reference/ops.ts';
import { expectLaw, tinyStories } from './support.ts';

const RUNS = 10;

it('this browser has relaxed SIMD and shares memory, so that nothing below is left out', async () => {
  expect(await hasRelaxed()).toBe(true);
  expect(crossOriginIsolated).toBe(true);
});

describe.each([
  ['plain', 1],
  ['plain', 2],
  ['relaxed', 1],
  ['relaxed', 2],
] as const)('wasm, %s SIMD, threads: %d', (simd, threads) => {
  let backend: Backend;
  beforeAll(async () => {
    backend = await openWasm({ simd, threads, alwaysShares: true });
  });
  afterAll(() => backend.close());

  it('is what runs', () => {
    const mode = simd === 'plain' ? 'SIMD' : 'relaxed SIMD';
    expect(backend.info).toMatchObject({ backend: 'wasm', mode, threads });
  });

  it('holds every law of every op', async () => {
    const ops = Object.keys(backend.ops) as OpName[];
    expect(ops.length).toBe(28);
    const subject = backendSubject(backend.info, backend.ops);
    for (const op of ops) for (const law of lawsOf(op)) await expectLaw(law, subject, RUNS);
  });

  it.each(MODEL_LAWS)('models: $law', async (law) => {
    const { precision, arithmetic } = backend.info;
    const open = (model: Parameters<typeof loadOn>[1]) => loadOn(backend, model);
    await expectLaw(law, { open, precision, arithmetic, isBitwise: false }, RUNS);
  });

  it('tells the story of TinyStories token by token as the oracle does', async () => {
    const loaded = await tinyStories();
    const executor = await loadOn(backend, loaded.model);
    const options = { temperature: 0, maxTokens: 60 };
    const got = await collect(generate(loaded, [''], { ...options, backend: executor }));
    await executor.close();
    const oracle = { ...options, backend: 'reference' };
    const want = await collect(generate(loaded, [''], oracle));
    expect(got.map(({ text }) => text)).toEqual(want.map(({ text }) => text));
  });
});
