/** Laws of decoding many chains, on random models of every kind of layer. */

import { afterAll, describe, it } from 'vitest';
import { openWasm } from '../backends/wasm/index.ts';
import { loadOn } from '../lib/backend.ts';
import { referenceExecutor } from '../lib/decode/referenceExecutor.ts';
import { plainExecutor } from '../lib/plan/index.ts';
import { ENGINE_LAWS, type EngineSubject } from '../lib/verify/laws/engine.ts';
import { expectLaw } from './support.ts';

/** Inputs of each law, and of those that are 500 events long. */
const RUNS = 12 * Number(process.env.SELSCAN_RUNS ?? 1);
const LONG_RUNS = RUNS / 4;

const reference = { open: referenceExecutor, isStepwise: true };
const wasm = await Promise.all([1, 2].map((threads) => openWasm({ threads, alwaysShares: true })));
afterAll(() => Promise.all(wasm.map((backend) => backend.close())));

const SUBJECTS: Record<string, EngineSubject> = {
  'the reference in float64': { ...reference, precision: 'float64' },
  'the reference in float32': { ...reference, precision: 'float32' },
  'the plan': { open: plainExecutor, precision: 'float64', isStepwise: true },
  ...Object.fromEntries(
    wasm.map((backend) => [
      `wasm, threads: ${backend.info.threads}`,
      { open: (model) => loadOn(backend, model), precision: 'float32', isStepwise: true },
    ]),
  ),
};

describe.each(Object.keys(SUBJECTS))('%s', (name) => {
  for (const law of ENGINE_LAWS) {
    const runs = law.law.startsWith('500 events') ? LONG_RUNS : RUNS;
    it(law.law, () => expectLaw(law, SUBJECTS[name], runs));
  }
});
