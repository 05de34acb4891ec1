/** Problems to be solved by sampling: what is asked, how it is put to a model, and what the answer is. */

import { ConfigError } from '../../reference/errors.ts';
import type { Prompt } from '../decode/events.ts';
import type { Split } from '../tasks/split.ts';
import { answerOf } from '../tasks/steps.ts';
import type { Problem as TaskProblem } from '../tasks/task.ts';
import { type TaskName, tasksNamed } from '../train/taskData.ts';
import { areSameAnswer } from './canonicalAnswer.ts';
import { type AnswerRule, extractAnswer } from './extractAnswer.ts';

/** A problem, and the judge of its answers. */
export interface ReasoningProblem {
  /** Names it in a ledger; no other problem of a run has it. */
  readonly id: string | number;
  readonly question: string;
  /** What a model is given. */
  readonly prompt: Prompt;
  /** The right answer, where it is known. */
  readonly gold?: string;
  /** The answer that a text gives, null for none; and whether it is right, where that is known. Never throws. */
  judge(text: string): Judgement;
}

export interface Judgement {
  readonly answer: string | null;
  readonly correct?: boolean;
  /** Of tasks: whether every step is right as well, and none is missing. */
  readonly sound?: boolean;
}

/** Most characters of a line of a problem file. */
const LONGEST_LINE = 1_000_000;

export interface ProblemsOptions {
  /** A prompt with the fields of a problem's line in braces. Default `{question}`. */
  readonly template?: string;
  /** Whether the prompt is a user's turn in the model's chat template. */
  readonly isChat?: boolean;
  /** What is said before, in a chat. */
  readonly system?: string;
  /** Where an answer is looked for, in this order. Default: all of them. */
  readonly rules?: readonly AnswerRule[];
}

/**
 * Problems from JSON lines: `{"question": …, "answer": …}`, optionally with `"id"` and fields for the template. Of an
 * answer with its solution, as GSM8K's, only what follows `####` is the answer. Empty lines are skipped.
 * @param name of the file, for errors
 * @throws ConfigError with code ProblemsFile naming the line, DuplicateProblem, or Template for a placeholder that is no
 *   field of a line.
 */
export function problemsFromLines(
  text: string,
  name: string,
  options: ProblemsOptions = {},
): ReasoningProblem[] {
  const problems: ReasoningProblem[] = [];
  const ids = new Set<string | number>();
  text.split('\n').forEach((line, i) => {
    if (line.trim() === '') return;
    const place = `${name}, line ${i + 1}`;
    const fields = fieldsOf(line, place);
    const problem = problemOf(fields, place, problems.length, options);
    if (ids.has(problem.id)) {
      throw new ConfigError(
        `${place}: expected an id of its own, got ${problem.id} again`,
        'DuplicateProblem',
      );
    }
    ids.add(problem.id);
    problems.push(problem);
  });
  if (problems.length > 0) return problems;
  throw new ConfigError(
    `${name}: expected a line {"question": …} for every problem, got none`,
    'ProblemsFile',
  );
}

type Fields = ReadonlyMap<string, unknown>;

function fieldsOf(line: string, place: string): Fields {
  const fail = (found: string) =>
    new ConfigError(`${place}: expected an object {"question": …}, ${found}`, 'ProblemsFile');
  if (line.length > LONGEST_LINE) throw fail(`got a line of ${line.length} characters`);
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw fail('found no JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw fail('got another value');
  }
  return new Map(Object.entries(value));
}

function problemOf(
  fields: Fields,
  place: string,
  index: number,
  { template = '{question}', isChat = false, system, rules }: ProblemsOptions,
): ReasoningProblem {
  const [question, answer] = [fields.get('question'), fields.get('answer')];
  if (typeof question !== 'string' || question.trim() === '') {
    throw new ConfigError(`${place}: "question": expected a text`, 'ProblemsFile');
  }
  if (answer !== undefined && typeof answer !== 'string' && typeof answer !== 'number') {
    throw new ConfigError(`${place}: "answer": expected a text or a number`, 'ProblemsFile');
  }
  const id = fields.get('id') ?? index;
  if (typeof id !== 'string' && !Number.isSafeInteger(id)) {
    throw new ConfigError(`${place}: "id": expected a text or a whole number`, 'ProblemsFile');
  }
  const text = filled(template, fields, place);
  const messages = [
    ...(system === undefined ? [] : [{ role: 'system', content: system }]),
    { role: 'user', content: text },
  ];
  const gold = answer === undefined ? undefined : goldOf(String(answer));
  const where = rules ? { rules } : {};
  return {
    ...{ id: id as string | number, question, prompt: isChat ? { messages } : text },
    ...(gold !== undefined && { gold }),
    judge: (written) => {
      const said = extractAnswer(written, where);
      if (gold === undefined) return { answer: said };
      return { answer: said, correct: said !== null && areSameAnswer(said, gold) };
    },
  };
}

/** The answer alone: what follows the last `####`. */
function goldOf(answer: string): string {
  const mark = answer.lastIndexOf('####');
  return (mark < 0 ? answer : answer.slice(mark + 4)).trim();
}

/** A template with every `{name}` replaced by the field of that name, once: a field's own braces stay as they are. */
function filled(template: string, fields: Fields, place: string): string {
  return template.replace(/\{(\w{1,100})\}/g, (_, name: string) => {
    const value = fields.get(name);
    if (typeof value === 'string' || typeof value === 'number') return String(value);
    throw new ConfigError(
      `template: expected only fields of the problems in braces, got {${name}}, which ${place} has not`,
      'Template',
    );
  });
}

/**
 * Problems of tasks, by their index from 0 on; the tasks take turns. They are judged by the tasks' own judges.
 * @throws ConfigError for a task or a preset that does not exist.
 */
export function problemsFromTasks(
  names: readonly TaskName[],
  { count, seed, split }: { count: number; seed: number; split: Split },
): ReasoningProblem[] {
  const tasks = tasksNamed(names);
  return Array.from({ length: count }, (_, i): ReasoningProblem => {
    const task = tasks[i % tasks.length];
    const problem: TaskProblem = task.problem(seed, i, split);
    return {
      ...{ id: i, question: problem.prompt, prompt: problem.prompt, gold: problem.answer },
      judge: (text) => ({
        answer: answerOf(text.trim()) ?? null,
        correct: task.verifyOutcome(problem, text),
        sound: task.verifySteps(problem, text).isComplete,
      }),
    };
  });
}
