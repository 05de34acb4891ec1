/** A full disk ends a run in one line, costs nothing that was saved, and the run goes on when there is room again. */

import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { plain } from '../lib/distil/stages.ts';
import { VOCABULARY } from '../lib/tasks/vocabulary.ts';
import { openTraining } from '../lib/train/device.ts';
import { train } from '../lib/train/loop.ts';
import { readTrainRecipe, type TrainRecipe } from '../lib/train/recipe.ts';
import { taskBatches } from '../lib/train/taskData.ts';
import { initialWeights, teacherConfig } from '../lib/train/teacher.ts';
import { type CommandResult, path, resultOf, selscan, temporaryFolder } from './support.ts';

const folder = temporaryFolder();
const at = (name: string) => join(folder, name);
const recipe = (steps: number) => ({
  ...{ tasks: ['listops-cot:tiny'], seed: 1, batch: 4, seqlen: 52, steps, learningRate: 0.003 },
  model: { dModel: 32, layers: 2, nHeads: 2 },
});
const command = (out: string, run: string) => [
  ...['train', '--recipe', at('recipe.json'), '--out', out, '--run', run, '--evaluate', '0'],
];
const bytesOf = (out: string) => readFileSync(join(out, 'model.safetensors'));

/** The command with files of at most so many kilobytes: a disk that fills up, for whoever may not mount one. */
function limited(kilobytes: number, args: readonly string[]): Promise<CommandResult> {
  const script = `ulimit -f ${kilobytes} && exec "$0" "$@"`;
  const all = ['--import', 'tsx', path('lib/cli/main.ts'), ...args];
  return resultOf(spawn('bash', ['-c', script, process.execPath, ...all], { cwd: path('.') }));
}

/** One line behind what a run has told of its progress. */
function expectDiskFull({ code, out, err }: CommandResult, words: RegExp): void {
  expect({ code, out }).toEqual({ code: 2, out: '' });
  const lines = err.trimEnd().split('\n');
  expect(lines.at(-1)).toMatch(words);
  expect(lines.filter((line) => line.startsWith('error'))).toHaveLength(1);
}

beforeAll(async () => {
  writeFileSync(at('recipe.json'), JSON.stringify(recipe(8)));
  expect(await selscan(command(at('whole'), at('whole.run')))).toMatchObject({ code: 0 });
});

describe('a disk that fills up', () => {
  it('while a run is saved: nothing half written is left, and the run begins again when there is room', async () => {
    const ended = await limited(100, command(at('a'), at('a.run')));
    expectDiskFull(
      ended,
      /^error DiskFull: .*a\.run: expected room for \d+ bytes of step 8, found/,
    );
    expect(readdirSync(at('a.run'))).toEqual([]);
    expect(existsSync(at('a'))).toBe(false);
    expect(await selscan(command(at('a'), at('a.run')))).toMatchObject({ code: 0 });
    expect(bytesOf(at('a'))).toEqual(bytesOf(at('whole')));
  });
});

/** What a mount needs: to be root, and a kernel that lets root do it. */
function mount(place: string, bytes: number): boolean {
  mkdirSync(place);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', place], {
      stdio: 'pipe',
    });
    return true;
  } catch {
    return false;
  }
}
const unmount = (place: string) => execFileSync('umount', [place]);

const place = at('disk');
const isMounted = mount(place, 1.5e6);
const isExpected = (process.env.SELSCAN_EXPECT ?? '').split(',').includes('tmpfs');
afterAll(() => isMounted && unmount(place));
if (!isMounted && isExpected)
  throw new Error('SELSCAN_EXPECT names tmpfs, which cannot be mounted');

describe.skipIf(!isMounted)('a small disk (tmpfs: for root)', () => {
  it('that is full when a run ends leaves its last save, from which it goes on to the same bytes', async () => {
    const run = join(place, 'run');
    const out = join(place, 'model');
    const args = command(out, run);
    const saved = join(run, 'run.safetensors');
    await interruptedRun(3, run);
    const before = readFileSync(saved);
    writeFileSync(join(place, 'other'), new Uint8Array(1.5e6 - before.length - 60_000));
    const ended = await selscan(args);
    expectDiskFull(
      ended,
      /^error DiskFull: .*run: expected room for \d+ bytes of step 8, found less; what/,
    );
    expect(readFileSync(saved).equals(before)).toBe(true);
    expect(readdirSync(run)).toEqual(['run.safetensors']);
    expect(existsSync(out)).toBe(false);
    rmSync(join(place, 'other'));
    expect(await selscan(args)).toMatchObject({ code: 0 });
    expect(bytesOf(out)).toEqual(bytesOf(at('whole')));
  });

  it('that is full when the model is written loses nothing of the training', async () => {
    const run = at('b.run');
    const out = join(place, 'other');
    writeFileSync(join(place, 'fill'), '');
    const free = 1.5e6 - sizeOf(place);
    writeFileSync(join(place, 'fill'), new Uint8Array(free - 60_000));
    const ended = await selscan(command(out, run));
    expectDiskFull(ended, /^error DiskFull: ENOSPC/);
    expect(readdirSync(place)).not.toContain('other');
    rmSync(join(place, 'fill'));
    expect(await selscan(command(out, run))).toMatchObject({ code: 0 });
    expect(bytesOf(out)).toEqual(bytesOf(at('whole')));
  });
});

const sizeOf = (of: string) => Number(execFileSync('du', ['-sb', of]).toString().split('\t')[0]);

/** A run that is interrupted after some steps; the command line itself saves every minute. */
async function interruptedRun(count: number, run: string): Promise<void> {
  const own = await readTrainRecipe(at('recipe.json'));
  const config = teacherConfig({
    vocabSize: VOCABULARY.length,
    ...(own.model as NonNullable<TrainRecipe['model']>),
  });
  const device = await openTraining('wasm');
  const abort = new AbortController();
  await train({
    ...{ device, weights: initialWeights(config, own.seed), steps: own.steps },
    objective: plain({ config }, taskBatches({ ...own, tasks: own.tasks ?? [] })),
    ...{ schedule: own, optimiser: own, signal: abort.signal },
    saved: { folder: run, recipe: JSON.stringify(own) },
    onProgress: ({ step }) => step === count && abort.abort(),
  });
  await device.close();
}
