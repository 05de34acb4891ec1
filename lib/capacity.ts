/** How much of a model fits into the memory at hand, and how fast it can be expected to decode: nothing is loaded. */

import type { WeightFormat } from '../backends/types.ts';
import type { ModelConfig } from '../reference/config.ts';
import { weightShapes } from '../reference/model.ts';
import { buildPlan, costOf, totalCost } from './plan/index.ts';

/** Lengths of sequences that are reckoned with, as far as the model's context goes. */
const LENGTHS = [4096, 32_768];
const FORMATS: readonly WeightFormat[] = ['float32', 'int8'];

/** What a machine has. */
export interface MemoryAtHand {
  /** Bytes that a process may still take. */
  readonly freeBytes: number;
  /** Threads that decode; each keeps a little aside. Default 1. */
  readonly threads?: number;
  /** Bytes that can be read in a second. Without it no speed is told. */
  readonly bytesPerSecond?: number;
}

export interface Capacity {
  /** Bytes that there are for weights and sequences on the wasm backend: the less of what is free and what it can address. */
  readonly memoryBytes: number;
  readonly limitedBy: 'machine' | 'wasm';
  readonly freeBytes: number;
  /** Bytes of one sequence of so many tokens, its keys and values in whole pages; float32. */
  readonly sequences: readonly { readonly tokens: number; readonly bytes: number }[];
  /** By how the matrices are stored. */
  readonly stored: readonly StoredCapacity[];
  /** Where it was measured. */
  readonly bytesPerSecond?: number;
}

export interface StoredCapacity {
  readonly weights: WeightFormat;
  /** Bytes of the weights. */
  readonly bytes: number;
  /** Sequences that fit beside the weights; 0 where the weights alone do not. */
  readonly fits: readonly { readonly tokens: number; readonly sequences: number }[];
  /**
   * Tokens of one sequence a second after `tokens` tokens, were moving weights and state all that takes time, at the
   * rate that was measured. Arithmetic makes it less, more threads than measured may make it more.
   */
  readonly speeds?: readonly { readonly tokens: number; readonly tokensPerSecond: number }[];
}

/** Counts what a model takes on the wasm backend. */
export async function capacityOf(
  config: ModelConfig,
  { freeBytes, threads = 1, bytesPerSecond }: MemoryAtHand,
): Promise<Capacity> {
  const [{ footprintOf }, { MOST_BYTES }] = await Promise.all([
    import('../backends/wasm/footprint.ts'),
    import('../backends/wasm/memory.ts'),
  ]);
  const { contextLength = Number.POSITIVE_INFINITY } = config;
  const lengths = [...new Set(LENGTHS.map((tokens) => Math.min(tokens, contextLength)))];
  const step = buildPlan(config, 'step');
  const plans = [buildPlan(config, 'prefill'), step] as const;
  const planned = { plans, shapes: weightShapes(config), threads };
  const memoryBytes = Math.min(freeBytes, MOST_BYTES);
  const stateTraffic = (tokens: number) => {
    const cost = totalCost(costOf(step, { rows: 1, tokens: 1, position: tokens - 1 }));
    return cost.stateReadBytes + cost.stateWriteBytes;
  };
  const stored = FORMATS.map((weights): StoredCapacity => {
    const { weights: bytes, weightsRead, work, sequence } = footprintOf(planned, weights);
    const left = (tokens: number) => Math.max(memoryBytes - bytes - work(tokens), 0);
    return {
      weights,
      bytes,
      fits: lengths.map((tokens) => ({
        tokens,
        sequences: Math.floor(left(tokens) / sequence(tokens)),
      })),
      ...(bytesPerSecond !== undefined && {
        speeds: lengths.map((tokens) => ({
          tokens,
          tokensPerSecond: bytesPerSecond / (weightsRead + stateTraffic(tokens)),
        })),
      }),
    };
  });
  const { sequence } = footprintOf(planned, 'float32');
  return {
    memoryBytes,
    limitedBy: memoryBytes < freeBytes ? 'wasm' : 'machine',
    freeBytes,
    sequences: lengths.map((tokens) => ({ tokens, bytes: sequence(tokens) })),
    stored,
    ...(bytesPerSecond !== undefined && { bytesPerSecond }),
  };
}
