/** The table of the matches: medians with their ranges, ratios within rounds, and the share of the ceiling. */

import { buildPlan, costOf, totalCost } from '../../lib/plan/index.ts';
import { print, short } from '../report.ts';
import { type Spread, spreadOf } from '../timing.ts';
import type { Ceilings } from './ceilingRun.ts';
import { type Difference, type MatchResult, PROMPT, type Side } from './match.ts';
import { configOf } from './models.ts';
import type { Cell, Who } from './protocol.ts';

/** One line of the table, with all rounds behind it. */
export interface Line extends Pick<Cell, 'model' | 'dtype' | 'batch' | 'threads'> {
  /** Tokens of the prompt where that is what was timed. */
  readonly prefill?: number;
  readonly sides: readonly Side[];
  readonly difference?: Difference;
  /** Ours over theirs, round by round. */
  readonly ratio?: Spread;
  /** The shortest time that the ceilings allow over the time that ours took. */
  readonly share?: number;
  /** What that shortest time is made of. */
  readonly bound: 'memory' | 'arithmetic';
}

/** Bytes of a number in Q8_0: 34 for every 32. */
const BYTES_INT8 = 34 / 32;

export const TABLE_HEAD = [
  '',
  '| model | dtype | batch | threads | ours, tokens/s | llama.cpp, tokens/s | ratio | of the ceiling | peak MB ours | theirs | logits apart |',
  '|---|---|---|---|---|---|---|---|---|---|---|',
];

export function lineOf(
  cell: Cell,
  prefill: number | undefined,
  { sides, difference, tokens }: MatchResult,
  ceilings: Ceilings,
): Line {
  const [ours, theirs] = (['ours', 'llama.cpp'] as const).map((who) => sideOf(sides, who));
  const { seconds, bound } = shortest(cell, prefill, tokens, ceilings);
  const perCall = prefill ?? cell.batch;
  const { model, dtype, batch, threads } = cell;
  return {
    ...{ model, dtype, batch, threads, sides, bound },
    ...(prefill && { prefill }),
    ...(difference && { difference }),
    ...(ours && theirs && { ratio: spreadOf(ours.rates.map((rate, i) => rate / theirs.rates[i])) }),
    ...(ours && { share: (seconds * spreadOf(ours.rates).median) / perCall }),
  };
}

export function printLine(line: Line): void {
  const { model, dtype, batch, prefill, threads, sides, ratio, share, bound, difference } = line;
  const [ours, theirs] = (['ours', 'llama.cpp'] as const).map((who) => sideOf(sides, who));
  const rate = (side?: Side) => (side ? spread(spreadOf(side.rates)) : '');
  const megabytes = (side?: Side) => (side ? (side.peakBytes / 1e6).toFixed(0) : '');
  const cells = [
    model,
    dtype,
    prefill ? `prefill ${prefill}` : batch,
    threads,
    rate(ours),
    rate(theirs),
    ratio ? spread(ratio) : '',
    share === undefined ? '' : `${(100 * share).toFixed(0)} % ${bound}`,
    megabytes(ours),
    megabytes(theirs),
    difference ? difference.worst.toExponential(0) : '',
  ];
  print(`| ${cells.join(' | ')} |`);
}

const spread = ({ median, min, max }: Spread) => `${short(median)} [${short(min)}–${short(max)}]`;
const sideOf = (sides: readonly Side[], who: Who) => sides.find((side) => side.who === who);

/**
 * The shortest time for one step of all rows, or for a prompt: weights and state read once at the bandwidth
 * measured, or all multiply-adds at the speed measured, whichever takes longer.
 */
function shortest(
  cell: Cell,
  prefill: number | undefined,
  tokens: number,
  { byThreads }: Ceilings,
): { seconds: number; bound: Line['bound'] } {
  const plan = buildPlan(configOf(cell), prefill ? 'prefill' : 'step');
  const load = prefill
    ? { rows: 1, tokens: prefill, position: 0 }
    : { rows: cell.batch, tokens: 1, position: PROMPT + tokens };
  const cost = totalCost(costOf(plan, load));
  const ceiling = byThreads.find(({ threads }) => threads === cell.threads);
  if (!ceiling) return { seconds: Number.NaN, bound: 'memory' };
  const weights = cell.dtype === 'f32' ? cost.weightBytes : (cost.weightBytes * BYTES_INT8) / 4;
  const memory = (weights + cost.stateReadBytes + cost.stateWriteBytes) / ceiling.read;
  const arithmetic = (2 * cost.macs) / (ceiling.fusedMultiplyAdd ?? ceiling.multiplyThenAdd);
  return memory > arithmetic
    ? { seconds: memory, bound: 'memory' }
    : { seconds: arithmetic, bound: 'arithmetic' };
}
