/** Chains of many problems from one model, in turns, under a budget: each as it ends, with its time. */

import { ConfigError } from '../../reference/errors.ts';
import type { ChainPlace } from '../decode/admission.ts';
import { type Budget, checkBudget } from '../decode/budget.ts';
import type { EndEvent } from '../decode/events.ts';
import type { Engine, EngineGenerateOptions } from '../decode/localEngine.ts';
import type { ReasoningProblem } from './problems.ts';

/** A chain of a problem that has come to an end of its own. */
export interface SampledChain {
  /** Index of the problem, and of the chain among its samples. */
  readonly problem: number;
  readonly sample: number;
  readonly text: string;
  /** New tokens, the end token included. */
  readonly tokens: number;
  /** Sum of the tokens' ln probabilities. */
  readonly logprob: number;
  /** `failed`: its logits were not finite. */
  readonly finishReason: 'stop' | 'length' | 'context' | 'failed';
  /** Seconds of sampling until it ended; with a budget for each problem, of this problem alone. */
  readonly seconds: number;
}

/** What a run has done before it goes on. */
export interface Done {
  /** Whether a chain is there already. */
  has(problem: number, sample: number): boolean;
  /** Seconds and tokens that were spent, on one problem or on all. */
  spent(problem?: number): { seconds: number; tokens: number; samples: number };
}

const NOTHING: Done = {
  has: () => false,
  spent: () => ({ seconds: 0, tokens: 0, samples: 0 }),
};

export interface SampleChainsOptions
  extends Omit<
    EngineGenerateOptions,
    'samples' | 'chains' | 'firstPrompt' | 'firstSample' | 'budget' | 'trace'
  > {
  /** Chains of each problem. */
  readonly samples: number;
  /** Samples of a problem that begin one after the other before the next problem's turn. Default 8. */
  readonly turn?: number;
  /** Ends the sampling; chains that are under way then are lost, and are made again by a run that goes on. */
  readonly budget?: Budget;
  /**
   * What the budget is of. `run` (the default): all problems together, which take turns. `problem`: each problem, one
   * after the other, as somebody would wait for one answer.
   */
  readonly budgetPer?: 'run' | 'problem';
  readonly done?: Done;
  /** Called with the new tokens since the last call, for progress. */
  readonly onTokens?: (count: number) => void;
}

/**
 * Samples chains. A chain hangs on the seed, its problem's index and its own index alone: neither the order, nor the
 * budget, nor what was done before changes it.
 * @throws ConfigError for options out of range, and as Engine.generate.
 */
export async function* sampleChains(
  engine: Pick<Engine, 'generate'>,
  problems: readonly ReasoningProblem[],
  options: SampleChainsOptions,
): AsyncGenerator<SampledChain, void, undefined> {
  checkSampling(options);
  const { samples, turn = 8, budget = {}, budgetPer = 'run', done = NOTHING, ...rest } = options;
  const { onTokens, ...decoding } = rest;
  const own = { ...(onTokens && { onTokens }), decoding };
  if (budgetPer === 'run') {
    const chains = placesInTurn(problems.length, samples, turn, done.has);
    yield* within(engine, problems, chains, { ...own, budget, spent: done.spent() });
    return;
  }
  for (let i = 0; i < problems.length; i++) {
    if (rest.signal?.aborted) return;
    const chains = placesInTurn(1, samples, turn, (_, sample) => done.has(i, sample));
    const firstPrompt = i;
    const alone = { ...own, decoding: { ...decoding, firstPrompt } };
    yield* within(engine, [problems[i]], chains, { ...alone, budget, spent: done.spent(i) });
  }
}

/** @throws ConfigError or UnsupportedError for samples, turns or a budget out of range. */
export function checkSampling({
  samples,
  turn = 8,
  budget = {},
}: Pick<SampleChainsOptions, 'samples' | 'turn' | 'budget'>): void {
  for (const [name, value] of Object.entries({ samples, turn })) {
    if (!Number.isInteger(value) || value < 1 || value > 2 ** 24) {
      throw new ConfigError(`${name}: expected a whole number from 1 to 2^24, got ${value}`);
    }
  }
  checkBudget(budget);
}

/** The chains that are not done: some samples of each problem, then some more. */
export function placesInTurn(
  problems: number,
  samples: number,
  turn: number,
  isDone: Done['has'] = () => false,
): ChainPlace[] {
  const places: ChainPlace[] = [];
  for (let first = 0; first < samples; first += turn) {
    for (let prompt = 0; prompt < problems; prompt++) {
      for (let sample = first; sample < Math.min(first + turn, samples); sample++) {
        if (!isDone(prompt, sample)) places.push({ prompt, sample });
      }
    }
  }
  return places;
}

interface Within {
  budget: Budget;
  spent: ReturnType<Done['spent']>;
  decoding: EngineGenerateOptions;
  onTokens?: (count: number) => void;
}

/** Makes chains until there are none left or the budget is used up. */
async function* within(
  engine: Pick<Engine, 'generate'>,
  problems: readonly ReasoningProblem[],
  chains: readonly ChainPlace[],
  { budget, spent, decoding, onTokens }: Within,
): AsyncGenerator<SampledChain, void, undefined> {
  const left = Object.entries(budget).map(([name, most]) => [
    name,
    most - spent[name as keyof typeof spent],
  ]);
  if (chains.length === 0 || left.some(([, amount]) => Number(amount) <= 0)) return;
  const prompts = problems.map(({ prompt }) => prompt);
  const start = performance.now();
  const options = { ...decoding, chains, budget: Object.fromEntries(left) };
  for await (const event of engine.generate(prompts, options)) {
    if (event.kind === 'token') onTokens?.(1);
    if (event.kind !== 'end' || !isOwnEnd(event)) continue;
    const { prompt: problem, sample, text, tokens, logprob, finishReason } = event;
    const seconds = spent.seconds + (performance.now() - start) / 1000;
    yield { problem, sample, text, tokens: tokens.length, logprob, finishReason, seconds };
  }
}

/** Whether a chain ended by itself: what the budget or the signal cut off is no chain. */
function isOwnEnd(
  event: EndEvent,
): event is EndEvent & { finishReason: SampledChain['finishReason'] } {
  return event.finishReason !== 'budget' && event.finishReason !== 'aborted';
}
