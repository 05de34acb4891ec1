/** Chains that a teacher draws, right and wrong ones: the data of a reward model. */

import type { Executor } from '../../backends/types.ts';
import { ConfigError, SelscanError } from '../../reference/errors.ts';
import { collect } from '../decode/events.ts';
import { generate } from '../decode/generate.ts';
import type { LoadedModel } from '../loadModel.ts';
import type { Split } from '../tasks/split.ts';
import type { Problem, Task } from '../tasks/task.ts';
import { exampleOf, type TaskName, tasksNamed } from '../train/taskData.ts';

/** A problem, what it is judged by, and what was written about it. */
export interface DrawnProblem {
  readonly task: Task;
  readonly problem: Problem;
  /** Tokens of the prompt. */
  readonly prompt: readonly number[];
  /** New tokens of each chain, its end token included. */
  readonly chains: readonly (readonly number[])[];
}

export interface DrawOptions {
  readonly tasks: readonly TaskName[];
  readonly seed: number;
  readonly split: Split;
  /** How many, by their index from 0 on; they take turns among the tasks. */
  readonly problems: number;
  /** Chains of each. */
  readonly samples: number;
  /** Default 1. */
  readonly temperature?: number;
  /** Tokens of a chain with its prompt; what is longer is cut off. */
  readonly seqlen: number;
  readonly executor: Executor;
  /** Chains of the first problems that were drawn before. */
  readonly before?: readonly (readonly (readonly number[])[])[];
  /** Called with all chains so far, after each block of problems. */
  readonly onBlock?: (chains: readonly (readonly (readonly number[])[])[]) => Promise<void> | void;
  readonly signal?: AbortSignal;
}

/** Problems that are drawn together. */
const BLOCK = 64;

/**
 * Draws chains. Those of a problem hang on the seed and its index alone: what was drawn before, and how many are drawn
 * together, changes nothing.
 * @returns the problems with their chains; fewer than asked for where the signal has fired.
 * @throws ConfigError with code ExampleLength for a problem whose right chain is longer than `seqlen`; and as generate.
 */
export async function drawChains(
  teacher: LoadedModel,
  options: DrawOptions,
): Promise<DrawnProblem[]> {
  const { problems: count, samples, seqlen, seed, temperature = 1, signal } = options;
  const asked = askedProblems(options);
  const drawn = [...(options.before ?? [])].slice(0, count);
  const { tokenizer: _noText, ...silent } = teacher;
  const maxTokens = seqlen - Math.min(...asked.map(({ prompt }) => prompt.length));
  while (drawn.length < count) {
    const first = drawn.length;
    const prompts = asked.slice(first, first + BLOCK).map(({ prompt }) => prompt);
    const ends = await collect(
      generate(silent, prompts, {
        ...{ samples, temperature, seed, firstPrompt: first, maxTokens },
        ...{ backend: options.executor, ...(signal && { signal }) },
      }),
    );
    if (signal?.aborted) break;
    const chains = prompts.map((): (readonly number[])[] => []);
    for (const { prompt, tokens, error } of ends) {
      if (error) throw new SelscanError(error.code, `problem ${prompt}: ${error.message}`);
      const at = prompt - first;
      chains[at].push(tokens.slice(0, seqlen - prompts[at].length));
    }
    drawn.push(...chains);
    await options.onBlock?.(drawn);
  }
  return drawn.map((chains, i) => ({ ...asked[i], chains }));
}

/** The problems and their prompts. */
function askedProblems({ tasks: names, seed, split, problems, seqlen }: DrawOptions) {
  const tasks = tasksNamed(names);
  return Array.from({ length: problems }, (_, i) => {
    const task = tasks[i % tasks.length];
    const problem = task.problem(seed, i, split);
    const { tokens, learnFrom } = exampleOf(problem);
    if (tokens.length > seqlen) {
      throw new ConfigError(
        `reward: expected right chains of at most ${seqlen} tokens with their prompts, got one of ${tokens.length}; ` +
          'take a larger seqlen',
        'ExampleLength',
      );
    }
    return { task, problem, prompt: tokens.slice(0, learnFrom) };
  });
}
