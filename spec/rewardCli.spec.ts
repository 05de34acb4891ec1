/** reward and judge, as a user runs them. */

import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { path, selscan, TINY_STORIES, temporaryFolder } from './support.ts';

const folder = temporaryFolder();
const at = (name: string) => join(folder, name);
const write = (name: string, value: unknown) => {
  writeFileSync(at(name), typeof value === 'string' ? value : JSON.stringify(value));
  return at(name);
};
const read = (...name: string[]) => readFileSync(join(folder, ...name), 'utf8');
const linesOf = (out: string) =>
  out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));

const teacher = path('fixtures/models/base-teacher');
const recipe = {
  ...{ tasks: ['listops-cot:tiny'], seed: 1, batch: 8, seqlen: 64, steps: 4 },
  ...{ problems: 70, samples: 2, learningRate: 0.001 },
};
const train = (out: string, of: unknown, ...more: string[]) =>
  selscan([
    ...['reward', '--model', teacher, '--recipe', write(`${out}.json`, of), '--out', at(out)],
    ...['--evaluate', '6', '--samples', '4', ...more],
  ]);

describe('selscan reward', () => {
  beforeAll(async () => {
    const made = await train('reward', recipe);
    expect(made).toMatchObject({ code: 0 });
    expect(made.err).toMatch(/draw: 70 of 70 problems/);
    expect(made.err).toMatch(/reward: step 4 of 4, loss 0\.\d/);
    expect(made.out).toMatch(
      /^\S+ written after \d+ s of training\nlearned from 140 chains, of whose .* % are right.*\non 4 chains of each of 6 unseen problems: outcomes: .*\nends of steps: .*\nsolved by one chain .* by any [\d.]+ %\n$/,
    );
  });

  it('writes a folder with its measures on its card', async () => {
    const card = read('reward', 'README.md');
    expect(card).toContain('# A reward model of listops-cot:tiny');
    expect(card).toMatch(/Measured: on 4 chains of each of 6 unseen problems/);
    expect(read('reward.run', 'loss.csv').split('\n')).toHaveLength(6);
    const inspected = await selscan(['inspect', '--load', at('reward')]);
    expect(inspected.out).toContain('llama, a reward model');
  });

  it('goes on from half of the chains and from none of the training, to the same bytes', async () => {
    const [origin, ...chains] = read('reward.run', 'chains.jsonl').split('\n');
    mkdirSync(at('again.run'));
    write('again.run/chains.jsonl', `${[origin, ...chains.slice(0, 64)].join('\n')}\n`);
    const again = await train('again', recipe, '--json');
    expect(again).toMatchObject({ code: 0, err: '' });
    const [draw, ...others] = linesOf(again.out);
    expect(draw.progress).toMatchObject({ stage: 'draw', problem: 70, problems: 70 });
    expect(others.at(-1).result).toMatchObject({ problems: 6, samples: 4, chains: 140 });
    const bytes = (name: string) => readFileSync(join(at(name), 'model.safetensors'));
    expect(bytes('again').equals(bytes('reward'))).toBe(true);
    expect(read('again.run', 'chains.jsonl')).toBe(read('reward.run', 'chains.jsonl'));
  });

  it('makes a judge of one model from the chains of another, a student too', async () => {
    const pure = path('fixtures/models/base-pure');
    const command = (name: string, from: string) => [
      ...['reward', '--model', pure, '--out', at(name), '--evaluate', '0'],
      ...['--recipe', write(`${name}.json`, { ...recipe, problems: 4, steps: 1, from })],
    ];
    expect(await selscan(command('from', teacher))).toMatchObject({ code: 0 });
    const inspected = await selscan(['inspect', '--load', at('from')]);
    expect(inspected.out).toContain('llama, a reward model');
    const foreign = await selscan(command('foreign', TINY_STORIES));
    expect(foreign).toMatchObject({ code: 2, out: '' });
    expect(foreign.err).toMatch(/^error Unsupported: from: expected a model of the 82 tokens/);
    const other = await selscan([
      ...command('from', path('fixtures/models/long-teacher')),
      '--overwrite',
    ]);
    expect(other.err).toMatch(/^error OtherRun: /);
  });

  it('refuses the run of another recipe in one line', async () => {
    cpSync(at('reward.run'), at('other.run'), { recursive: true });
    const refused = await train('other', { ...recipe, samples: 3 });
    expect(refused).toMatchObject({ code: 2, out: '' });
    expect(refused.err).toMatch(/^error OtherRun: .*delete it\n$/);
  });

  it.each([
    [
      'a student',
      path('fixtures/models/base-pure'),
      /UnsupportedModel: .*layers of attention only/,
    ],
    ['a model of other words', TINY_STORIES, /Unsupported: teacher: expected a model of the 82/],
  ])('refuses %s as a teacher in one line', async (_, model, message) => {
    const command = ['reward', '--model', model, '--recipe', write('r.json', recipe)];
    const refused = await selscan([...command, '--out', at('refused')]);
    expect(refused).toMatchObject({ code: 2, out: '' });
    expect(refused.err).toMatch(message);
    expect(refused.err.split('\n')).toHaveLength(2);
  });

  it('is no model for generate', async () => {
    const refused = await selscan(['generate', '--model', at('reward'), '--prompt', '[MAX 1 2 ]']);
    expect(refused).toMatchObject({ code: 2, out: '' });
    expect(refused.err).toMatch(/^error UnsupportedModel: config.json: .*selscan judge does.*\n$/);
  });
});

describe('selscan judge', () => {
  const judge = (chains: string, ...more: string[]) =>
    selscan(['judge', '--reward', at('reward'), '--chains', chains, ...more]);

  it('gives the chains of a run their rewards, and the votes use them', async () => {
    const sampled = await selscan([
      ...['scale', '--model', teacher, '--run', at('scaled'), '--task', 'listops-cot:tiny'],
      ...['--count', '3', '--samples', '4', '--max-tokens', '40', '--max-rows', '8'],
    ]);
    expect(sampled).toMatchObject({ code: 0 });
    const judged = await selscan(['judge', '--reward', at('reward'), '--run', at('scaled')]);
    expect(judged).toMatchObject({ code: 0, out: `${at('scaled/judged.jsonl')}\n`, err: '' });
    const before = linesOf(read('scaled', 'ledger.jsonl'));
    const after = linesOf(read('scaled', 'judged.jsonl'));
    expect(after.map(({ reward: _, stepRewards: __, ...rest }) => rest)).toEqual(before);
    for (const { reward, stepRewards, text } of after) {
      expect(reward).toBeGreaterThan(0);
      expect(reward).toBeLessThan(1);
      expect(stepRewards).toHaveLength(text.split(';').length);
      expect(stepRewards.at(-1)).toBe(reward);
    }
    const { out } = await selscan(['aggregate', at('scaled/judged.jsonl'), '--json']);
    const { weighted } = JSON.parse(out);
    expect(weighted).toMatchObject({ 4: expect.any(Number) });
    // a report finds them by itself
    const reported = await selscan(['report', at('scaled'), '--json']);
    const [{ curves, aggregate }] = JSON.parse(reported.out).models;
    expect(curves.weighted).toHaveLength(3);
    expect(aggregate.weighted).toEqual(weighted);
    // and says of how many chains there are none
    const more = `${read('scaled', 'ledger.jsonl')}${JSON.stringify({ ...before[0], sample: 9 })}\n`;
    write('scaled/ledger.jsonl', more);
    const part = JSON.parse((await selscan(['report', at('scaled'), '--json'])).out).models[0];
    expect(part.curves).not.toHaveProperty('weighted');
    expect(part.aggregate.notes.join()).toMatch(/1 of 13 have none/);
  });

  it('takes either chains or a run', async () => {
    const neither = await selscan(['judge', '--reward', at('reward')]);
    expect(neither).toMatchObject({ code: 2, out: '' });
    expect(neither.err).toBe('error Usage: chains: expected either --chains or --run\n');
  });

  it('scores what generate has written, by the numbers of its prompts', async () => {
    const prompts = write(
      'prompts.jsonl',
      '{"prompt":"[MAX 1 2 ]"}\n{"prompt":"[MIN 3 [MAX 4 5 ] ]"}\n',
    );
    const drawing = ['--samples', '3', '--max-tokens', '30', '--json'];
    const { out } = await selscan([
      'generate',
      '--model',
      teacher,
      '--prompts',
      prompts,
      ...drawing,
    ]);
    const chains = write('chains.jsonl', out);
    const judged = await judge(chains, '--prompts', prompts, '--json');
    expect(judged).toMatchObject({ code: 0, err: '' });
    const scores = linesOf(judged.out);
    expect(scores).toHaveLength(6);
    const written = linesOf(out).slice(0, 6);
    scores.forEach((score, i) => {
      const { prompt, sample, text, finishReason } = written[i];
      expect(score).toMatchObject({ chain: i, prompt, sample });
      expect(score.steps.at(-1)).toBe(score.outcome);
      expect(score.outcome > 0).toBe(finishReason === 'stop');
      expect(score.steps).toHaveLength(text.split(';').length);
    });
  });

  it('shows them to people, on the reference as well', async () => {
    const line = { prompt: '[MAX 1 2 ]', text: 'MAX 1 2 = 2 ; # 2' };
    const chains = write('one.jsonl', `${JSON.stringify(line)}\n\n`);
    const shown = await judge(chains);
    expect(shown.out).toMatch(/^chain +outcome +steps\n0 +(0\.\d{3}) +0\.\d{3} \1\n$/);
    expect((await judge(chains, '--backend', 'reference')).out).toBe(shown.out);
  });

  it('takes a model that writes as well', async () => {
    const chains = write('writes.jsonl', '{"prompt":"[MAX 1 2 ]","text":"MAX 1 2 = 2 ; # 2"}');
    const { out } = await selscan(['judge', '--reward', teacher, '--chains', chains, '--json']);
    const [{ outcome, steps }] = linesOf(out);
    expect(steps).toEqual([expect.any(Number), outcome]);
    expect(steps[0]).toBeGreaterThan(outcome);
    expect(outcome).toBeGreaterThan(0);
  });

  it('refuses a line that is none in one line', async () => {
    const refused = await judge(write('none.jsonl', '{"prompt":"1","text":"""}'));
    expect(refused).toMatchObject({ code: 2, out: '' });
    expect(refused.err).toMatch(/^error ChainsFile: .*line 1: expected a JSON object/);
    expect(refused.err.split('\n')).toHaveLength(2);
  });
});
