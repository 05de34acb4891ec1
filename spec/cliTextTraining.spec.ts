/** selscan train on a user's own texts, with the tokenizer of a folder. */

import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { selscan, TINY_STORIES, temporaryFolder } from './support.ts';

const folder = temporaryFolder();
const at = (name: string) => join(folder, name);
const names = ['Lily', 'Tom', 'Anna', 'Max', 'Sue'];
const texts = Array.from({ length: 60 }, (_, i) =>
  JSON.stringify({ text: `Once upon a time, there was a child named ${names[i % 5]}. The end.` }),
);
writeFileSync(at('texts.jsonl'), texts.join('\n'));

const recipe = {
  ...{ data: at('texts.jsonl'), tokenizer: TINY_STORIES, seed: 1, batch: 8, seqlen: 32 },
  ...{ steps: 60, learningRate: 0.01, model: { dModel: 32, layers: 1, nHeads: 2 } },
};

function train(name: string, from: object, ...flags: string[]) {
  writeFileSync(at(`${name}.json`), JSON.stringify(from));
  const command = ['train', '--recipe', at(`${name}.json`), '--out', at(name), ...flags];
  return selscan(command);
}

describe('selscan train on texts', () => {
  it('learns them and their end, and tells what it needs for those that it was not shown', async () => {
    const made = await train('model', recipe, '--json');
    expect(made).toMatchObject({ code: 0, err: '' });
    const { result } = JSON.parse(made.out.trimEnd().split('\n').at(-1) as string);
    const curve = readFileSync(at('model.run/loss.csv'), 'utf8').trimEnd().split('\n').slice(1);
    const [first, ...more] = curve.map((line) => Number(line.split(',')[2]));
    expect(first).toBeGreaterThan(5); // ln 512 is 6.2
    expect(result.heldOut.model).toBeLessThan(1);
    // sentences of the same form: those held out are as easy as those learned
    expect(Math.abs(result.heldOut.model - (more.at(-1) as number))).toBeLessThan(0.3);
    const greedy = ['--temperature', '0', '--max-tokens', '60', '--json'];
    const told = await selscan(['generate', '--model', at('model'), '--prompt', 'Once', ...greedy]);
    const chain = JSON.parse(told.out.split('\n')[0]);
    expect(chain.text).toContain('a child named');
    expect(chain.finishReason).toBe('stop');
    expect(readFileSync(at('model/tokenizer.json'))).toEqual(
      readFileSync(join(TINY_STORIES, 'tokenizer.json')),
    );
    const card = readFileSync(at('model/README.md'), 'utf8');
    expect(card).toMatch(/Trained by selscan on texts.*Measured: on held-out texts it needs/s);
    // a run that is whole is only read: the same bytes again
    const weights = readFileSync(at('model/model.safetensors'));
    expect(await train('model', recipe, '--overwrite')).toMatchObject({ code: 0 });
    expect(readFileSync(at('model/model.safetensors'))).toEqual(weights);
  });

  it('interrupted again and again, says what is left, and ends with the bytes of a whole run', async () => {
    const long = { ...recipe, steps: 400 };
    expect(await train('whole', long)).toMatchObject({ code: 0 });
    writeFileSync(at('parts.json'), JSON.stringify(long));
    const command = ['train', '--recipe', at('parts.json'), '--out', at('parts')];
    const steps: number[] = [];
    for (let wait = 300; ; wait += 300) {
      const { code, err } = await selscan(command, AbortSignal.timeout(wait));
      const { estimate } = JSON.parse(
        (await selscan([...command, '--dry-run', '--json', '--overwrite'])).out,
      );
      steps.push(estimate.stages[0].done);
      if (code === 0) break;
      expect(code).toBe(130);
      expect(err).toMatch(/stopped after step \d+ of 400; the same command goes on from there\n$/);
    }
    expect(steps.length).toBeGreaterThan(2);
    expect(steps).toEqual([...steps].sort((a, b) => a - b));
    expect(steps.at(-1)).toBe(400);
    const [parts, whole] = ['parts', 'whole'].map((name) =>
      readFileSync(at(`${name}/model.safetensors`)),
    );
    expect(parts).toEqual(whole);
  });

  it('takes a folder that has a tokenizer.json and nothing else', async () => {
    mkdirSync(at('bare'));
    copyFileSync(join(TINY_STORIES, 'tokenizer.json'), at('bare/tokenizer.json'));
    const made = await train('plain', { ...recipe, tokenizer: at('bare'), steps: 1 });
    expect(made).toMatchObject({ code: 0 });
    const config = JSON.parse(readFileSync(at('plain/config.json'), 'utf8'));
    expect(config).toMatchObject({ vocab_size: 512, bos_token_id: 1 });
  });

  it.each([
    ['a tokenizer without texts', { tasks: ['addition'], data: undefined }, /Recipe: .*together/],
    [
      'texts without a tokenizer',
      { tokenizer: undefined },
      /Recipe: .*data and tokenizer together/,
    ],
    ['both tasks and texts', { tasks: ['addition'] }, /Recipe: .*either tasks or data/],
    ['a folder without one', { tokenizer: folder }, /NoTokenizer: tokenizer: expected a folder/],
    ['a file that is not there', { data: at('none.jsonl') }, /NotFound: /],
    ['a folder that is not there', { tokenizer: at('none') }, /NotFound: /],
  ])('refuses %s in one line', async (_, wrong, message) => {
    const refused = await train('refused', { ...recipe, ...wrong });
    expect(refused).toMatchObject({ code: 2, out: '' });
    expect(refused.err).toMatch(message);
    expect(refused.err.split('\n')).toHaveLength(2);
  });
});
