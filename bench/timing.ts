/** Timing that a drifting machine cannot fool: contestants take turns, and ratios are taken round by round. */

export interface Spread {
  median: number;
  min: number;
  max: number;
}

/** What one contestant took. */
export interface Timing {
  /** Wall time of one call in ms, one number a round. */
  samples: readonly number[];
  /** CPU time of one call in ms, of all threads of this process; the median. */
  cpuMs: number;
}

export interface RaceOptions {
  /** Time for all rounds together; three rounds are run whatever they take. */
  seconds: number;
  mostRounds?: number;
}

const LEAST_ROUNDS = 3;
/** Fast contestants are called so long in a row that a sample is not all cold caches and clock ticks. */
const SAMPLE_MS = 20;
const MOST_CALLS = 4;
/** And before that so often, uncounted, that kernels are built and the engine has compiled the loops. */
const WARM_UP_MS = 500;
const MOST_WARM_UPS = 12;

/**
 * Times each contestant in turn, round after round. What each is warmed up with is not counted, unless it is
 * so slow that three rounds more would be a waste.
 */
export async function race(
  contestants: readonly (() => unknown)[],
  { seconds, mostRounds = 9 }: RaceOptions,
): Promise<Timing[]> {
  const pilots = [];
  for (const run of contestants) pilots.push(await warmUp(run));
  const calls = pilots.map(({ ms }) => clamp(Math.floor(SAMPLE_MS / ms), 1, MOST_CALLS));
  const roundMs = pilots.reduce((sum, { ms }, i) => sum + ms * calls[i], 0);
  const affordable = Math.floor((1000 * seconds) / roundMs);
  const samples = pilots.map((pilot) => (affordable < LEAST_ROUNDS ? [pilot] : []));
  const rounds = clamp(affordable, LEAST_ROUNDS, mostRounds) - samples[0].length;
  for (let round = 0; round < rounds; round++) {
    for (const [i, run] of contestants.entries()) samples[i].push(await clock(run, calls[i]));
  }
  return samples.map((all) => ({
    samples: all.map(({ ms }) => ms),
    cpuMs: spreadOf(all.map(({ cpuMs }) => cpuMs)).median,
  }));
}

/** Calls until it is warm; returns what the last call took. */
async function warmUp(run: () => unknown): Promise<{ ms: number; cpuMs: number }> {
  const start = performance.now();
  for (let calls = 1; ; calls++) {
    const last = await clock(run);
    if (calls === MOST_WARM_UPS || performance.now() - start > WARM_UP_MS) return last;
  }
}

/** Wall and CPU time of a call, averaged over some calls in a row. */
export async function clock(run: () => unknown, calls = 1): Promise<{ ms: number; cpuMs: number }> {
  const cpu = process.cpuUsage();
  const start = performance.now();
  for (let i = 0; i < calls; i++) await run();
  const ms = (performance.now() - start) / calls;
  const { user, system } = process.cpuUsage(cpu);
  return { ms, cpuMs: (user + system) / 1000 / calls };
}

export function spreadOf(samples: readonly number[]): Spread {
  const sorted = [...samples].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  return { median, min: sorted[0], max: sorted[sorted.length - 1] };
}

/** How many times as long `other` took as `mine`, compared within each round. */
export function timesOf(mine: Timing, other: Timing): Spread {
  return spreadOf(mine.samples.map((ms, round) => other.samples[round] / ms));
}

function clamp(n: number, least: number, most: number): number {
  return Math.min(Math.max(n, least), most);
}
