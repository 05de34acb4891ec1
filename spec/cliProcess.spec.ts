/** The command line as a process: its exit codes, its two streams, Ctrl-C, and readers that go away. */

import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { path, resultOf, selscanProcess, TINY_STORIES, temporaryFolder } from './support.ts';

const folder = temporaryFolder();
const wrong = join(folder, 'wrong.mjs');
writeFileSync(
  wrong,
  'export const silu = ({ x }) => ({ y: { data: x.data.map(() => 0), shape: x.shape } });',
);
const generate = ['generate', '--model', TINY_STORIES, '--prompt', 'Once upon a time'];

it.each([
  [0, ['--version'], /^\d+\.\d+\.\d+\n$/, /^$/],
  [1, ['verify', '--kernel', wrong, '--runs', '5'], /silu/, /^$/],
  [2, ['generate'], /^$/, /^error Usage: [^\n]*--model[^\n]*\n$/],
  [2, ['generate', '--model', folder, '--prompt', 'x'], /^$/, /^error \w+: [^\n]*\n$/],
  [2, ['agregate'], /^$/, /^error Usage: [^\n]*aggregate[^\n]*\n$/],
] as const)('exits with %i after %j', async (code, args, out, err) => {
  const result = await selscanProcess(args);
  expect(result).toMatchObject({ code });
  expect(result.out).toMatch(out);
  expect(result.err).toMatch(err);
});

it('writes results to one stream and progress to the other', async () => {
  const result = await selscanProcess([...generate, '--max-tokens', '4', '--json']);
  expect(result).toMatchObject({ code: 0, err: '' });
  for (const line of result.out.trimEnd().split('\n'))
    expect(JSON.parse(line)).toBeTypeOf('object');
});

const started = (args: readonly string[]) =>
  spawn(process.execPath, ['--import', 'tsx', path('lib/cli/main.ts'), ...args], {
    cwd: path('.'),
  });

it('ends by itself when interrupted, with what there is', async () => {
  const child = started([...generate, '--samples', '64', '--max-tokens', '500', '--max-rows', '1']);
  child.stdout.once('data', () => child.kill('SIGINT'));
  expect(await resultOf(child)).toMatchObject({ code: 130 });
});

it('ends without a word when its reader has gone', async () => {
  const child = started([...generate, '--samples', '64', '--max-rows', '1', '--json']);
  child.stdout.once('data', () => child.stdout.destroy());
  expect(await resultOf(child)).toMatchObject({ code: 0, err: '' });
});
