/** How fast a model decodes, against how many chains it decodes at a time. */

import type { Executor, Row } from '../../backends/types.ts';
import { ConfigError, SelscanError } from '../../reference/errors.ts';

/** A measured speed. */
export interface Throughput {
  /** Chains side by side. */
  readonly rows: number;
  /** New tokens a second, all chains together: the median of its steps. */
  readonly tokensPerSecond: number;
}

export interface ThroughputCurve {
  /** Tokens that each chain had, its prompt among them. */
  readonly context: number;
  /** From 1 row on, doubled each time. */
  readonly points: readonly Throughput[];
  /** The fewest rows whose speed is within 2 % of the best. */
  readonly best: Throughput;
  /** Why it ends: more rows were no faster, memory holds no more, or no more were asked for. */
  readonly end: 'flat' | 'memory' | 'limit';
}

export interface ThroughputOptions {
  /** Tokens that each chain has when it is timed: half of a usual chain, and its prompt. */
  readonly context: readonly number[];
  /** Most rows. Default 1,024. */
  readonly maxRows?: number;
  /** Seconds of steps at each number of rows, at least. Default 0.25. */
  readonly seconds?: number;
  readonly signal?: AbortSignal;
  /** A monotonic clock in milliseconds. */
  readonly now?: () => number;
}

/** A doubling that gains less than this share is none. */
const GAIN = 0.03;
const FEWEST_STEPS = 5;
/** Fewer rows than this say little: the machine may have been busy. */
const FEWEST_ROWS = 16;

/**
 * Times steps of 1, 2, 4, … chains until tokens a second stop growing twice in a row, or memory ends.
 * @throws ConfigError for an empty context; SelscanError with code Aborted when the signal fires.
 */
export async function measureThroughput(
  executor: Executor,
  {
    context,
    maxRows = 1024,
    seconds = 0.25,
    signal,
    now = () => performance.now(),
  }: ThroughputOptions,
): Promise<ThroughputCurve> {
  if (context.length === 0) throw new ConfigError('context: expected at least one token, got none');
  const points: Throughput[] = [];
  const fastest = () => Math.max(...points.map(({ tokensPerSecond }) => tokensPerSecond));
  let end: ThroughputCurve['end'] = 'limit';
  let flat = 0;
  const [{ row, logits: _unused }] = await executor.prefill([context]);
  const rows: Row[] = [row];
  try {
    const state = await executor.save(row);
    for (let count = 1; count <= maxRows; count *= 2) {
      const missing = count - rows.length;
      if (missing > (executor.room?.(context.length + 64) ?? Number.POSITIVE_INFINITY)) {
        end = 'memory';
        break;
      }
      while (rows.length < count) rows.push(await executor.load(state));
      const before = points.length > 0 ? fastest() : 0;
      const tokensPerSecond =
        count / (await medianStep(executor, rows, context, { seconds, signal, now }));
      points.push({ rows: count, tokensPerSecond });
      flat = tokensPerSecond < (1 + GAIN) * before ? flat + 1 : 0;
      if (flat >= 2 && count >= FEWEST_ROWS) {
        end = 'flat';
        break;
      }
    }
  } finally {
    for (const each of rows) executor.release(each);
  }
  const most = fastest();
  const best = points.find(({ tokensPerSecond }) => tokensPerSecond >= 0.98 * most) as Throughput;
  return { context: context.length, points, best, end };
}

/** Seconds of a step of all rows; the first is not counted. */
async function medianStep(
  executor: Executor,
  rows: readonly Row[],
  context: readonly number[],
  { seconds, signal, now }: { seconds: number; signal?: AbortSignal; now: () => number },
): Promise<number> {
  const times: number[] = [];
  const start = now();
  for (let step = 0; times.length < FEWEST_STEPS || now() - start < 1000 * seconds; step++) {
    if (signal?.aborted) throw new SelscanError('Aborted', 'throughput: aborted by its signal');
    const tokens = rows.map((_, i) => context[(step + i) % context.length]);
    const before = now();
    if (executor.stepAndDraw) {
      await executor.stepAndDraw(
        rows,
        tokens,
        rows.map(() => ({ temperature: 1, u: 0.5 })),
      );
    } else await executor.step(rows, tokens);
    if (step > 0) times.push((now() - before) / 1000);
  }
  times.sort((a, b) => a - b);
  return times[times.length >> 1];
}
