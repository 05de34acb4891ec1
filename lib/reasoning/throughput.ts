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

/** A speed with chains of so many tokens, the prompt's among them. */
export interface SpeedAtLength {
  readonly context: number;
  readonly tokensPerSecond: number;
}

export interface ThroughputCurve {
  /** Tokens of the prompt. */
  readonly promptTokens: number;
  /** Tokens that each chain had where rows were compared, its prompt among them. */
  readonly context: number;
  /** From 1 row on, doubled each time. */
  readonly points: readonly Throughput[];
  /** The fewest rows whose speed is within 2 % of the best. */
  readonly best: Throughput;
  /** That many rows with chains of several lengths, from the prompt alone to the longest, or what memory holds. */
  readonly byLength: readonly SpeedAtLength[];
  /** Why it ends: more rows were no faster, memory holds no more, or no more were asked for. */
  readonly end: 'flat' | 'memory' | 'limit';
}

export interface ThroughputOptions {
  /** Tokens of a usual prompt. */
  readonly prompt: readonly number[];
  /** New tokens of a chain, at most. Rows are compared with half of them. */
  readonly maxTokens: number;
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

/** Tokens that a row takes in while it is timed, at most: a guess for what has to fit. */
const ROOM = 64;

/**
 * Times steps of 1, 2, 4, … chains until tokens a second stop growing twice in a row, or memory ends; then steps of the best
 * number with shorter and longer chains.
 * @throws ConfigError for an empty prompt; BackendError with code OutOfMemory where not one chain fits; SelscanError with code
 *   Aborted when the signal fires.
 */
export async function measureThroughput(
  executor: Executor,
  options: ThroughputOptions,
): Promise<ThroughputCurve> {
  const { prompt, maxTokens, maxRows = 1024 } = options;
  if (prompt.length === 0) throw new ConfigError('prompt: expected at least one token, got none');
  const context = prompt.length + Math.ceil(maxTokens / 2);
  const points: Throughput[] = [];
  const fastest = () => Math.max(0, ...points.map(({ tokensPerSecond }) => tokensPerSecond));
  let end: ThroughputCurve['end'] = 'limit';
  let flat = 0;
  await withRows(executor, repeated(prompt, context), options, async (grow, time) => {
    for (let rows = 1; rows <= maxRows; rows *= 2) {
      if (!(await grow(rows))) {
        end = 'memory';
        return;
      }
      const before = fastest();
      const tokensPerSecond = rows / (await time());
      points.push({ rows, tokensPerSecond });
      flat = tokensPerSecond < (1 + GAIN) * before ? flat + 1 : 0;
      if (flat >= 2 && rows >= FEWEST_ROWS) {
        end = 'flat';
        return;
      }
    }
  });
  const most = fastest();
  const best = points.find(({ tokensPerSecond }) => tokensPerSecond >= 0.98 * most) as Throughput;
  const byLength: SpeedAtLength[] = [];
  for (const share of [0, 0.25, 0.5, 1]) {
    const length = prompt.length + Math.ceil(share * maxTokens);
    if (length === context) {
      byLength.push({ context, tokensPerSecond: best.tokensPerSecond }); // timed above
      continue;
    }
    await withRows(executor, repeated(prompt, length), options, async (grow, time) => {
      if (!(await grow(best.rows))) return;
      byLength.push({ context: length, tokensPerSecond: best.rows / (await time()) });
    });
  }
  const promptTokens = prompt.length;
  return { promptTokens, context, points, best, byLength, end };
}

const repeated = (tokens: readonly number[], length: number) =>
  Array.from({ length }, (_, i) => tokens[i % tokens.length]);

/** Makes rows that have taken in a context, each with a state of its own, and releases them at the end. */
async function withRows(
  executor: Executor,
  context: readonly number[],
  options: ThroughputOptions,
  work: (grow: (count: number) => Promise<boolean>, time: () => Promise<number>) => Promise<void>,
): Promise<void> {
  const [{ row }] = await executor.prefill([context]);
  const rows: Row[] = [row];
  try {
    const state = await executor.save(row);
    const grow = async (count: number) => {
      const missing = count - rows.length;
      const room = executor.room?.(context.length + ROOM) ?? Number.POSITIVE_INFINITY;
      if (missing > room) return false;
      while (rows.length < count) rows.push(await executor.load(state));
      return true;
    };
    await work(grow, () => medianStep(executor, rows, context, options));
  } finally {
    for (const each of rows) executor.release(each);
  }
}

/** Seconds of a step of all rows; the first is not counted. */
async function medianStep(
  executor: Executor,
  rows: readonly Row[],
  context: readonly number[],
  { seconds = 0.25, signal, now = () => performance.now() }: ThroughputOptions,
): Promise<number> {
  const times: number[] = [];
  const start = now();
  for (let step = 0; step < ROOM; step++) {
    if (times.length >= FEWEST_STEPS && now() - start > 1000 * seconds) break;
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
