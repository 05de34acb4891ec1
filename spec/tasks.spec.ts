/** What every task promises: problems by number, judges that cannot be fooled or broken, splits that never meet. */

import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { answerOf, createTask, SPLITS, stepsOf, TASKS, type Task } from '../lib/tasks/index.ts';
import { hashOf } from '../lib/tasks/split.ts';
import { path, RUNS, SEED } from './support.ts';

const EASY_AND_HARD = Object.entries(TASKS).flatMap(([name, { presets }]) =>
  presets
    .filter((preset) => !['lra', 'far', 'paper'].includes(preset))
    .map((preset): [string, Task] => [`${name} ${preset}`, createTask(name, preset)]),
);
const seeds = fc.nat({ max: 2 ** 53 - 1 });
const indices = fc.nat({ max: 2 ** 32 - 1 });
const parameters = { seed: SEED, numRuns: Math.ceil(RUNS / 5) };

/** Every word of a chain that is a number, with each of its digits changed in turn. */
function corruptions(chain: string): { text: string; step: number }[] {
  const words = chain.split(' ');
  let step = 0;
  return words.flatMap((word, i) => {
    const inStep = step;
    if (word === ';') step++;
    if (!/^\d+$/.test(word)) return [];
    return [...word].flatMap((digit, place) =>
      [1, 5, 9].map((more) => {
        const other = (Number(digit) + more) % 10;
        const changed = `${word.slice(0, place)}${other}${word.slice(place + 1)}`;
        return { text: words.with(i, changed).join(' '), step: inStep };
      }),
    );
  });
}

const hasSteps = (task: Task) => stepsOf(task.problem(0, 0).chain).length > 1;

describe.each(EASY_AND_HARD)('%s', (_, task) => {
  it('makes the same problem from the same seed and index, in any order', () => {
    fc.assert(
      fc.property(seeds, fc.uniqueArray(indices, { maxLength: 4 }), (seed, places) => {
        const forwards = places.map((index) => task.problem(seed, index));
        const backwards = [...places].reverse().map((index) => task.problem(seed, index));
        expect(backwards.reverse()).toEqual(forwards);
      }),
      { ...parameters, numRuns: 5 },
    );
  });

  it('accepts every right chain, and any beginning of it as far as it goes', () => {
    fc.assert(
      fc.property(seeds, indices, (seed, index) => {
        const problem = task.problem(seed, index);
        const { chain } = problem;
        expect(task.verifyOutcome(problem, chain)).toBe(true);
        expect(task.verifyOutcome(problem, `\n ${chain.replaceAll(' ', '\t ')}\n`)).toBe(true);
        const verdict = task.verifySteps(problem, chain);
        expect(verdict).toMatchObject({ firstWrong: -1, isComplete: true });
        for (const step of verdict.steps) {
          const right = { isWellFormed: true, isTrue: true, isCorrect: true, isInOrder: true };
          expect(step).toMatchObject({ ...right, score: 1 });
        }
        const steps = stepsOf(chain);
        expect(verdict.steps).toHaveLength(steps.length);
        const beginning = steps.slice(0, -1).join(' ');
        const half = task.verifySteps(problem, beginning);
        expect(half).toMatchObject({ firstWrong: -1, isComplete: false });
        expect(task.verifyOutcome(problem, beginning)).toBe(false);
      }),
      parameters,
    );
  });

  it('finds every changed number in a chain, at its step', () => {
    fc.assert(
      fc.property(seeds, indices, fc.nat(), (seed, index, offset) => {
        const problem = task.problem(seed, index);
        const all = corruptions(problem.chain);
        // of a long chain a few dozen, others each time
        const stride = Math.max(1, Math.floor(all.length / 40));
        for (let i = offset % stride; i < all.length; i += stride) {
          const { text, step } = all[i];
          const { firstWrong, steps, isComplete } = task.verifySteps(problem, text);
          expect(firstWrong).toBe(step);
          expect(isComplete).toBe(false);
          expect(steps[step].score).toBeLessThan(1);
          const isInAnswer = step === stepsOf(problem.chain).length - 1;
          expect(task.verifyOutcome(problem, text)).toBe(!isInAnswer);
        }
      }),
      { ...parameters, numRuns: 10 },
    );
  });

  it('puts a prompt in the split that it was asked for, and only there', () => {
    const of = (split: (typeof SPLITS)[number]) =>
      Array.from({ length: 12 }, (_, i) => task.problem(SEED, i, split));
    for (const split of SPLITS) {
      for (const problem of of(split)) expect(task.split(problem)).toBe(split);
      expect(of(split)).toEqual(of(split));
    }
  });
});

describe.each(EASY_AND_HARD.filter(([, task]) => hasSteps(task)))('%s', (_, task) => {
  it('finds steps that are left out, written twice or exchanged', () => {
    fc.assert(
      fc.property(seeds, indices, fc.nat(), (seed, index, where) => {
        const problem = task.problem(seed, index);
        const steps = stepsOf(problem.chain);
        fc.pre(steps.length > 2);
        const i = where % (steps.length - 2);
        const judge = (changed: string[]) => task.verifySteps(problem, changed.join(' '));
        // a step that is like its neighbour may take its place
        const firstUnlike = steps.findIndex((step, at) => at >= i && step !== steps[at + 1]);
        expect(judge(steps.toSpliced(i, 1)).firstWrong).toBe(firstUnlike);
        const twice = judge(steps.toSpliced(i, 0, steps[i]));
        expect(twice.firstWrong).toBe(firstUnlike + 1);
        expect(twice.isComplete).toBe(false);
        const exchanged = judge(steps.with(i, steps[i + 1]).with(i + 1, steps[i]));
        expect(exchanged.firstWrong).toBe(steps[i] === steps[i + 1] ? -1 : i);
        expect(exchanged.steps.every(({ isCorrect }) => isCorrect)).toBe(true);
      }),
      { ...parameters, numRuns: 10 },
    );
  });
});

describe('splits', () => {
  it.each(['listops-cot', 'word-problems', 'addition'])(
    'no prompt of %s is in two of them, whatever seed and preset made it',
    (name) => {
      const seen = new Map<string, string>();
      for (const preset of TASKS[name].presets.slice(0, 2)) {
        const task = createTask(name, preset);
        SPLITS.forEach((split, seed) => {
          for (let i = 0; i < 400; i++) {
            const { prompt } = task.problem(seed, i, split);
            expect(seen.get(prompt) ?? split).toBe(split);
            seen.set(prompt, split);
          }
        });
      }
      expect(new Set(seen.values()).size).toBe(3);
    },
  );

  it('leave nine of ten problems for training', () => {
    const task = createTask('listops-cot', 'base');
    const counts = { train: 0, validation: 0, test: 0 };
    for (let i = 0; i < 4000; i++) counts[task.split(task.problem(SEED, i))]++;
    // four standard deviations of 4,000 draws of probability 1/20
    for (const split of ['validation', 'test'] as const) {
      expect(Math.abs(counts[split] - 200)).toBeLessThan(4 * Math.sqrt(4000 * 0.05 * 0.95));
    }
  });
});

describe('hostile texts', () => {
  const million = 1_000_000;
  const TEXTS: Record<string, string> = {
    nothing: '',
    'a million of a letter': 'a'.repeat(million),
    'a million digits': '9'.repeat(million),
    'a million spaces': ' '.repeat(million),
    'a million NULs': '\0'.repeat(million),
    'a million marks': '# '.repeat(million / 2),
    'a million ends of steps': '; '.repeat(million / 2),
    'a million brackets': '[MIN '.repeat(million / 5),
    'one step without an end': `MIN ${'4 '.repeat(million / 2)}`,
    'an endless equation': `${'1 + '.repeat(million / 4)}1 = 2 ;`,
    'deep nesting after a colon': `MIN 4 7 = 4 : ${'[MIN '.repeat(20)}4 ;`,
    'all answers': Array.from({ length: 10_000 }, (_, i) => `# ${i}`).join(' '),
    'lone surrogates': '\ud800 ; \udfff # \ud83d',
    'other digits and signs': '４ ＋ ３ = ７ ; # ٣ \u202e # 9',
    'names of objects': '__proto__ ; constructor = toString ; # hasOwnProperty',
    'infinite numbers': '1e999 + NaN = Infinity ; 1 / 0 = 0 ; # -0',
  };

  it.each(Object.entries(TEXTS))('%s is judged wrong, and soon', (_, text) => {
    for (const [name, task] of EASY_AND_HARD) {
      const problem = task.problem(SEED, 3);
      for (const written of [text, `${problem.chain}${text.trim() ? ` ${text}` : ' ; #'}`]) {
        const start = performance.now();
        expect(task.verifyOutcome(problem, written), name).toBe(false);
        const { firstWrong, isComplete, steps } = task.verifySteps(problem, written);
        expect(isComplete).toBe(false);
        if (text.trim()) expect(firstWrong).toBeGreaterThanOrEqual(0);
        expect(steps.length).toBeLessThanOrEqual(stepsOf(problem.chain).length + 256);
        // a millisecond or so; the machine may be busy
        expect(performance.now() - start).toBeLessThan(1000);
      }
    }
  });

  it('no text makes a judge throw', () => {
    const words = [
      'MIN',
      'MED',
      '4',
      '12',
      '=',
      ':',
      ';',
      '#',
      '[MAX',
      ']',
      '+',
      '*',
      '/',
      '0',
      '-',
    ];
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(fc.constantFrom(...words)).map((all) => all.join(' ')),
    );
    fc.assert(
      fc.property(text, fc.nat(EASY_AND_HARD.length - 1), (written, which) => {
        const [, task] = EASY_AND_HARD[which];
        const problem = task.problem(SEED, 1);
        const { steps } = task.verifySteps(problem, written);
        for (const { isInOrder, isCorrect, isTrue, isWellFormed } of steps) {
          expect(isCorrect || !isInOrder).toBe(true);
          expect(isTrue || !isCorrect).toBe(true);
          expect(isWellFormed || !isTrue).toBe(true);
        }
        task.verifyOutcome(problem, written);
      }),
      { seed: SEED, numRuns: 4 * RUNS },
    );
  });
});

it.each([
  ['# 9', '9'],
  ['MIN 4 7 = 4 ;\n# 4  7', '4 7'],
  ['9', undefined],
  ['9 #', undefined],
  ['#9', undefined],
  ['# 8 # 9', undefined],
  ['# # 9', undefined],
])('the answer of %j is %j', (text, answer) => {
  expect(answerOf(text)).toBe(answer);
});

describe('bad options', () => {
  it.each([
    [() => createTask('chess'), /^task: expected one of listops, .* got chess$/],
    [() => createTask('toString'), /^task: expected one of .* got toString$/],
    [
      () => createTask('addition', 'huge'),
      /^preset: expected one of tiny, .* for addition, got huge$/,
    ],
    [() => createTask('addition').problem(-1, 0), /^seed: expected a whole number in \[0, 2\^53\)/],
    [() => createTask('addition').problem(0, 2 ** 32), /^index: .* got 4294967296$/],
    [() => createTask('addition').problem(0, 0, 'dev' as never), /^split: expected one of train/],
  ])('%o', (make, message) => {
    expect(make).toThrow(message);
  });
});

it('problems are the same everywhere and in every version', () => {
  const hashes = Object.entries(TASKS).map(([name, { presets }]) => {
    const task = createTask(name, presets[0]);
    const count = name === 'listops' ? 5 : 100;
    const all = Array.from({ length: count }, (_, i) => task.problem(i % 3, i));
    const text = all.map(({ prompt, chain }) => `${prompt}\n${chain}\n`).join('');
    return [name, hashOf(text).toString(16)];
  });
  expect(Object.fromEntries(hashes)).toEqual({
    listops: '1dc0a532',
    'listops-cot': '4ffd29d9',
    'word-problems': '8b2d50b1',
    addition: '700cd150',
    multiplication: '32a1cf53',
    'selective-copying': '7701dd26',
    rounds: 'eda961d',
    'induction-heads': 'e6613a9b',
  });
});

it('lib/tasks needs nothing but itself and three files of reference, so that a browser can have it', () => {
  const names = ['catalogue', 'draws', 'split', 'steps', 'task', 'vocabulary', 'wordProblems'];
  for (const name of names) {
    const source = readFileSync(path(`lib/tasks/${name}.ts`), 'utf8');
    for (const [, from] of source.matchAll(/ from '(.*)'/g)) {
      expect(from).toMatch(/^\.\/\w+\.ts$|^\.\.\/\.\.\/reference\/(errors|philox)\.ts$/);
    }
  }
});
