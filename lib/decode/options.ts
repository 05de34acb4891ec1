/** The options of generate: their ranges, their defaults, and the order in which they act. */

import type { Executor } from '../../backends/types.ts';
import { ConfigError, UnsupportedError } from '../../reference/errors.ts';
import { checkSamplingStep, type SamplingStep } from '../../reference/sampling.ts';
import type { Trace } from '../../reference/trace.ts';
import type { ChainPlace } from './admission.ts';
import { type Budget, checkBudget } from './budget.ts';

/** All options of `generate`. Sampling acts in the order in which its options stand here. */
export interface GenerateOptions {
  /** Chains per prompt. Default 1. */
  samples?: number;
  /**
   * The chains that are made, in the order in which they begin, in place of `samples` of each prompt: `prompt` counts in
   * the prompts that are given, `sample` from firstSample on. Chains of one prompt in a row take it in once.
   */
  chains?: readonly ChainPlace[];
  /** New tokens per chain, at most. Default 256. */
  maxTokens?: number;

  /** Added to single logits; −Infinity bans a token. */
  logitBias?: ReadonlyMap<number, number> | Readonly<Record<number, number>>;
  /** Divides (multiplies, if negative) the logits of tokens seen in prompt or output; 1 is off, the default. */
  repetitionPenalty?: number;
  /** Divides all logits; 0 takes the likeliest token always. Default 1. */
  temperature?: number;
  /** Keeps the k likeliest tokens and ties; 0 is off, the default. */
  topK?: number;
  /** Keeps the fewest likeliest tokens with this much probability; 1 is off, the default. */
  topP?: number;
  /** Keeps tokens with at least this share of the likeliest one's probability; 0 is off, the default. */
  minP?: number;

  /** Texts that end a chain; they may span tokens and are not part of its text. */
  stop?: readonly string[];
  /** Tokens that end a chain besides the model's own end tokens. */
  stopTokens?: readonly number[];
  /** Makes every draw; the same seed gives the same chains whatever runs beside them. Default 0. */
  seed?: number;
  /** Index of the first prompt, and of the first sample of each: to make a chain of another run again. */
  firstPrompt?: number;
  firstSample?: number;

  /** Chains that are decoded at the same time, at most. Default 64. */
  maxRows?: number;
  /**
   * What all chains together may cost. When it is used up they end, and what they have so far is kept; those that
   * have not begun by then never do, and have no event.
   */
  budget?: Budget;
  /** Ends all chains; what they have so far is kept. */
  signal?: AbortSignal;
  /**
   * Receives how each token is drawn, and on the reference, with one row at a time, everything inside the model. With
   * a trace the default backend is the reference.
   */
  trace?: Trace;
  /**
   * What computes: a backend by name, opened for this call (default {@link DEFAULT_BACKEND}), or an executor
   * from openExecutor, which may serve many calls.
   */
  backend?: string | Executor;
}

/** Options checked and completed. */
export interface DecodePlan {
  samples: number;
  /** Those that are made, where not all samples of all prompts are. */
  chains?: readonly ChainPlace[];
  maxTokens: number;
  /** 0 takes the likeliest token. */
  temperature: number;
  isGreedy: boolean;
  /** What happens to the logits, in order. */
  steps: readonly SamplingStep[];
  /** Whether a token can be drawn where the logits are: at most a temperature happens to them. */
  isPlain: boolean;
  /** Whether a draw depends on the tokens before it. */
  readsTokens: boolean;
  stop: readonly string[];
  stopTokens: ReadonlySet<number>;
  seed: number;
  firstPrompt: number;
  firstSample: number;
  maxRows: number;
  budget: Budget;
}

const NAMES: ReadonlySet<string> = new Set([
  'samples',
  'chains',
  'maxTokens',
  'logitBias',
  'repetitionPenalty',
  'temperature',
  'topK',
  'topP',
  'minP',
  'stop',
  'stopTokens',
  'seed',
  'firstPrompt',
  'firstSample',
  'maxRows',
  'budget',
  'signal',
  'trace',
  'backend',
]);

/**
 * Checks and completes options.
 * @throws UnsupportedError for an option that does not exist; ConfigError for one out of its range.
 */
export function planDecoding(options: GenerateOptions, vocabSize: number, prompts = 1): DecodePlan {
  for (const name of Object.keys(options)) {
    if (!NAMES.has(name)) throw unknownOption(name);
  }
  const whole = (name: string, value: number, min: number, max = 2 ** 31) => {
    if (!Number.isInteger(value) || value < min || value > max) {
      throw new ConfigError(`${name}: expected a whole number from ${min} to ${max}, got ${value}`);
    }
    return value;
  };
  const { temperature = 1, stop = [], stopTokens = [], seed = 0 } = options;
  if (!(temperature >= 0 && temperature < Number.POSITIVE_INFINITY)) {
    throw new ConfigError(`temperature: expected a number ≥ 0, got ${temperature}`);
  }
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new ConfigError(`seed: expected a whole number in [0, 2^53), got ${seed}`);
  }
  for (const token of stopTokens) whole('stopTokens', token, 0, vocabSize - 1);
  if (!Array.isArray(stop) || stop.some((text) => typeof text !== 'string' || text === '')) {
    throw new ConfigError('stop: expected texts of at least one character');
  }
  for (const { prompt, sample } of options.chains ?? []) {
    whole('chains: prompt', prompt, 0, prompts - 1);
    whole('chains: sample', sample, 0);
  }
  const steps = samplingSteps(options, temperature, vocabSize);
  return {
    samples: whole('samples', options.samples ?? 1, 1),
    ...(options.chains && { chains: options.chains }),
    maxTokens: whole('maxTokens', options.maxTokens ?? 256, 1),
    temperature,
    isGreedy: temperature === 0,
    steps,
    isPlain: steps.every(({ kind }) => kind === 'temperature'),
    readsTokens: steps.some(({ kind }) => kind === 'repetitionPenalty'),
    stop,
    stopTokens: new Set(stopTokens),
    seed,
    firstPrompt: whole('firstPrompt', options.firstPrompt ?? 0, 0),
    firstSample: whole('firstSample', options.firstSample ?? 0, 0),
    maxRows: whole('maxRows', options.maxRows ?? 64, 1),
    budget: checkBudget(options.budget ?? {}),
  };
}

function samplingSteps(
  options: GenerateOptions,
  temperature: number,
  vocabSize: number,
): SamplingStep[] {
  const { logitBias, repetitionPenalty = 1, topK = 0, topP = 1, minP = 0 } = options;
  const steps: SamplingStep[] = [];
  const bias = biasMap(logitBias);
  for (const token of bias.keys()) {
    if (!Number.isInteger(token) || token < 0 || token >= vocabSize) {
      throw new ConfigError(
        `logitBias: expected token ids in [0, ${vocabSize}), got ${token}`,
        'TokenRange',
      );
    }
  }
  if (bias.size > 0) steps.push({ kind: 'logitBias', bias });
  if (repetitionPenalty !== 1)
    steps.push({ kind: 'repetitionPenalty', penalty: repetitionPenalty });
  if (temperature > 0 && temperature !== 1) steps.push({ kind: 'temperature', temperature });
  if (topK !== 0) steps.push({ kind: 'topK', k: topK });
  if (topP !== 1) steps.push({ kind: 'topP', p: topP });
  if (minP !== 0) steps.push({ kind: 'minP', p: minP });
  for (const step of steps) checkSamplingStep(step);
  return temperature === 0 ? steps.filter(({ kind }) => CHANGES_ORDER.has(kind)) : steps;
}

/** Steps that can change which token is likeliest; the others cannot matter to a greedy choice. */
const CHANGES_ORDER: ReadonlySet<string> = new Set(['logitBias', 'repetitionPenalty']);

function biasMap(bias: GenerateOptions['logitBias'] = {}): ReadonlyMap<number, number> {
  if (bias instanceof Map) return bias;
  return new Map(Object.entries(bias).map(([token, value]) => [Number(token), value]));
}

function unknownOption(name: string): UnsupportedError {
  const distances = [...NAMES].map((known) => [
    editDistance(name.toLowerCase(), known.toLowerCase()),
    known,
  ]);
  const [[distance, nearest]] = distances.sort(([a], [b]) => Number(a) - Number(b));
  const hint =
    Number(distance) <= 3 ? `; did you mean ${nearest}?` : `; known are ${[...NAMES].join(', ')}`;
  return new UnsupportedError(`generate: option "${name}" is not supported${hint}`);
}

/** Insertions, deletions and replacements that turn one text into another. */
export function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, row[j] + 1, next[j - 1] + 1));
    }
    row = next;
  }
  return row[b.length];
}
