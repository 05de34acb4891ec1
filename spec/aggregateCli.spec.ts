/** aggregate, as a user runs it. */

import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { selscan, temporaryFolder } from './support.ts';

const folder = temporaryFolder();
const at = (name: string) => join(folder, name);
const write = (name: string, lines: readonly (object | string)[]) => {
  const texts = lines.map((line) =>
    typeof line === 'string' ? line : `${JSON.stringify(line)}\n`,
  );
  writeFileSync(at(name), texts.join(''));
  return at(name);
};
const linesOf = (text: string) =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
const run = (...args: string[]) => selscan(['aggregate', ...args]);
const json = async (...args: string[]) => {
  const result = await run(...args, '--json');
  expect(result, result.err).toMatchObject({ code: 0, err: '' });
  return linesOf(result.out);
};

/** Two problems with four chains; of each answer, its reward. */
const PROBLEMS: Record<string, [answer: string | null, reward: number][]> = {
  one: [
    ['5', 0.5],
    ['7', 0.9],
    ['5', 0.25],
    [null, 1],
  ],
  two: [
    ['3', 0.75],
    ['2', 0.5],
    ['2', 0.5],
    ['3', 0.25],
  ],
};
const GOLDS: Record<string, string> = { one: '5', two: '3' };
const chains = Object.entries(PROBLEMS).flatMap(([problem, own]) =>
  own.map(([answer, reward], sample) => ({
    problem,
    sample,
    answer,
    gold: GOLDS[problem],
    reward,
  })),
);
const ledger = write('ledger.jsonl', chains);

describe('selscan aggregate', () => {
  it('prints averages over all subsets as JSON', async () => {
    const [result] = await json(ledger, '--k', '1,4', '--resamples', '10');
    expect(result).toMatchObject({
      ...{ problems: 2, chains: 8, withoutAnswer: 1, samples: [4, 4], mean: 0.5 },
      coverage: { 1: 0.5, 4: 1 },
      majority: { 1: 0.5, 4: 0.75 }, // the second problem is a tie
      weighted: { 1: 0.5, 4: 0.25 }, // 0.75 < 0.9 in the first; 1 = 1 in the second
      bestOfN: { 1: 0.5, 4: 0.5 }, // 7 in the first; 3 in the second
      allRight: { 1: 0.5, 4: 0 },
      ...{ standardErrors: {}, order: 'all', ties: 'split', seed: 0, resamples: 10 },
      ...{ notes: [], duplicates: 0, torn: 0 },
    });
    const [least, greatest] = result.intervals.majority[4];
    expect([least, greatest]).toEqual([0.5, 1]);
    expect(result).not.toHaveProperty('model');
  });

  it('takes the first k when asked, the answer seen first in ties, or another rule', async () => {
    const [first] = await json(ledger, '--order', 'first', '--k', '1,2,4');
    expect(first).toMatchObject({ ties: 'first', majority: { 1: 1, 2: 1, 4: 1 } });
    expect(first).toMatchObject({ coverage: { 1: 1 }, bestOfN: { 1: 1, 2: 0.5 } });
    const [none] = await json(ledger, '--order', 'first', '--ties', 'none', '--k', '2,4');
    expect(none.majority).toEqual({ 2: 0, 4: 0.5 });
  });

  it('is the same for lines in any order and for several files', async () => {
    const files = [
      write('b.jsonl', chains.slice(3).reverse()),
      write('a.jsonl', chains.slice(0, 3)),
    ];
    expect(await json(...files)).toEqual(await json(ledger));
  });

  it('has a line for each model', async () => {
    const models = ['student', 'teacher'].flatMap((model) =>
      chains.map((chain) => ({ ...chain, model })),
    );
    const [student, teacher] = await json(write('models.jsonl', models.reverse()));
    const [alone] = await json(ledger);
    expect(student).toEqual({ model: 'student', ...alone });
    expect(teacher).toEqual({ model: 'teacher', ...alone });
  });

  it('shows a table to people, and says what it has left out', async () => {
    const torn = write('torn.jsonl', [...chains, chains[0], '{"problem":"one","sam']);
    const shown = await run(torn, '--k', '1,2');
    expect(shown).toMatchObject({
      code: 0,
      err: '1 last line was cut off and left out\n1 line was there twice, counted once\n',
    });
    const lines = shown.out.split('\n');
    expect(lines[0]).toBe(
      '2 problems, 8 chains (4 a problem), 1 without an answer (counted as wrong), one chain is right in 50.0 (50.0–50.0) %',
    );
    expect(lines[1]).toMatch(/^k +coverage +majority +weighted +best of N +all right$/);
    expect(lines[2]).toMatch(/^1( +50\.0 \(50\.0–50\.0\)){5}$/);
    expect(lines[3]).toMatch(/^2 +83\.3 \(83\.3–83\.3\) /);
    expect(shown.out).toMatch(
      /\n\n% of problems, on average over all subsets of k chains; a tie is split; in brackets 95 % intervals, by drawing the problems 1,000 times\n$/,
    );
    const [result] = await json(torn);
    expect(result).toMatchObject({ torn: 1, duplicates: 1 });
  });

  it('says that weighted votes need rewards, and makes them of steps', async () => {
    const steps = chains.map(({ reward, ...chain }) => ({ ...chain, stepRewards: [1, reward] }));
    const file = write('steps.jsonl', steps);
    const shown = await run(file);
    expect(shown.out).toContain(
      'weighted vote and best of N need a reward for every chain: 8 of 8 have none\n',
    );
    expect(shown.out).not.toMatch(/weighted +best/);
    const [without] = await json(file);
    expect(without).toMatchObject({ weighted: null, bestOfN: null });
    const [last] = await json(file, '--step-rewards', 'last');
    const [whole] = await json(ledger);
    expect(last).toEqual(whole);
  });

  it('writes a model name that a terminal would obey as text', async () => {
    const file = write('escape.jsonl', [
      { problem: 0, sample: 0, answer: '1', gold: '1', model: '\u001b[2Jevil\nname' },
    ]);
    expect((await run(file)).out).toMatch(/^\ufffd\[2Jevil name: 1 problems, /);
  });

  it('writes every line again with its answer and whether it is right', async () => {
    const lines = [
      { problem: 1, sample: 0, text: 'that makes 12.0', gold: '12', mine: [1] },
      { problem: 1, sample: 1, text: 'no idea', gold: '12' },
      { problem: 1, sample: 2, answer: '12', gold: '12', correct: false },
    ];
    const result = await run(
      write('open.jsonl', lines),
      '--grade',
      at('out/graded.jsonl'),
      '--json',
    );
    expect(result).toMatchObject({ code: 0, err: '' });
    expect(linesOf(readFileSync(at('out/graded.jsonl'), 'utf8'))).toEqual([
      { ...lines[0], answer: expect.stringMatching(/^12/), correct: true },
      { ...lines[1], answer: null, correct: false },
      { ...lines[2], correct: false },
    ]);
    expect(readdirSync(at('out'))).toEqual(['graded.jsonl']);
    const [again] = await json(at('out/graded.jsonl'));
    expect(again).toEqual(linesOf(result.out)[0]);
  });

  it('prints the columns of search-and-learn', async () => {
    const theirs = Object.entries(PROBLEMS).map(([problem, own]) => ({
      ...{ problem, answer: GOLDS[problem], completions: own.map(([answer]) => `so ${answer}`) },
      ...{ preds: own.map(([answer]) => answer ?? ''), scores: own.map(([, reward]) => [reward]) },
    }));
    const file = write('theirs.jsonl', theirs);
    const { out } = await run(file, '--columns', 'search-and-learn', '--k', '1,4');
    expect(linesOf(out)).toEqual([
      {
        problem: 'one',
        ...{
          'pred_naive@1': '\\boxed{5}',
          'pred_weighted@1': '\\boxed{5}',
          'pred_maj@1': '\\boxed{5}',
        },
        ...{
          'pred_naive@4': '\\boxed{7}',
          'pred_weighted@4': '\\boxed{7}',
          'pred_maj@4': '\\boxed{5}',
        },
      },
      {
        problem: 'two',
        ...{
          'pred_naive@1': '\\boxed{3}',
          'pred_weighted@1': '\\boxed{3}',
          'pred_maj@1': '\\boxed{3}',
        },
        ...{
          'pred_naive@4': '\\boxed{3}',
          'pred_weighted@4': '\\boxed{3}',
          'pred_maj@4': '\\boxed{3}',
        },
      },
    ]);
    const [result] = await json(file);
    const [same] = await json(ledger);
    expect(result.majority).toEqual(same.majority);
  });

  it.each([
    [
      'a k that is too great',
      [ledger, '--k', '8'],
      /^error LedgerSamples: k: expected at most 4, as many as problem "one" has/,
    ],
    ['a k that is none', [ledger, '--k', '1,x'], /^error Usage: .*expected a number, got "x"/],
    ['an unknown rule', [ledger, '--ties', 'all'], /^error Usage: .*first, split, none/],
    ['a seed', [ledger, '--seed', '-1'], /^error Option: seed: expected a whole number/],
    ['no file', [], /^error Usage: missing required argument 'ledger'/],
    ['a file that is not there', [at('none.jsonl')], /^error NotFound: /],
    ['a folder', [folder], /^error IsFolder: /],
    [
      'a bad line',
      [write('bad.jsonl', [chains[0], '[]\n'])],
      /^error LedgerLine: .*bad\.jsonl, line 2: expected a JSON object, got \[\]\n/,
    ],
    [
      'a reward that is no number',
      [write('nan.jsonl', ['{"problem":0,"sample":0,"answer":"1","gold":"1","reward":NaN}\n'])],
      /^error LedgerReward: .*line 1: "reward"/,
    ],
    [
      'two chains in one',
      [write('two.jsonl', [chains[0], { ...chains[0], answer: '9' }])],
      /^error LedgerConflict: .*line 2: /,
    ],
    [
      'chains that cannot be judged',
      [write('open2.jsonl', [{ problem: 0, sample: 0, answer: '1' }])],
      /^error LedgerGold: problem 0, sample 0: /,
    ],
  ])('refuses %s in one line', async (_, args, message) => {
    const refused = await run(...args, '--grade', at('refused.jsonl'), '--json');
    expect(refused).toMatchObject({ code: 2, out: '' });
    expect(refused.err).toMatch(message);
    expect(refused.err.split('\n')).toHaveLength(2);
    expect(existsSync(at('refused.jsonl'))).toBe(false);
  });
});
