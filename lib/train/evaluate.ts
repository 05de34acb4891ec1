/** How good a model is at tasks: problems that it has never seen, solved once greedily and several times by chance. */

import { DEFAULT_BACKEND, openExecutor } from '../backend.ts';
import { collect } from '../decode/events.ts';
import { generate } from '../decode/generate.ts';
import type { LoadedModel } from '../loadModel.ts';
import type { Problem } from '../tasks/task.ts';
import { SPECIAL_IDS } from '../tasks/vocabulary.ts';
import { exampleOf, type TaskName, tasksNamed } from './taskData.ts';

export interface EvaluateOptions {
  readonly tasks: readonly TaskName[];
  /** Problems of the test split. */
  readonly problems: number;
  /** Chains of each problem at temperature 1. */
  readonly samples: number;
  readonly maxTokens: number;
  readonly seed: number;
  readonly backend?: string;
  readonly signal?: AbortSignal;
}

export interface Accuracy {
  readonly problems: number;
  /** Share solved by the greedy chain, and half the width of its 95 % interval (Wilson 1927). */
  readonly greedy: number;
  readonly greedyError: number;
  /** Share of all drawn chains that are right, and of problems that any of them solves. */
  readonly mean: number;
  readonly coverage: number;
  readonly samples: number;
}

/** Solves problems and judges the answers by the tasks' own verifiers. */
export async function evaluate(model: LoadedModel, options: EvaluateOptions): Promise<Accuracy> {
  const { problems: count, samples, maxTokens, seed, backend = DEFAULT_BACKEND, signal } = options;
  const tasks = tasksNamed(options.tasks);
  const problems = Array.from({ length: count }, (_, i) =>
    tasks[i % tasks.length].problem(seed, i, 'test'),
  );
  const prompts = problems.map((problem) => {
    const { tokens, learnFrom } = exampleOf(problem);
    return tokens.slice(0, learnFrom);
  });
  const isRight = (problem: Problem, i: number, text: string) =>
    tasks[i % tasks.length].verifyOutcome(problem, text);
  const executor = await openExecutor(model.model, backend);
  try {
    const common = { maxTokens, backend: executor, ...(signal && { signal }) };
    const solve = async (how: { temperature: number; samples: number }) => {
      const right = new Array<number>(count).fill(0);
      for (const end of await collect(generate(model, prompts, { ...common, ...how, seed }))) {
        if (isRight(problems[end.prompt], end.prompt, end.text)) right[end.prompt]++;
      }
      return right;
    };
    const once = await solve({ temperature: 0, samples: 1 });
    const often = await solve({ temperature: 1, samples });
    const greedy = once.filter(Boolean).length / count;
    return {
      ...{ problems: count, greedy, greedyError: halfWidth(greedy, count), samples },
      mean: often.reduce((sum, n) => sum + n, 0) / (count * samples),
      coverage: often.filter(Boolean).length / count,
    };
  } finally {
    await executor.close();
  }
}

/** Half the width of Wilson's interval at 95 %. */
export function halfWidth(p: number, n: number): number {
  const z = 1.96;
  return ((z / n) * Math.sqrt(n * p * (1 - p) + (z * z) / 4)) / (1 + (z * z) / n);
}

/** What ends a chain of a task. */
export const TASK_TOKENS = { bosToken: SPECIAL_IDS.bos, eosTokens: [SPECIAL_IDS.eos] };
