/** `selscan report` as a user meets it, from sampling to the page. */

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { path, selscan, temporaryFolder } from './support.ts';
import { elementsOf } from './svg.ts';

const folder = temporaryFolder();
const at = (name: string) => join(folder, name);
const model = (name: string) => path(`fixtures/models/${name}`);

const PNG = [0x89, 0x50, 0x4e, 0x47];
const FIGURES = ['batch', 'length', 'memory', 'samples', 'seconds'];

beforeAll(async () => {
  const ended = await selscan([
    ...[
      'scale',
      '--model',
      model('base-teacher'),
      '--model',
      model('base-pure'),
      '--run',
      at('run'),
    ],
    ...['--task', 'listops-cot:tiny', '--count', '6', '--samples', '4', '--max-tokens', '40'],
    ...['--threads', '1'],
  ]);
  expect(ended.code).toBe(0);
}, 60_000);

it('makes a page that needs nothing else, and each figure as SVG and PNG', async () => {
  const { code, out } = await selscan(['report', at('run'), '--title', 'A <b>title</b>']);
  expect(code).toBe(0);
  expect(out).toMatch(
    /^model +tokens\/s +one chain +coverage +sound chain +majority vote\nbase-teacher /,
  );
  expect(out).toMatch(/\n(coverage|majority vote): (no crossover within|base-pure is ahead of)/);
  expect(out.trimEnd().endsWith(at('run/report/report.html'))).toBe(true);
  const files = FIGURES.flatMap((name) => [`${name}.png`, `${name}.svg`]);
  expect(readdirSync(at('run/report')).sort()).toEqual([...files, 'report.html'].sort());
  for (const name of FIGURES) {
    expect([...readFileSync(at(`run/report/${name}.png`)).subarray(0, 4)]).toEqual(PNG);
  }
  const page = readFileSync(at('run/report/report.html'), 'utf8');
  expect(page).toContain('<title>A &lt;b&gt;title&lt;/b&gt;</title>');
  const elements = elementsOf(page);
  const named = (name: string) => elements.filter(({ localName }) => localName === name);
  expect(named('svg')).toHaveLength(FIGURES.length);
  expect(named('details')).toHaveLength(6);
  for (const name of ['script', 'link', 'img', 'iframe']) expect(named(name)).toEqual([]);
  expect(page).not.toMatch(/(src|href)="http/);
});

it('compares with the model that is asked for, and writes where it is told', async () => {
  const { code, out } = await selscan([
    ...['report', at('run'), '--reference', 'base-pure', '--out', at('elsewhere'), '--json'],
  ]);
  expect(code).toBe(0);
  const report = JSON.parse(out);
  expect(report.models.map(({ name }: { name: string }) => name)).toEqual([
    'base-pure',
    'base-teacher',
  ]);
  expect(report.crossings[0]).toMatchObject({ model: 'base-teacher', reference: 'base-pure' });
  expect(existsSync(at('elsewhere/report.html'))).toBe(true);
});

describe('a ledger of another tool', () => {
  const ledger = at('ledger.jsonl');
  const line = (model: string, problem: number, sample: number) =>
    JSON.stringify({
      model,
      problem,
      sample,
      answer: String(sample % 2),
      gold: '1',
      reward: sample,
    });
  beforeAll(() => {
    const lines = ['a', 'b'].flatMap((name) =>
      [0, 1, 2].flatMap((problem) => [0, 1].map((sample) => line(name, problem, sample))),
    );
    // one that was cut off, and one of a problem that the other model has not been asked
    writeFileSync(ledger, `${[...lines, line('a', 9, 0)].join('\n')}\n{"model":"a","prob`);
  });

  it('is reported without times, with what was left out', async () => {
    const { code, out } = await selscan(['report', ledger, '--out', at('other')]);
    expect(code).toBe(0);
    expect(out).toMatch(/reward-weighted vote +best by reward\na /);
    expect(readdirSync(at('other')).sort()).toEqual(['report.html', 'samples.png', 'samples.svg']);
    const page = readFileSync(at('other/report.html'), 'utf8');
    expect(page).toMatch(/1 chains of problems that not every model was asked yet are left out/);
    expect(page).toMatch(/1 last lines were cut off/);
  });
});

it.each([
  ['NotFound', ['report', at('nowhere')], /./],
  ['NoLedger', ['report', at('empty')], /expected the folder of a run, with run.json, or a ledger/],
  ['RunFile', ['report', at('damaged')], /damaged\/run.json: expected the file of a run/],
  [
    'Usage',
    ['report', at('run'), '--reference', 'x'],
    /expected one of base-teacher, base-pure, got x/,
  ],
  ['Usage', ['report'], /missing required argument 'run'/],
  ['LedgerLine', ['report', at('text'), '--out', at('x')], /text, line 1: expected a JSON object/],
  ['OtherRun', ['report', at('run'), at('second')], /expected a run of the same problems as/],
])('%s', async (code, command, message) => {
  mkdirSync(at('empty'), { recursive: true });
  mkdirSync(at('damaged'), { recursive: true });
  mkdirSync(at('second'), { recursive: true });
  writeFileSync(at('damaged/run.json'), '{"format":"x"}');
  writeFileSync(at('text'), 'hello\n');
  const manifest = JSON.parse(readFileSync(at('run/run.json'), 'utf8'));
  writeFileSync(at('second/run.json'), JSON.stringify({ ...manifest, problemsHash: '0' }));
  writeFileSync(at('second/problems.jsonl'), '{"id":0,"question":"q"}\n');
  const ended = await selscan(command);
  expect(ended).toMatchObject({ code: 2, out: '' });
  expect(ended.err).toMatch(new RegExp(`^error ${code}: `));
  expect(ended.err).toMatch(message);
  expect(existsSync(at('x'))).toBe(false);
});
