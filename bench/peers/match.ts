/** One match: both sides opened in processes of their own, compared, and only then timed, round after round. */

import { largestOf } from '../smallModels.ts';
import { configOf, tokensOf } from './models.ts';
import { ContestantProcess, type ProcessOptions } from './process.ts';
import type { Cell, Entry, Who } from './protocol.ts';

export interface MatchOptions {
  readonly file: string;
  readonly backend: string;
  /** Who takes part. */
  readonly sides: readonly Who[];
  readonly rounds: number;
  /** Of one round of one side, about. */
  readonly seconds: number;
  /** The process of ours. */
  readonly ours: ProcessOptions;
}

export interface Side {
  readonly who: Who;
  readonly info: string;
  readonly node: string;
  /** Tokens a second over all sequences, of every round. */
  readonly rates: number[];
  /** CPU milliseconds a token, all threads together, of every round. */
  readonly cpuMs: number[];
  readonly peakBytes: number;
}

export interface MatchResult {
  readonly sides: readonly Side[];
  /** How far the sides' logits were apart; absent where only one took part. */
  readonly difference?: Difference;
  /** Tokens of every sequence in a round. */
  readonly tokens: number;
}

export interface Difference {
  /** The largest difference over the largest logit. */
  readonly worst: number;
  /** Root mean square of the differences over that of the logits. */
  readonly typical: number;
}

/** Tokens of a prompt of a sequence that decodes. */
export const PROMPT = 16;
/** A round of one step would measure the clock. */
const LEAST_STEPS = 2;

/**
 * What is allowed of a {@link Difference}. Float32 rounds. 8 bits round more: over Mamba's 24 layers our logits are 4 to
 * 5 % from our float32 ones (measured; nearly all of it the weights'), and llama.cpp's have 8-bit activations besides, so
 * that the two are as far apart as each is from float32.
 */
const ALLOWED: Record<Cell['dtype'], Difference> = {
  f32: { worst: 1e-3, typical: 1e-3 },
  int8: { worst: 0.2, typical: 0.1 },
};

/** Steps of a round at most: as many tokens must fit a sequence, once a round and once to warm up. */
export function mostSteps(batch: number): number {
  return batch >= 32 ? 8 : batch >= 8 ? 16 : 32;
}

/** Room for every token that a match of decoding can take. */
export function contextOf(batch: number, rounds: number): number {
  return PROMPT + (rounds + 1) * mostSteps(batch) + 2;
}

/**
 * Decodes, or takes in prompts where `promptLength` is given.
 * @throws Error naming the difference where the sides' logits disagree: what is wrong is not timed.
 */
export async function playMatch(
  cell: Cell,
  options: MatchOptions,
  promptLength?: number,
): Promise<MatchResult> {
  const { file, backend, sides, rounds } = options;
  const processes: { who: Who; process: ContestantProcess; info: string; node: string }[] = [];
  try {
    for (const who of sides) {
      const process = new ContestantProcess(who === 'ours' ? options.ours : {});
      const entry: Entry = { who, cell, file, backend };
      processes.push({ who, process, info: '', node: '' });
      Object.assign(processes[processes.length - 1], await process.ask({ ask: 'open', entry }));
    }
    const difference = await compare(cell, processes);
    const run = promptLength
      ? prefillRound(cell, promptLength)
      : await decodeRound(cell, processes, options.seconds);
    const rates = processes.map((): number[] => []);
    const cpuMs = processes.map((): number[] => []);
    for (let round = 0; round < rounds; round++) {
      // whoever comes second finds other caches: turn about
      const order = [...processes.keys()];
      for (const i of round % 2 === 0 ? order : order.reverse()) {
        const time = await run.play(processes[i].process);
        rates[i].push((1000 * run.tokens * run.rows) / time.ms);
        cpuMs[i].push(time.cpuMs / (run.tokens * run.rows));
      }
    }
    const played: Side[] = [];
    for (const [i, { who, process, info, node }] of processes.entries()) {
      const { peakBytes } = await process.ask({ ask: 'memory' });
      played.push({ who, info, node, rates: rates[i], cpuMs: cpuMs[i], peakBytes });
    }
    return { sides: played, difference, tokens: run.tokens };
  } finally {
    for (const { process } of processes) await process.end();
  }
}

interface Round {
  /** Of one sequence. */
  readonly tokens: number;
  readonly rows: number;
  play(process: ContestantProcess): Promise<{ ms: number; cpuMs: number }>;
}

function prefillRound(cell: Cell, length: number): Round {
  const prompt = tokensOf(configOf(cell), length, 0);
  return { tokens: length, rows: 1, play: (process) => process.ask({ ask: 'prefill', prompt }) };
}

/** Starts all sequences, warms up, and finds how many steps a round has: the same for all sides. */
async function decodeRound(
  cell: Cell,
  processes: readonly { process: ContestantProcess }[],
  seconds: number,
): Promise<Round> {
  const config = configOf(cell);
  const prompts = Array.from({ length: cell.batch }, (_, b) => tokensOf(config, PROMPT, b));
  const most = mostSteps(cell.batch);
  let slowest = 0;
  for (const { process } of processes) {
    await process.ask({ ask: 'start', prompts });
    const { ms } = await process.ask({ ask: 'decode', steps: LEAST_STEPS });
    slowest = Math.max(slowest, ms / LEAST_STEPS);
  }
  const steps = Math.min(Math.max(Math.round((1000 * seconds) / slowest), LEAST_STEPS), most);
  // a round that does not count: engines still compile the loops in the first steps
  for (const { process } of processes) await process.ask({ ask: 'decode', steps });
  return {
    tokens: steps,
    rows: cell.batch,
    play: (process) => process.ask({ ask: 'decode', steps }),
  };
}

/** Logits of up to two sequences of different lengths, after the prompt and after forced tokens. */
async function compare(
  cell: Cell,
  processes: readonly { who: Who; process: ContestantProcess }[],
): Promise<Difference | undefined> {
  const config = configOf(cell);
  const rows = [...Array(Math.min(cell.batch, 2)).keys()];
  const prompts = rows.map((b) => tokensOf(config, 7 + 4 * b, b));
  const tokens = rows.map((b) => tokensOf(config, 3, 50 + b));
  const answers: Float32Array[][][] = [];
  for (const { process } of processes) {
    answers.push(await process.ask({ ask: 'logits', prompts, tokens }));
  }
  if (answers.length < 2) return undefined;
  const [mine, theirs] = answers.map((answer) => answer.flat());
  const difference = differenceOf(mine, theirs);
  const allowed = ALLOWED[cell.dtype];
  if (difference.worst <= allowed.worst && difference.typical <= allowed.typical) return difference;
  const { worst, typical } = difference;
  throw new Error(
    `${processes.map(({ who }) => who).join(' and ')}: expected the same logits, got ones that differ by ` +
      `${worst.toExponential(1)} of the largest, ${typical.toExponential(1)} of the typical; nothing wrong is timed`,
  );
}

/** Not a number where one of them is: it is then not within any bound. */
export function differenceOf(
  mine: readonly Float32Array[],
  theirs: readonly Float32Array[],
): Difference {
  let [worst, largest, differences, squares] = [0, 0, 0, 0];
  for (const [i, vector] of mine.entries()) {
    largest = Math.max(largest, largestOf(theirs[i]));
    vector.forEach((x, k) => {
      const difference = Math.abs(x - theirs[i][k]);
      if (difference > worst || Number.isNaN(difference)) worst = difference;
      differences += difference ** 2;
      squares += theirs[i][k] ** 2;
    });
  }
  return { worst: worst / largest, typical: Math.sqrt(differences / squares) };
}
