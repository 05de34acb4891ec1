/** `selscan scale` as a user meets it: killed, gone on with, out of room, and given nonsense. */

import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { type CommandResult, path, resultOf, selscan, temporaryFolder } from './support.ts';

const folder = temporaryFolder();
const at = (name: string) => join(folder, name);
const MODEL = path('fixtures/models/base-teacher');
const common = ['--task', 'listops-cot:tiny', '--count', '12', '--samples', '20', '--seed', '3'];
const limits = ['--max-tokens', '40', '--max-rows', '16', '--threads', '1', '--turn', '4'];
const args = (run: string, ...more: string[]) => [
  ...['scale', '--model', MODEL, '--run', at(run), ...common, ...limits, ...more],
];
const CHAINS = 12 * 20;

interface Line {
  problem: number;
  sample: number;
  text: string;
  correct: boolean;
  seconds: number;
}

const linesOf = (run: string): Line[] =>
  readFileSync(at(`${run}/ledger.jsonl`), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);

/** Without what a clock says, in one order. */
const contents = (lines: readonly Line[]) =>
  lines
    .map(({ seconds: _, ...rest }) => rest)
    .sort((a, b) => a.problem - b.problem || a.sample - b.sample);

const started = (of: readonly string[], prefix: readonly string[] = []) => {
  const command = [...prefix, process.execPath, '--import', 'tsx', path('lib/cli/main.ts'), ...of];
  return spawn(command[0], command.slice(1), { cwd: path('.') });
};

/** Kills a process when its ledger has so many bytes; false if it ended before. */
async function killedAt(child: ChildProcessWithoutNullStreams, ledger: string, bytes: number) {
  const ended = resultOf(child);
  let isOver = false;
  void ended.then(() => {
    isOver = true;
  });
  while (!isOver) {
    if (existsSync(ledger) && readFileSync(ledger).length >= bytes) child.kill('SIGKILL');
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  await ended;
  return child.signalCode === 'SIGKILL';
}

let whole: CommandResult;
beforeAll(async () => {
  whole = await selscan(args('whole', '--json'));
}, 60_000);

it('writes a line for every chain, judged', () => {
  expect(whole.code).toBe(0);
  const last = JSON.parse(whole.out.trimEnd().split('\n').at(-1) ?? '');
  expect(last).toMatchObject({
    model: 'base-teacher',
    phase: 'done',
    chains: CHAINS,
    judged: CHAINS,
  });
  const lines = linesOf('whole');
  expect(lines).toHaveLength(CHAINS);
  expect(lines[0]).toMatchObject({ gold: expect.any(String), model: 'base-teacher', seed: 3 });
  expect(last.right).toBe(lines.filter(({ correct }) => correct).length);
  // tiny problems are easy for the teacher
  expect(last.right / CHAINS).toBeGreaterThan(0.5);
  const times = lines.map(({ seconds }) => seconds);
  expect(times).toEqual([...times].sort((a, b) => a - b));
  const manifest = JSON.parse(readFileSync(at('whole/run.json'), 'utf8'));
  expect(manifest.models['base-teacher']).toMatchObject({ family: 'llama', kvBytesPerToken: 2048 });
  expect(readFileSync(at('whole/problems.jsonl'), 'utf8').split('\n')).toHaveLength(13);
});

it('killed again and again, it ends with the chains of an uninterrupted run', async () => {
  const ledger = at('killed/ledger.jsonl');
  const size = readFileSync(at('whole/ledger.jsonl')).length;
  let kills = 0;
  for (const share of [0.05, 0.3, 0.6, 0.9]) {
    if (await killedAt(started(args('killed')), ledger, share * size)) kills++;
  }
  expect(kills).toBeGreaterThan(1);
  // as if the last kill had been in the middle of a line
  writeFileSync(ledger, readFileSync(ledger).subarray(0, -7));
  expect(await selscan(args('killed'))).toMatchObject({ code: 0 });
  expect(contents(linesOf('killed'))).toEqual(contents(linesOf('whole')));
}, 120_000);

it('takes more samples of a run that is done, and makes none again', async () => {
  writeFileSync(at('more.txt'), '');
  const some = await selscan(args('more', '--samples', '5'));
  expect(some.code).toBe(0);
  const before = readFileSync(at('more/ledger.jsonl'), 'utf8');
  const all = await selscan(args('more'));
  expect(all.err).toMatch(/60 chains are there already/);
  expect(readFileSync(at('more/ledger.jsonl'), 'utf8').startsWith(before)).toBe(true);
  expect(contents(linesOf('more'))).toEqual(contents(linesOf('whole')));
  const nothing = await selscan(args('more'));
  expect(nothing).toMatchObject({ code: 0, out: expect.stringMatching(/240 of 240/) });
}, 60_000);

it('on a full disk it ends in one line, and goes on when there is room', async () => {
  const limited = ['bash', '-c', 'ulimit -f 24 && exec "$0" "$@"'];
  const ended = await resultOf(started(args('full'), limited));
  expect(ended.code).toBe(2);
  const last = ended.err.trimEnd().split('\n').at(-1);
  expect(last).toMatch(
    /^error DiskFull: .*ledger.jsonl: no room on the disk; every chain up to here is kept/,
  );
  expect(linesOf('full').length).toBeGreaterThan(10);
  expect(await selscan(args('full'))).toMatchObject({ code: 0 });
  expect(contents(linesOf('full'))).toEqual(contents(linesOf('whole')));
}, 60_000);

describe('problems of a file', () => {
  const gsm = [
    {
      question: 'Tom has 5 apples . Mia gives Tom 3 apples . How many apples does Tom have ?',
      answer: 'He has 5 + 3 = <<5+3=8>>8.\n#### 8',
    },
    {
      id: 'halves',
      question:
        'Tom has 4 apples . Tom gives half of the apples to Mia . How many apples does Tom have ?',
      answer: 2,
    },
  ];
  const file = at('problems.jsonl');
  beforeAll(() => writeFileSync(file, gsm.map((line) => `${JSON.stringify(line)}\n`).join('\n')));
  const of = (run: string, ...more: string[]) => [
    ...['scale', '--model', MODEL, '--run', at(run), '--problems', file, '--samples', '4'],
    ...['--max-tokens', '30', '--max-rows', '8', '--threads', '1', '--json', ...more],
  ];

  it('are asked, and judged by their own answers', async () => {
    const { code, out } = await selscan(of('file'));
    expect(code).toBe(0);
    const last = JSON.parse(out.trimEnd().split('\n').at(-1) ?? '');
    expect(last).toMatchObject({ chains: 8, judged: 8 });
    expect(last.right).toBeGreaterThan(3);
    const lines = linesOf('file');
    expect(new Set(lines.map(({ problem }) => problem))).toEqual(new Set([0, 'halves']));
  });

  it.each([
    ['OtherRun', of('whole'), /expected a run of the same problems and options, got one with/],
    ['Usage', of('x', '--task', 'addition'), /expected either --problems or --task/],
    [
      'Usage',
      of('x', '--model', MODEL),
      /expected folders of different names, got base-teacher twice/,
    ],
    [
      'Template',
      of('x', '--template', 'Q: {question} {hint}'),
      /got \{hint\}, which .*line 1 has not/,
    ],
    ['NoChatTemplate', of('chat', '--chat'), /expected a chat template/],
    ['NotFound', of('x').with(2, at('nowhere')), /expected a folder/],
    ['Config', of('x', '--samples', '0'), /^error \w+: samples: expected a whole number/],
    ['Config', of('x', '--budget-seconds', '0'), /budget.seconds: expected a number > 0/],
    ['Config', of('x', '--limit', '0'), /limit: expected a whole number ≥ 1, got 0/],
  ])('%s', async (code, command, message) => {
    const ended = await selscan(command);
    expect(ended.code).toBe(2);
    const last = ended.err.trimEnd().split('\n').at(-1);
    if (code !== 'Config') expect(last).toMatch(new RegExp(`^error ${code}: `));
    expect(last).toMatch(message);
    expect(existsSync(at('x'))).toBe(false);
  });

  it.each([
    ['no JSON', '{', /line 1: expected an object .*found no JSON/],
    ['no question', '{"answer":3}', /line 1: "question": expected a text/],
    ['another answer', '{"question":"a","answer":[3]}', /"answer": expected a text or a number/],
    [
      'an id twice',
      '{"id":1,"question":"a"}\n{"id":1,"question":"b"}',
      /line 2: expected an id of its own/,
    ],
    ['nothing', '\n\n', /expected a line \{"question": …\} for every problem, got none/],
  ])('with %s are refused, and no folder is left', async (name, text, message) => {
    const bad = at('bad.jsonl');
    writeFileSync(bad, text);
    const ended = await selscan(of(name).map((arg) => (arg === file ? bad : arg)));
    expect(ended).toMatchObject({ code: 2, out: '' });
    expect(ended.err).toMatch(message);
    expect(existsSync(at(name))).toBe(false);
  });
});

it('a model that was trained further is another model', async () => {
  const manifest = at('more/run.json');
  const text = readFileSync(manifest, 'utf8');
  writeFileSync(manifest, text.replace(/"fingerprint": "\w/, '"fingerprint": "-'));
  const ended = await selscan(args('more'));
  expect(ended).toMatchObject({ code: 2 });
  expect(ended.err).toMatch(
    /error OtherModel: base-teacher: expected the model that this run has chains of/,
  );
});
