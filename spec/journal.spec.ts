/** A journal keeps every whole line, whatever moment its writer is killed at. */

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Journal } from '../lib/reasoning/journal.ts';
import { SEED, temporaryFolder } from './support.ts';

const folder = temporaryFolder();
let files = 0;
const fresh = () => join(folder, `${files++}.jsonl`);

async function append(path: string, values: readonly object[]): Promise<string[]> {
  const { journal, lines } = await Journal.open(path);
  try {
    for (const value of values) await journal.append([value]);
  } finally {
    await journal.close();
  }
  return lines;
}

describe('a journal', () => {
  it('has what was added, in order, and goes on', async () => {
    const path = fresh();
    expect(await append(path, [{ a: 1 }, { b: 'two\nlines \u2028 ✓' }])).toEqual([]);
    expect((await append(path, [{ c: 3 }])).map((line) => JSON.parse(line))).toEqual([
      { a: 1 },
      { b: 'two\nlines \u2028 ✓' },
    ]);
    expect(readFileSync(path, 'utf8').split('\n')).toHaveLength(4);
    expect(existsSync(`${path}.lock`)).toBe(false);
  });

  it('cut off at any byte has every line before that byte, and takes new ones behind them', async () => {
    const lines = [{ text: 'one' }, { text: 'zwei – €' }, { text: '三' }];
    const whole = Buffer.from(lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length), async (length) => {
        const path = fresh();
        writeFileSync(path, whole.subarray(0, length));
        const kept = whole.subarray(0, length).toString().split('\n').length - 1;
        const found = await append(path, [{ text: 'new' }]);
        expect(found.map((line) => JSON.parse(line))).toEqual(lines.slice(0, kept));
        const after = readFileSync(path, 'utf8').trimEnd().split('\n');
        expect(after.map((line) => JSON.parse(line))).toEqual([
          ...lines.slice(0, kept),
          { text: 'new' },
        ]);
      }),
      { seed: SEED, numRuns: 60 },
    );
  });

  it('is one process’s at a time', async () => {
    const path = fresh();
    const other = { pid: 1, host: hostname() }; // always there, and never us
    writeFileSync(`${path}.lock`, JSON.stringify(other));
    await expect(Journal.open(path)).rejects.toMatchObject({ code: 'Locked' });
    await expect(Journal.open(path)).rejects.toThrow(
      /process 1 does; wait for it, or delete .*lock/,
    );
    expect(existsSync(`${path}.lock`)).toBe(true);
  });

  it.each([
    ['a process that has ended', JSON.stringify({ pid: 2 ** 22 + 1, host: hostname() }), true],
    [
      'a machine that cannot be asked',
      JSON.stringify({ pid: 5, host: `not-${hostname()}` }),
      false,
    ],
    ['nobody that can be read', '{', false],
  ])('with the lock of %s', async (_, lock, isTaken) => {
    const path = fresh();
    writeFileSync(`${path}.lock`, lock);
    if (isTaken) expect(await append(path, [{ a: 1 }])).toEqual([]);
    else await expect(Journal.open(path)).rejects.toMatchObject({ code: 'Locked' });
  });
});
