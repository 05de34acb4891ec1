/** What reward and judge read: recipes and chains, each refused by name where it is wrong. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readChains } from '../lib/cli/chainLines.ts';
import { readRewardRecipe } from '../lib/train/recipe.ts';
import { path, temporaryFolder } from './support.ts';

const file = join(temporaryFolder(), 'file');
const write = (text: string) => {
  writeFileSync(file, text);
  return file;
};

describe('a recipe', () => {
  const recipe = {
    ...{ tasks: ['listops-cot:tiny'], seed: 1, batch: 8, seqlen: 64, steps: 4 },
    ...{ problems: 70, samples: 2, learningRate: 0.001 },
  };
  const readOf = (more: object) => readRewardRecipe(write(JSON.stringify({ ...recipe, ...more })));

  it('is read as it stands, the one that ships too', async () => {
    const full = { temperature: 0.7, shape: 'cosine', clip: 2 };
    expect(await readOf(full)).toEqual({ ...recipe, ...full });
    const shipped = await readRewardRecipe(path('fixtures/recipes/base-reward.json'));
    expect(shipped.problems * shipped.samples).toBeGreaterThan(1000);
  });

  it.each([
    ['a key that nobody knows', { sample: 3 }, /got sample$/],
    ['a key that is missing', { problems: undefined }, /expected problems, found none$/],
    ['no samples', { samples: 0 }, /samples: expected a whole number ≥ 1, got 0/],
    ['half a problem', { problems: 0.5 }, /problems: expected a whole number ≥ 1, got 0.5/],
    ['no heat', { temperature: 0 }, /temperature: expected a number above 0, got 0/],
    ['heat as a text', { temperature: '1' }, /temperature: expected a number above 0, got "1"/],
    ['one task as a text', { tasks: 'sums' }, /tasks: expected a list of names/],
  ])('is refused for %s', async (_, more, message) => {
    await expect(readOf(more)).rejects.toMatchObject({ code: 'Recipe' });
    await expect(readOf(more)).rejects.toThrow(message);
  });
});

describe('lines of chains', () => {
  it('are texts or tokens, of prompts that are texts, tokens or numbers', async () => {
    const lines = [
      '{"prompt":"a","text":"b"}',
      '',
      '{"prompt":[1,2],"tokens":[3],"text":"c","sample":4}',
      '{"prompt":1,"text":"d","finishReason":"length"}',
      '{"summary":{"prompts":1}}',
    ];
    expect(await readChains(write(lines.join('\r\n')), ['x', 'y'])).toEqual([
      { prompt: 'a', text: 'b', place: {} },
      { prompt: [1, 2], tokens: [3], place: { sample: 4 } },
      { prompt: 'y', text: 'd', finishReason: 'length', place: { prompt: 1 } },
    ]);
  });

  it.each([
    ['no JSON', '{"prompt":', /line 1: expected a JSON object, found none/],
    ['no object', '[1]', /line 1: expected a JSON object \{"prompt"/],
    ['null', 'null', /line 1: expected a JSON object \{"prompt"/],
    ['no prompt', '\n{"text":"# 2"}', /line 2: expected "prompt"/],
    ['a conversation', '{"prompt":1,"text":"# 2"}', /line 1: expected "prompt"/],
    ['a number beyond the prompts', '{"prompt":2,"text":"# 2"}', /line of --prompts, got 2/],
    ['no whole number', '{"prompt":0.5,"text":"# 2"}', /line of --prompts, got 0.5/],
    ['no chain', '{"prompt":"[MAX 1 2 ]"}', /line 1: expected "text"/],
    ['tokens that are none', '{"prompt":"1","tokens":["a"],"text":"1"}', /line 1: expected "text"/],
    ['nothing', '\n', /expected a line \{"prompt": …, "text": …\} for every chain, got none/],
  ])('are refused for %s', async (_, text, message) => {
    const read = readChains(write(text), ['x', { messages: [] }]);
    await expect(read).rejects.toMatchObject({ code: 'ChainsFile' });
    await expect(read).rejects.toThrow(message);
  });
});
