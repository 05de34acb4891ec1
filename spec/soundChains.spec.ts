/** Chains that are right in every step: what no guess is, unlike a right answer of one digit. */

import { describe, expect, it } from 'vitest';
import { aggregate } from '../lib/reasoning/aggregate.ts';
import type { LedgerChain } from '../lib/reasoning/chain.ts';
import { problemsFromTasks } from '../lib/reasoning/problems.ts';
import { tasksNamed } from '../lib/train/taskData.ts';

const NAMES = ['listops-cot:tiny', 'word-problems:small', 'rounds:tiny'];

describe('the judge of a task', () => {
  const problems = problemsFromTasks(NAMES, { count: 6, seed: 3, split: 'test' });

  it.each(problems)('calls the right chain of $question sound, and no guess', (problem) => {
    const task = tasksNamed(NAMES)[Number(problem.id) % NAMES.length];
    const { chain, answer } = task.problem(3, Number(problem.id), 'test');
    expect(problem.judge(` ${chain}`)).toEqual({ answer, correct: true, sound: true });
    expect(problem.judge(`# ${answer}`)).toEqual({ answer, correct: true, sound: false });
    const [first, ...rest] = chain.split(' ; ');
    const without = rest.join(' ; ');
    expect(problem.judge(without)).toEqual({ answer, correct: true, sound: false });
    const twice = [first, first, ...rest].join(' ; ');
    expect(problem.judge(twice)).toEqual({ answer, correct: true, sound: false });
    expect(problem.judge('')).toEqual({ answer: null, correct: false, sound: false });
  });
});

describe('the figure of sound chains', () => {
  const chain = (sample: number, sound?: boolean): LedgerChain => ({
    ...{ problem: 0, sample, answer: '1', correct: true },
    ...(sound !== undefined && { sound }),
  });

  it('is below that of right answers by what was guessed', () => {
    const [result] = aggregate([chain(0, false), chain(1, true), chain(2, false), chain(3, false)]);
    expect(result.sound).toEqual({ 1: 0.25, 2: 0.5, 4: 1 });
    expect(result.coverage).toEqual({ 1: 1, 2: 1, 4: 1 });
    expect(result.intervals.sound?.[2]).toEqual([0.5, 0.5]);
  });

  it('is not there where one chain does not say', () => {
    expect(aggregate([chain(0, true), chain(1)])[0].sound).toBeNull();
  });
});
