/** What the browser specs share. */

import { expect } from 'vitest';
import { loadModel } from '../../lib/loadModel.ts';
import { checkLaw } from '../../lib/verify/check.ts';
import type { LawOf } from '../../lib/verify/laws/law.ts';

const SEED = 20260101;

export async function expectLaw<Judged>(
  law: LawOf<Judged>,
  subject: Judged,
  runs: number,
): Promise<void> {
  const { ok, counterexample } = await checkLaw(law, subject, { seed: SEED, runs });
  expect(ok, JSON.stringify(counterexample)).toBe(true);
}

const FOLDER = '/fixtures/models/tinystories-260k';

/** The bundled model from the files of the development server. */
export async function tinyStories() {
  const names = ['config.json', 'model.safetensors', 'tokenizer.json'];
  const files = await Promise.all(
    names.map(async (name) => [name, await (await fetch(`${FOLDER}/${name}`)).blob()] as const),
  );
  return loadModel(Object.fromEntries(files));
}
