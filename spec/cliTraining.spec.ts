/** train, distil and what their models are good for, as a user runs them. */

import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { selscan, TINY_STORIES, temporaryFolder } from './support.ts';

const folder = temporaryFolder();
const at = (name: string) => join(folder, name);
const write = (name: string, value: unknown) => {
  writeFileSync(at(name), typeof value === 'string' ? value : JSON.stringify(value));
  return at(name);
};

const common = { tasks: ['listops-cot:tiny'], seed: 1, batch: 8, seqlen: 52 };
const model = { dModel: 32, layers: 2, nHeads: 2, nKvHeads: 1 };
const teacher = { ...common, steps: 12, learningRate: 0.003, model };
const stage = (name: string) => ({ stage: name, steps: 3, learningRate: 0.002 });
const student = {
  ...{ ...common, kind: 'llamba' },
  stages: ['matrices', 'hidden', 'forward', 'sft'].map(stage),
};
const foreign = { ...teacher, model: undefined, from: TINY_STORIES };
const brief = ['--evaluate', '4', '--samples', '2'];

describe('selscan train', () => {
  beforeAll(async () => {
    const recipe = write('teacher.json', teacher);
    const made = await selscan(['train', '--recipe', recipe, '--out', at('teacher'), ...brief]);
    expect(made).toMatchObject({ code: 0 });
    expect(made.out).toMatch(/^\S+ written after \d+ s of training\nof 4 unseen problems/);
    expect(made.err).toMatch(/train: step 12 of 12, loss \d/);
  });

  it('writes a model folder that other commands take', async () => {
    const card = readFileSync(join(at('teacher'), 'README.md'), 'utf8');
    expect(card).toContain('listops-cot:tiny');
    expect(card).toMatch(/Measured: of 4 unseen problems/);
    const prompt = ['--prompt', '[MAX 1 2 ]', '--max-tokens', '3'];
    const told = await selscan(['generate', '--model', at('teacher'), ...prompt, '--json']);
    expect(told.code).toBe(0);
    expect(JSON.parse(told.out.split('\n')[0]).tokens).toHaveLength(3);
    const inspected = await selscan(['inspect', at('teacher'), '--json']);
    expect(JSON.parse(inspected.out)).toMatchObject({ ok: true, family: 'llama' });
    expect(readFileSync(at('teacher.run/loss.csv'), 'utf8').split('\n')).toHaveLength(14);
    expect(readFileSync(at('teacher.run/loss.svg'), 'utf8')).toMatch(/^<svg .*>train<.*<\/svg>\n$/);
  });

  it('trains a model further, and takes another model in that folder for another run', async () => {
    const { model: _, ...rest } = teacher;
    const further = { ...rest, steps: 2, learningRate: 1e-9, weightDecay: 0 };
    const recipe = write('further.json', { ...further, from: at('begin') });
    cpSync(at('teacher'), at('begin'), { recursive: true });
    const command = ['train', '--recipe', recipe, '--out', at('further'), '--evaluate', '0'];
    expect(await selscan(command)).toMatchObject({ code: 0 });
    const [before, after] = [at('teacher'), at('further')].map((name) =>
      readFileSync(join(name, 'model.safetensors')),
    );
    // steps of 1e-9 hardly move it, so it has begun with that model
    const numbers = (bytes: Buffer) => {
      const header = Number(bytes.readBigUInt64LE()) + 8;
      return new Float32Array(bytes.buffer.slice(bytes.byteOffset + header));
    };
    const [from, to] = [numbers(before), numbers(after)];
    expect(to).toHaveLength(from.length);
    const farthest = to.reduce((most, w, i) => Math.max(most, Math.abs(w - from[i])), 0);
    expect(farthest).toBeLessThan(1e-7);
    expect(to).not.toEqual(from);
    const other = write('other.json', { ...teacher, seed: 2, steps: 1 });
    const flags = ['--out', at('teacher2'), '--evaluate', '0'];
    expect(await selscan(['train', '--recipe', other, ...flags])).toMatchObject({ code: 0 });
    rmSync(at('begin'), { recursive: true });
    cpSync(at('teacher2'), at('begin'), { recursive: true });
    const refused = await selscan([...command, '--overwrite']);
    expect(refused.code).not.toBe(0);
    expect(refused.err).toMatch(/error OtherRun: /);
  });

  it.each([
    ['llamba', 'llamba', {}],
    ['mambaInLlama2', 'mambainllama2', { keptAttention: [1] }],
  ])('distil makes a %s student of it', async (kind, family, more) => {
    const stages = kind === 'llamba' ? student.stages : [stage('reverse')];
    const recipe = write(`${kind}.json`, { ...student, kind, ...more, stages });
    const made = await selscan([
      ...['distil', '--teacher', at('teacher'), '--recipe', recipe, '--out', at(kind)],
      ...[...brief, '--json'],
    ]);
    expect(made).toMatchObject({ code: 0, err: '' });
    const lines = made.out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines.at(-1).result).toMatchObject({ problems: 4, samples: 2 });
    expect(lines[0].estimate.stages).toHaveLength(stages.length);
    expect(lines[1].progress.steps).toBe(3);
    const drawn = readFileSync(at(`${kind}.run/loss.svg`), 'utf8');
    stages.forEach(({ stage }, i) => {
      expect(drawn).toContain(`>${i + 1} ${stage}<`);
    });
    const inspected = await selscan(['inspect', at(kind), '--json']);
    expect(JSON.parse(inspected.out)).toMatchObject({ ok: true, family });
  });

  it('distil takes a teacher that has changed for another run, and leaves what is there', async () => {
    const recipe = write('changing.json', { ...student, stages: [stage('sft')] });
    const command = (teacher: string) => [
      ...['distil', '--teacher', at(teacher), '--recipe', recipe, '--out', at('changing')],
      ...['--evaluate', '0', '--overwrite'],
    ];
    expect(await selscan(command('teacher'))).toMatchObject({ code: 0 });
    const weights = readFileSync(at('changing/model.safetensors'));
    const refused = await selscan(command('teacher2'));
    expect(refused).toMatchObject({ code: 2, out: '' });
    expect(refused.err).toMatch(/^error OtherRun: .*another folder, or delete/);
    expect(readFileSync(at('changing/model.safetensors'))).toEqual(weights);
    const left = await selscan([...command('teacher'), '--dry-run']);
    expect(left.out).toMatch(/^1 sft: 0 of 3 steps left, in about 0 s;/);
  });

  it('says what it needs before it starts, and only that in a dry run', async () => {
    const recipe = write('needs.json', teacher);
    const command = ['train', '--recipe', recipe, '--out', at('needs')];
    const told = await selscan([...command, '--dry-run']);
    expect(told).toMatchObject({ code: 0, err: '' });
    expect(told.out).toMatch(
      /^train: 12 steps in about \d+ s; 0.0\d+ M parameters, all trained; weights .+, moments .+, activations .+\nabout \d+ s of training in all, [\d.]+ MB of memory\n$/,
    );
    const json = await selscan([...command, '--dry-run', '--json']);
    const { estimate } = JSON.parse(json.out);
    expect(estimate).toMatchObject({ stages: [{ name: 'train', steps: 12 }] });
    expect(estimate.bytes).toBeGreaterThan(estimate.stages[0].weights);
    expect(estimate.seconds).toBeGreaterThan(0);
    const distilled = [
      ...['distil', '--teacher', at('teacher'), '--recipe', write('two.json', student)],
      ...['--out', at('needs'), '--dry-run'],
    ];
    const stages = (await selscan(distilled)).out.split('\n').slice(0, 4);
    expect(stages.map((line) => line.split(':')[0])).toEqual([
      ...['1 matrices', '2 hidden', '3 forward', '4 sft'],
    ]);
    expect(stages.map((line) => line.includes('teacher'))).toEqual([true, true, true, false]);
    for (const name of ['needs', 'needs.run']) expect(existsSync(at(name))).toBe(false);
  });

  it('refuses what memory has no room for, and names the largest batch that fits', async () => {
    const refuse = async (batch: number, seqlen: number) => {
      const recipe = write('large.json', { ...teacher, batch, seqlen });
      return selscan(['train', '--recipe', recipe, '--out', at('x'), '--dry-run']);
    };
    const refused = await refuse(5_000, 512);
    expect(refused).toMatchObject({ code: 2, out: '' });
    const [, largest] =
      /^error OutOfMemory: .* GB with batch 5000 and seqlen 512; take "batch": (\d+), the largest that fits\n$/.exec(
        refused.err,
      ) ?? expect.fail(refused.err);
    expect((await refuse(Number(largest) + 50, 512)).err).toMatch(/OutOfMemory/);
    const none = await refuse(1, 2 ** 21);
    expect(none.err).toMatch(/not even a batch of 1 fits: take a smaller seqlen or/);
  });

  it.each([
    ['a folder that is there', teacher, 'teacher', /FolderExists: .* or --overwrite\n$/],
    ['a key that nobody knows', { ...teacher, learningrate: 1 }, 'x', /got learningrate\n$/],
    ['neither model nor from', { ...teacher, model: undefined }, 'x', /either model, .* or from/],
    ['a model of other tokens', foreign, 'x', /from: expected a model of the 82 tokens/],
    ['a key that is missing', common, 'x', /expected steps, found none\n$/],
    ['no JSON', '{', 'x', /Recipe: .*expected JSON/],
    ['a task that there is not', { ...teacher, tasks: ['sums'] }, 'x', /task: expected one of/],
    ['a seqlen too short', { ...teacher, seqlen: 9 }, 'x', /ExampleLength: .*larger seqlen\n$/],
    ['odd heads', { ...teacher, model: { ...model, nHeads: 3 } }, 'x', /dModel: expected an even/],
  ])('refuses %s in one line, before anything is trained', async (name, recipe, out, message) => {
    const path = write(`${name}.json`, recipe);
    const refused = await selscan(['train', '--recipe', path, '--out', at(out)]);
    expect(refused).toMatchObject({ code: 2, out: '' });
    expect(refused.err).toMatch(message);
    expect(refused.err.split('\n')).toHaveLength(2);
    expect(existsSync(at('x'))).toBe(false);
  });

  it('distil refuses what no layout can hold, before anything is trained', async () => {
    const recipe = write('mixed.json', { ...student, keptAttention: [0] });
    const command = ['distil', '--teacher', at('teacher'), '--recipe', recipe, '--out', at('y')];
    const refused = await selscan(command);
    expect(refused).toMatchObject({ code: 2, out: '' });
    expect(refused.err).toMatch(/^error UnsupportedModel: /);
  });
});

describe('selscan distil on texts', () => {
  const recipe = (data: string) => ({
    ...{ data, seed: 1, batch: 4, seqlen: 24, kind: 'mambaInLlama2', keptAttention: [4] },
    stages: [stage('forward')],
  });
  const distilTo = (out: string, from: unknown) =>
    selscan([
      ...['distil', '--teacher', TINY_STORIES, '--recipe', write(`${out}.json`, from)],
      ...['--out', at(out), '--json'],
    ]);

  it('learns from what the teacher wrote, and tells how it does on what it was not shown', async () => {
    const written = ['--prompt', '', '--samples', '20', '--max-tokens', '30', '--json'];
    const { out } = await selscan(['generate', '--model', TINY_STORIES, ...written]);
    const made = await distilTo('stories', recipe(write('stories.jsonl', out)));
    expect(made).toMatchObject({ code: 0, err: '' });
    const { heldOut } = JSON.parse(made.out.trimEnd().split('\n').at(-1) as string).result;
    expect(heldOut.teacher).toBeGreaterThan(0.3);
    expect(heldOut.student).toBeGreaterThan(heldOut.teacher);
    const told = await selscan(['generate', '--model', at('stories'), '--prompt', 'Once']);
    expect(told.code).toBe(0);
  });

  it.each([
    ['too few', '{"text":"a"}', /DataFile: .*at least 20 texts/],
    ['no', 'Once upon a time', /DataFile: .*line 1: expected a JSON object/],
    ['foreign', '{"tokens":[5,512]}', /DataFile: .*line 1: expected token ids below 512, got 512/],
  ])('refuses %s texts in one line', async (name, lines, message) => {
    const refused = await distilTo('refused', recipe(write(`${name}.jsonl`, lines)));
    expect(refused).toMatchObject({ code: 2, out: '' });
    expect(refused.err).toMatch(message);
    expect(refused.err.split('\n')).toHaveLength(2);
  });

  it('refuses tasks for a teacher of another vocabulary', async () => {
    const { data: _data, ...more } = recipe('');
    const refused = await distilTo('refused', { ...more, tasks: ['listops-cot:tiny'], seqlen: 52 });
    expect(refused).toMatchObject({ code: 2, out: '' });
    expect(refused.err).toMatch(/teacher: expected a model of the 82 tokens of the tasks, got/);
  });
});
