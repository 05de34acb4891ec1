/** One match: all opened in processes of their own, their losses compared, and only then timed, round after round. */

import { type Programs, TrainerProcess } from './process.ts';
import type { Who } from './protocol.ts';

export interface Contender {
  readonly who: Who;
  readonly threads: number;
}

export interface MatchOptions extends Programs {
  readonly rounds: number;
  /** Of one contestant in a round, about. */
  readonly seconds: number;
}

/** What became of a contestant. */
export interface Outcome extends Contender {
  readonly info: string;
  /** The losses before the first steps. */
  readonly losses: readonly number[];
  /** The largest relative difference of a loss from ours. */
  readonly difference: number;
  /** Why it was not timed: its losses are wrong, or it did not get so far. */
  readonly problem?: { readonly kind: 'wrong' | 'failed'; readonly text: string };
  /** Milliseconds a step, of every round: wall time, and CPU time of all its threads. */
  readonly ms: readonly number[];
  readonly cpuMs: readonly number[];
  readonly peakBytes?: number;
}

/** An outcome while it is being measured. */
type Timed = Omit<Outcome, 'ms' | 'cpuMs' | 'problem' | 'peakBytes'> & {
  ms: number[];
  cpuMs: number[];
  problem?: Outcome['problem'];
  peakBytes?: number;
};

/** Steps whose losses are compared: before the first, and after one and two of AdamW. */
const COMPARED = 3;
/** Float32 sums in other orders differ by 1e-6; a wrong β₂, the least of the faults that were tried, by 1e-4 to 2e-4. */
export const BOUND = 1e-4;
const MOST_STEPS = 50;

/**
 * How far losses are from ours, as a share of ours: the largest. Not a number where one of them is not, or is missing:
 * it is then not within any bound.
 */
export function differenceOf(losses: readonly number[], ours: readonly number[]): number {
  if (losses.length !== ours.length) return Number.NaN;
  // Math.max lets no NaN pass
  return Math.max(...losses.map((loss, i) => Math.abs(loss - ours[i]) / Math.abs(ours[i])));
}

/** @throws Error where ours, the first contender, fails: the others are measured by it. */
export async function playMatch(
  folder: string,
  contenders: readonly Contender[],
  options: MatchOptions,
): Promise<Outcome[]> {
  const opened = contenders.map(({ who, threads }) => new TrainerProcess(who, threads, options));
  try {
    const outcomes: Outcome[] = [];
    for (const [i, contender] of contenders.entries()) {
      const process = opened[i];
      const outcome = await verify(folder, process, contender, outcomes[0]?.losses);
      outcomes.push(outcome);
      if (outcome.problem === undefined) continue;
      if (i === 0) throw new Error(outcome.problem.text);
      await process.end();
    }
    return await time(outcomes, opened, options);
  } finally {
    for (const process of opened) await process.end();
  }
}

async function verify(
  folder: string,
  process: TrainerProcess,
  { who, threads }: Contender,
  ours?: readonly number[],
): Promise<Outcome> {
  let info = '';
  let losses: readonly number[] = [];
  const outcome = (difference: number, problem?: Outcome['problem']): Outcome => ({
    ...{ who, threads, info, losses, difference, ms: [], cpuMs: [] },
    ...(problem !== undefined && { problem }),
  });
  try {
    ({ info } = await process.ask({ ask: 'open', folder, threads }));
    ({ losses } = await process.ask({ ask: 'train', steps: COMPARED }));
  } catch (error) {
    return outcome(Number.NaN, { kind: 'failed', text: textOf(error) });
  }
  const wanted = ours ?? losses;
  const difference = differenceOf(losses, wanted);
  if (difference <= BOUND) return outcome(difference);
  const text = `expected losses ${wanted.join(', ')}, got ${losses.join(', ')}; nothing wrong is timed`;
  return outcome(difference, { kind: 'wrong', text });
}

async function time(
  outcomes: readonly Outcome[],
  opened: readonly TrainerProcess[],
  { rounds, seconds }: MatchOptions,
): Promise<Outcome[]> {
  const timed = outcomes.map((outcome) => ({ ...outcome, ms: [], cpuMs: [] }) as Timed);
  /** One that fails here, for want of memory, say, must not take the others with it. */
  const train = async (i: number, steps: number) => {
    if (timed[i].problem) return undefined;
    try {
      return await opened[i].ask({ ask: 'train', steps });
    } catch (error) {
      if (i === 0) throw error;
      timed[i].problem = { kind: 'failed', text: textOf(error) };
      await opened[i].end();
      return undefined;
    }
  };
  const order = [...timed.keys()];
  const steps: number[] = [];
  for (const i of order) {
    const pilot = await train(i, 1);
    steps[i] = pilot
      ? Math.min(Math.max(Math.round((1000 * seconds) / pilot.ms), 1), MOST_STEPS)
      : 0;
  }
  // the round before the first does not count: engines still compile their loops
  for (let round = -1; round < rounds; round++) {
    // whoever comes second finds other caches: turn about
    for (const i of round % 2 === 0 ? order : [...order].reverse()) {
      const answer = await train(i, steps[i]);
      if (!answer || round < 0) continue;
      timed[i].ms.push(answer.ms / steps[i]);
      timed[i].cpuMs.push(answer.cpuMs / steps[i]);
    }
  }
  for (const i of order) timed[i].peakBytes = opened[i].peakBytes();
  return timed;
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
