/** The WASM backend in Node: whole models in every build and number of threads that this engine has. */

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Backend, Executor } from '../backends/types.ts';
import { openWasm } from '../backends/wasm/index.ts';
import { hasRelaxed, type Simd } from '../backends/wasm/kernels.ts';
import { loadOn } from '../lib/backend.ts';
import { loadModel } from '../lib/loadModel.ts';
import { MODEL_LAWS } from '../lib/verify/laws/models.ts';
import type { Model } from '../reference/model.ts';
import { decodedGreedily, goldenGreedy } from './goldenModels.ts';
import { expectLaw, path, RUNS } from './support.ts';

const GOLDEN = path('fixtures/golden/models');

// Node 20 has it behind a flag; the chromium specs run it without one
setFlagsFromString('--experimental-wasm-relaxed-simd');
const BUILDS: [Simd, number][] = [
  ['plain', 1],
  ['plain', 2],
  ...((await hasRelaxed())
    ? ([
        ['relaxed', 1],
        ['relaxed', 2],
      ] as [Simd, number][])
    : []),
];

describe.each(BUILDS)('wasm, %s SIMD, threads: %d', (simd, threads) => {
  let backend: Backend;
  beforeAll(async () => {
    backend = await openWasm({ simd, threads, alwaysShares: true });
  });
  afterAll(() => backend.close());
  const open = (model: Model): Promise<Executor> => loadOn(backend, model);

  it('says what runs', () => {
    const mode = simd === 'plain' ? 'SIMD' : 'relaxed SIMD';
    expect(backend.info).toMatchObject({ backend: 'wasm', mode, threads, precision: 'float32' });
  });

  for (const law of MODEL_LAWS) {
    it(law.law, () => {
      const subject = { open, precision: 'float32', arithmetic: 'ieee', isBitwise: false } as const;
      return expectLaw(law, subject, RUNS / 5);
    });
  }

  it.each(readdirSync(GOLDEN))('%s decodes to the greedy tokens of its authors', async (name) => {
    const { prompts, greedy } = await goldenGreedy(join(GOLDEN, name));
    const executor = await open((await loadModel(join(GOLDEN, name))).model);
    const decoded = await decodedGreedily(executor, prompts, greedy[0].length);
    await executor.close();
    expect(decoded).toEqual(greedy);
  });
});
