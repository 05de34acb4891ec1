/** Ledgers: what is read, and what is refused and how. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseLine } from '../lib/reasoning/chain.ts';
import { parseLedger } from '../lib/reasoning/ledger.ts';
import { readLedger } from '../lib/reasoning/readLedger.ts';
import { refusal } from './ledgers.ts';
import { RUNS, SEED, temporaryFolder } from './support.ts';

const folder = temporaryFolder();
const line = (fields: object) => JSON.stringify({ problem: 0, sample: 0, answer: '1', ...fields });

function fileOf(name: string, text: string | Uint8Array): string {
  const file = join(folder, name);
  writeFileSync(file, text);
  return file;
}

describe('a line', () => {
  it('keeps every field of a chain, and those that we do not know', () => {
    const fields = {
      ...{ problem: 'p', sample: 3, text: 't', answer: null, gold: '2', correct: false },
      ...{ reward: -0.5, stepRewards: [0.25], tokens: 7, seconds: 1.5, finishReason: 'stop' },
      ...{ model: 'm', seed: 4 },
    };
    const read = parseLine(JSON.stringify({ ...fields, extra: [1] }), 'f, line 1');
    expect(read.chain).toEqual(fields);
    expect(read.fields).toEqual({ ...fields, extra: [1] });
  });

  it('may have numbers for answers, 0 and 1 for correct, and null for what is not known', () => {
    const { chain } = parseLine(
      line({
        answer: 12,
        gold: 0.5,
        correct: 1,
        reward: null,
        text: null,
        model: null,
        seed: null,
      }),
      'f',
    );
    expect(chain).toEqual({ problem: 0, sample: 0, answer: '12', gold: '0.5', correct: true });
  });

  it.each([
    ['{"problem":0,', 'LedgerLine: f: expected a JSON object, got "{\\"problem\\":0,"'],
    ['[1]', 'LedgerLine: f: expected a JSON object, got [1]'],
    ['null', 'LedgerLine: f: expected a JSON object, got null'],
    ['{"sample":0}', 'LedgerLine: f: "problem": expected a text or a number, got none'],
    [line({ problem: [1] }), 'LedgerLine: f: "problem": expected a text or a number, got [1]'],
    ['{"problem":0}', 'LedgerLine: f: "sample": expected a whole number ≥ 0, got none'],
    [line({ sample: -1 }), 'LedgerLine: f: "sample": expected a whole number ≥ 0, got -1'],
    [line({ sample: 0.5 }), 'LedgerLine: f: "sample": expected a whole number ≥ 0, got 0.5'],
    ['{"problem":0,"sample":0}', 'LedgerLine: f: expected "text" or "answer", got neither'],
    [line({ answer: {} }), 'LedgerLine: f: "answer": expected a text or null, got {}'],
    [line({ text: 5 }), 'LedgerLine: f: "text": expected a text, got 5'],
    [line({ correct: 'yes' }), 'LedgerLine: f: "correct": expected true or false, got "yes"'],
    [line({ stepRewards: 1 }), 'LedgerLine: f: "stepRewards": expected numbers, got 1'],
    [line({ seconds: -1 }), 'LedgerLine: f: "seconds": expected a number ≥ 0, got -1'],
    [
      '{"problem":0,"sample":0,"answer":"1","reward":NaN}',
      'LedgerReward: f: "reward": expected finite numbers, got NaN; score the chain again, or leave the field out',
    ],
    [
      '{"problem":0,"sample":0,"answer":"1","reward":1e999}',
      'LedgerReward: f: "reward": expected finite numbers, got Infinity; score the chain again, or leave the field out',
    ],
    [
      line({ reward: 'NaN' }),
      'LedgerReward: f: "reward": expected finite numbers, got "NaN"; score the chain again, or leave the field out',
    ],
    [
      '{"problem":0,"sample":0,"answer":"1","stepRewards":[0.5,-Infinity]}',
      'LedgerReward: f: "stepRewards": expected finite numbers, got Infinity; score the chain again, or leave the field out',
    ],
  ])('%s is refused in exact words', (text, message) => {
    expect(refusal(() => parseLine(text, 'f'))).toBe(message);
  });

  it('of any kind is read or refused, never a crash, and a message never longer than a line', () => {
    const any = fc.oneof(
      fc.json(),
      fc.string(),
      fc.json().map((json) => `{"problem":${json}}`),
    );
    fc.assert(
      fc.property(any, (text) => {
        expect(refusal(() => parseLine(text, 'f')).length).toBeLessThan(200);
      }),
      { seed: SEED, numRuns: RUNS },
    );
    const deep = `{"problem":0,"sample":0,"answer":${'['.repeat(1e5)}`;
    expect(refusal(() => parseLine(deep, 'f'))).toMatch(/^LedgerLine: f: expected a JSON object/);
  });

  it('with keys of prototypes has those fields and no others', () => {
    const text = '{"problem":"__proto__","sample":0,"answer":"toString","__proto__":{"gold":"1"}}';
    expect(parseLine(text, 'f').chain).toEqual({
      ...{ problem: '__proto__', sample: 0, answer: 'toString' },
    });
  });
});

describe('a file', () => {
  it('is read line by line, empty ones skipped, whatever ends them', async () => {
    const text = `\ufeff${line({})}\r\n\n  \n${line({ sample: 1, text: 'ä\u2028€' })}`;
    const { chains, torn, duplicates } = await readLedger(fileOf('lines.jsonl', text));
    expect(chains.map(({ sample }) => sample)).toEqual([0, 1]);
    expect(chains[1].text).toBe('ä\u2028€');
    expect([torn, duplicates]).toEqual([0, 0]);
  });

  it('may end in a line that a crash has cut off at any byte', async () => {
    const whole = `${line({})}\n`;
    const last = Buffer.from(line({ sample: 1, text: 'größer' }));
    for (let length = 1; length < last.length; length++) {
      const bytes = Buffer.concat([Buffer.from(whole), last.subarray(0, length)]);
      const { chains, torn } = await readLedger(fileOf('torn.jsonl', bytes));
      expect([chains.length, torn]).toEqual([1, 1]);
    }
    const { chains, torn } = await readLedger(fileOf('whole.jsonl', `${whole}${last}`));
    expect([chains.length, torn]).toEqual([2, 0]);
  });

  it('is refused by line where something is cut off before the end', async () => {
    const file = fileOf('middle.jsonl', `${line({})}\n{"problem":\n${line({ sample: 1 })}\n`);
    await expect(readLedger(file)).rejects.toThrow(
      `${file}, line 2: expected a JSON object, got "{\\"problem\\":"`,
    );
  });

  it('with nothing in it is refused, and one that is not there', async () => {
    const empty = readLedger(fileOf('empty.jsonl', '\n'));
    await expect(empty).rejects.toMatchObject({ code: 'LedgerEmpty' });
    await expect(readLedger(join(folder, 'none'))).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('of search-and-learn has a chain for every completion, and its last step is the reward', async () => {
    const problem = {
      ...{ problem: 'What?', unique_id: 'x/1', answer: '4', model: 'm' },
      ...{ completions: ['a 4', 'b 5'], preds: ['4', ''], scores: [[0.5, 0.25], [0.75]] },
    };
    const { chains } = await readLedger(fileOf('theirs.jsonl', JSON.stringify(problem)));
    const both = { problem: 'x/1', gold: '4', model: 'm' };
    expect(chains).toEqual([
      { ...both, sample: 0, text: 'a 4', answer: '4', stepRewards: [0.5, 0.25], reward: 0.25 },
      { ...both, sample: 1, text: 'b 5', answer: null, stepRewards: [0.75], reward: 0.75 },
    ]);
    const short = fileOf('short.jsonl', JSON.stringify({ ...problem, scores: [1] }));
    await expect(readLedger(short)).rejects.toThrow(
      'line 1: "scores": expected one for each of 2 completions, got 1',
    );
  });
});

const parse = (...lines: string[]) => parseLedger([{ name: 'f', lines, isOpen: false }]);

describe('lines about the same chain', () => {
  it('count once when they say the same, whenever it was finished and in whatever order of fields', () => {
    const again = '{"seconds":2,"answer":"1","sample":0,"problem":0}';
    const ledger = parse(line({ seconds: 1 }), again, line({ sample: 1 }));
    expect(ledger).toMatchObject({ duplicates: 1, torn: 0 });
    expect(ledger.chains).toHaveLength(2);
    expect(ledger.lines).toHaveLength(3);
  });

  it('are refused when they say different things', () => {
    expect(refusal(() => parse(line({ model: 'm' }), line({ model: 'm', answer: '2' })))).toBe(
      'LedgerConflict: f, line 2: expected what f, line 1 says of problem 0, sample 0 of model "m", got something else; ' +
        'give runs that are to be counted apart another "model" or other "sample" numbers',
    );
    expect(refusal(() => parse(line({}), line({ reward: 1 })))).toMatch(/^LedgerConflict/);
  });

  it('are about several chains when the model, or the kind of name, is another', () => {
    const { chains } = parse(
      line({}),
      line({ model: 'a' }),
      line({ model: 'b' }),
      line({ problem: '0' }),
    );
    expect(chains).toHaveLength(4);
  });
});
