/** Memory, planned before a run: how many chains fit beside each other. */

import type { Executor } from '../../backends/types.ts';
import { type ModelConfig, stateSize } from '../../reference/config.ts';
import { BackendError } from '../../reference/errors.ts';
import type { PlanEvent } from './events.ts';
import type { DecodePlan } from './options.ts';

export interface RowPlan {
  /** Chains that are decoded at the same time. */
  rows: number;
  /** Whether a prompt's row is kept for its later samples; where a single row fits there is no place for it. */
  keepsParents: boolean;
  /** What to tell the caller, where fewer fit than were wanted. */
  event?: PlanEvent;
}

/**
 * Asks the executor what fits, once, before anything is decoded.
 *
 * Every row is reckoned at its longest: the longest prompt and all its new tokens but the last, which no row
 * takes in. What chains share with their prompt counts once where all chains come from one prompt.
 * @param prompts distinct prompts, and how many chains each has.
 * @throws BackendError with code OutOfMemory where not even one chain fits.
 */
export function fitRows(
  executor: Executor,
  config: ModelConfig,
  prompts: readonly { tokens: readonly number[]; chains: number }[],
  { maxRows, maxTokens }: DecodePlan,
): RowPlan {
  let [chains, longest, hasForks] = [0, 0, false];
  for (const prompt of prompts) {
    chains += prompt.chains;
    longest = Math.max(longest, prompt.tokens.length);
    hasForks ||= prompt.chains > 1;
  }
  const wanted = Math.min(maxRows, chains);
  const { contextLength = Number.POSITIVE_INFINITY } = config;
  const tokens = Math.min(longest + maxTokens - 1, contextLength);
  const shared = prompts.length === 1 && hasForks ? longest : 0;
  const room = roomFor(executor, config, tokens, shared);
  if (wanted > 0 && room < 1) throw outOfMemory(config, executor, tokens);
  const keepsParents = hasForks && room > 1;
  // between two samples a prompt's own row takes a place too, until its last chain takes the row itself
  const hasSpare = keepsParents && chains > room;
  const rows = Math.min(wanted, hasSpare ? room - 1 : room);
  if (rows >= wanted) return { rows, keepsParents };
  const bytesPerRow = bytesOf(config, executor, tokens);
  return { rows, keepsParents, event: { kind: 'plan', rows, wanted, tokens, bytesPerRow } };
}

/** Rows that fit when they all have their first `shared` tokens in common. */
function roomFor(executor: Executor, config: ModelConfig, tokens: number, shared: number): number {
  if (!executor.room) return Number.POSITIVE_INFINITY;
  const apart = executor.room(tokens);
  if (shared === 0) return apart;
  // the executor counts rows that are forked; what they share has to be there first, in place of some of them
  const { fixed, perToken } = stateSize(config);
  const own = fixed + perToken * (tokens - shared);
  const together =
    executor.room(tokens, shared) - (own > 0 ? Math.ceil((perToken * shared) / own) : 0);
  return Math.max(apart, together);
}

/** State of one sequence of so many tokens, in bytes. */
function bytesOf(config: ModelConfig, { info }: Executor, tokens: number): number {
  const { fixed, perToken } = stateSize(config);
  return (info.precision === 'float64' ? 8 : 4) * (fixed + tokens * perToken);
}

function outOfMemory(config: ModelConfig, executor: Executor, tokens: number): BackendError {
  return new BackendError(
    `memory: expected room for one sequence of ${tokens} tokens ` +
      `(${bytesOf(config, executor, tokens)} bytes of state) on ${executor.info.backend}, found none; ` +
      'give fewer maxTokens or a shorter prompt, release other rows, or take a smaller model',
    'OutOfMemory',
  );
}
