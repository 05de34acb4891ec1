/** What `npm start` runs, in a few seconds: the bundled models asked, judged and drawn. */

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { selscan, temporaryFolder } from './support.ts';

const folder = temporaryFolder();
const out = join(folder, 'experiment');
const command = [
  'experiment',
  '--out',
  out,
  '--problems',
  '2',
  '--samples',
  '2',
  '--seconds',
  '60',
];

it('samples from all models in both settings, and ends with tables and pages', async () => {
  const { code, out: said, err } = await selscan(command);
  expect(code).toBe(0);
  for (const setting of ['base', 'long']) {
    for (const student of ['teacher', 'hybrid', 'pure']) {
      expect(said).toMatch(new RegExp(`\\n${setting}-${student} +[\\d,]+ `));
      expect(err).toMatch(new RegExp(`${setting}-${student}: 4 of 4 chains, `));
    }
    const page = join(out, setting, 'report/report.html');
    expect(said).toContain(page);
    expect(readFileSync(page, 'utf8')).toContain('Solved, by seconds per problem');
  }
  expect(said).toMatch(/(no crossover within|is ahead of)/);
  expect(err).toMatch(/base-verifier: judged 12 chains in [\d.]+ s\n/);
  expect(said).toMatch(
    /one chain +coverage +sound chain +majority vote +reward-weighted vote +best by reward\nbase-teacher/,
  );
}, 120_000);

it('does nothing again that is there already', async () => {
  const ledger = readFileSync(join(out, 'long/ledger.jsonl'), 'utf8');
  const { code, err } = await selscan(command);
  expect(code).toBe(0);
  expect(err).toMatch(/long-pure: loading; 4 chains are there already/);
  expect(err).not.toContain('judg');
  expect(readFileSync(join(out, 'long/ledger.jsonl'), 'utf8')).toBe(ledger);
}, 120_000);

it('refuses no problems, and makes nothing', async () => {
  const none = join(folder, 'none');
  const ended = await selscan(['experiment', '--out', none, '--problems', '0']);
  expect(ended).toMatchObject({ code: 2, out: '' });
  expect(ended.err).toBe('error Option: problems: expected a whole number ≥ 1, got 0\n');
  expect(existsSync(none)).toBe(false);
});
