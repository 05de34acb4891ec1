/** What a whole run of chains may cost, and whether it has. */

import { ConfigError, UnsupportedError } from '../../reference/errors.ts';
import type { FinishReason } from './events.ts';

/** Limits of all chains together; the first that is reached ends them, and what they have so far is kept. */
export interface Budget {
  /** Wall time from the first prompt going in, > 0; a step that is under way when it is up is finished. */
  seconds?: number;
  /** New tokens, ≥ 1. */
  tokens?: number;
  /** Chains that came to an end of their own (stop, length or context), ≥ 1. */
  samples?: number;
}

const NAMES = ['seconds', 'tokens', 'samples'];

/** @throws UnsupportedError for an unknown limit; ConfigError for one out of range. */
export function checkBudget(budget: Budget): Budget {
  const unknown = Object.keys(budget).find((name) => !NAMES.includes(name));
  if (unknown !== undefined) {
    throw new UnsupportedError(
      `budget: "${unknown}" is not supported; known are ${NAMES.join(', ')}`,
    );
  }
  const { seconds, tokens, samples } = budget;
  if (seconds !== undefined && !(seconds > 0)) {
    throw new ConfigError(`budget.seconds: expected a number > 0, got ${seconds}`);
  }
  for (const [name, value] of Object.entries({ tokens, samples })) {
    if (value !== undefined && !(Number.isInteger(value) && value >= 1)) {
      throw new ConfigError(`budget.${name}: expected a whole number ≥ 1, got ${value}`);
    }
  }
  return budget;
}

/** Counts what a run has used. */
export class Spending {
  readonly #budget: Budget;
  readonly #now: () => number;
  readonly #start: number;
  #tokens = 0;
  #samples = 0;

  /** @param now monotonic clock in milliseconds. */
  constructor(budget: Budget, now: () => number = () => performance.now()) {
    this.#budget = budget;
    this.#now = now;
    this.#start = now();
  }

  addToken(): void {
    this.#tokens++;
  }

  addEnd(reason: FinishReason): void {
    if (reason === 'stop' || reason === 'length' || reason === 'context') this.#samples++;
  }

  /** Whether no token more may be decoded. */
  isUsedUp(): boolean {
    const { seconds, tokens, samples } = this.#budget;
    return (
      (tokens !== undefined && this.#tokens >= tokens) ||
      (samples !== undefined && this.#samples >= samples) ||
      (seconds !== undefined && this.#now() - this.#start >= 1000 * seconds)
    );
  }
}
