/** Laws of decoding many chains, on random models of every kind of layer. */

import { describe, it } from 'vitest';
import { referenceExecutor } from '../lib/decode/referenceExecutor.ts';
import { plainExecutor } from '../lib/plan/index.ts';
import { ENGINE_LAWS, type EngineSubject } from '../lib/verify/laws/engine.ts';
import { expectLaw } from './support.ts';

/** Inputs of each law, and of those that are 500 events long. */
const RUNS = 12 * Number(process.env.SELSCAN_RUNS ?? 1);
const LONG_RUNS = RUNS / 4;

const SUBJECTS: Record<string, EngineSubject> = {
  'the reference in float64': { open: referenceExecutor, precision: 'float64', isStepwise: true },
  'the reference in float32': { open: referenceExecutor, precision: 'float32', isStepwise: true },
  'the plan': { open: plainExecutor, precision: 'float64', isStepwise: true },
};

describe.each(Object.keys(SUBJECTS))('%s', (name) => {
  for (const law of ENGINE_LAWS) {
    const runs = law.law.startsWith('500 events') ? LONG_RUNS : RUNS;
    it(law.law, () => expectLaw(law, SUBJECTS[name], runs));
  }
});
