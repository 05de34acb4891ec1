/** The demo models: small enough to ship, whole, and as able as their cards say, up to chance. */

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadModel } from '../lib/loadModel.ts';
import { evaluate } from '../lib/train/evaluate.ts';
import { path } from './support.ts';

const MODELS = {
  'listops-teacher': 'attention attention attention attention',
  'listops-pure': 'discreteMamba2 discreteMamba2 discreteMamba2 discreteMamba2',
  'listops-hybrid': 'mambaInLlama2 mambaInLlama2 mambaInLlama2 attention',
};

describe.each(Object.entries(MODELS))('%s', (name, mixers) => {
  const folder = path('fixtures/models', name);

  it('is under 8 MB and has a card with recipe, training time and accuracy', () => {
    const sizes = readdirSync(folder).map((file) => statSync(join(folder, file)).size);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(8e6);
    const card = readFileSync(join(folder, 'README.md'), 'utf8');
    expect(card).toMatch(/"seed": \d/);
    expect(card).toMatch(/Training took \d+ (s|min)/);
    expect(card).toMatch(/of 300 unseen problems [\d.]+ % \(± [\d.]+\)/);
  });

  it('solves about as many problems as its card says', async () => {
    const model = await loadModel(folder, { precision: 'float32' });
    expect(model.config.layers.map(({ mixer }) => mixer.kind).join(' ')).toBe(mixers);
    const card = readFileSync(join(folder, 'README.md'), 'utf8');
    const claimed = Number(/problems ([\d.]+) %/.exec(card)?.[1]) / 100;
    const { greedy, problems } = await evaluate(model, {
      ...{ tasks: ['listops-cot:small'], problems: 100, samples: 1 },
      ...{ maxTokens: 96, seed: 77 }, // others than the card's
    });
    // four standard deviations of the difference of both shares
    const deviation = Math.sqrt(claimed * (1 - claimed) * (1 / problems + 1 / 300));
    expect(Math.abs(greedy - claimed)).toBeLessThan(4 * deviation);
  });
});
