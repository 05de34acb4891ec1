/** Each model's accuracy against samples and against seconds, and where two models cross. */

import { type Aggregate, type AggregateOptions, aggregate } from '../reasoning/aggregate.ts';
import type { LedgerChain } from '../reasoning/chain.ts';
import type { Policy } from '../reasoning/problemMetrics.ts';
import { type ReplayPoint, replay } from '../reasoning/replay.ts';
import type { RunModel } from '../reasoning/runFolder.ts';

/** The policies that a report draws, and what they are called there. */
export const DRAWN: readonly { policy: Policy; name: string }[] = [
  { policy: 'coverage', name: 'coverage: any is right' },
  { policy: 'sound', name: 'sound chain: any is right in every step' },
  { policy: 'majority', name: 'majority vote' },
  { policy: 'weighted', name: 'reward-weighted vote' },
  { policy: 'bestOfN', name: 'best by reward' },
];

/** The policies that some model has a curve of. */
export const drawnOf = (models: readonly ModelCurves[]) =>
  DRAWN.filter(({ policy }) => models.some(({ curves }) => curves[policy]));

/** One accuracy with its 95 % interval over problems. */
export interface CurvePoint {
  /** Chains of each problem. */
  readonly samples: number;
  /** For each problem, at the speed of the best batch; absent where no speed was measured. */
  readonly seconds?: number;
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

export interface ModelCurves {
  readonly name: string;
  /** What the run knows of it; absent for ledgers of other tools. */
  readonly known?: RunModel;
  readonly aggregate: Aggregate;
  /** New tokens of a chain, on average. */
  readonly meanTokens: number;
  /** New tokens a second of the best batch; where none was measured, of the run itself. */
  readonly tokensPerSecond?: number;
  readonly curves: { readonly [policy in Policy]?: readonly CurvePoint[] };
  /** What it had answered as the run went on; seconds are a problem's: of a run in turns, its own by the number of problems. */
  readonly replay: readonly ReplayPoint[];
}

export interface CurvesOptions extends AggregateOptions {
  /** Models in the order in which they are shown; others behind. */
  readonly names?: readonly string[];
  /** Models that solved one problem after the other: their seconds count from the start of each problem. */
  readonly perProblem?: ReadonlySet<string>;
}

/** The curves of each model of some chains, in the order of `names`, others behind. */
export function curvesOf(
  chains: readonly LedgerChain[],
  known: ReadonlyMap<string, RunModel>,
  { names = [], perProblem = new Set(), ...judging }: CurvesOptions = {},
): ModelCurves[] {
  // each alone: one that has fewer chains shortens nobody else's curve
  const all = [...new Set(chains.map(({ model }) => model))].sort().map((model) => {
    const own = chains.filter((chain) => chain.model === model);
    const name = model ?? 'model';
    const result = aggregate(own, judging)[0];
    const facts = { isPerProblem: perProblem.has(name), known: known.get(name) };
    return modelCurves(name, own, result, facts, judging);
  });
  const placeOf = ({ name }: ModelCurves) =>
    names.includes(name) ? names.indexOf(name) : names.length;
  return all.sort((a, b) => placeOf(a) - placeOf(b));
}

function modelCurves(
  name: string,
  chains: readonly LedgerChain[],
  result: Aggregate,
  { known, isPerProblem }: { known: RunModel | undefined; isPerProblem: boolean },
  grading: AggregateOptions,
): ModelCurves {
  const tokens = chains.map((chain) => chain.tokens ?? 0);
  const meanTokens = tokens.reduce((sum, count) => sum + count, 0) / chains.length;
  const tokensPerSecond = speedAt(known, meanTokens) ?? speedOfRun(chains, isPerProblem);
  const pointsOf = (policy: Policy): CurvePoint[] => {
    const values = result[policy];
    const intervals = result.intervals[policy];
    return Object.entries(values ?? {}).map(([k, value]) => ({
      samples: Number(k),
      ...(tokensPerSecond && meanTokens > 0
        ? { seconds: (Number(k) * meanTokens) / tokensPerSecond }
        : {}),
      ...{ value, low: intervals?.[k]?.[0] ?? value, high: intervals?.[k]?.[1] ?? value },
    }));
  };
  const curves = Object.fromEntries(
    DRAWN.map(({ policy }) => [policy, pointsOf(policy)] as const).filter(
      ([, points]) => points.length > 0,
    ),
  );
  const { extract, canonical, stepRewards } = grading;
  const how = { ...(extract && { extract }), ...(canonical && { canonical }) };
  const played = replay(chains, result.problems, { ...how, ...(stepRewards && { stepRewards }) });
  return {
    ...{ name, aggregate: result, meanTokens, curves },
    ...(known && { known }),
    ...(tokensPerSecond !== undefined && { tokensPerSecond }),
    replay: played.map((point) => ({
      ...point,
      seconds: point.seconds / (isPerProblem ? 1 : result.problems),
    })),
  };
}

/** The best batch's speed at half of a usual chain, between the lengths that were timed. */
function speedAt(known: RunModel | undefined, meanTokens: number): number | undefined {
  const { throughput } = known ?? {};
  if (!throughput) return undefined;
  const length = throughput.promptTokens + meanTokens / 2;
  const points = throughput.byLength;
  const after = points.findIndex(({ context }) => context >= length);
  if (after === 0) return points[0].tokensPerSecond;
  if (after < 0) return points[points.length - 1].tokensPerSecond;
  const [a, b] = [points[after - 1], points[after]];
  const share = (length - a.context) / (b.context - a.context);
  // seconds of a token grow evenly with the length
  return 1 / ((1 - share) / a.tokensPerSecond + share / b.tokensPerSecond);
}

/** New tokens a second of sampling, idle rows at its ends included. */
function speedOfRun(chains: readonly LedgerChain[], isPerProblem: boolean): number | undefined {
  const ends = new Map<string | number, number>();
  for (const { problem, seconds = 0 } of chains) {
    const clock = isPerProblem ? problem : 0;
    ends.set(clock, Math.max(ends.get(clock) ?? 0, seconds));
  }
  const seconds = [...ends.values()].reduce((sum, end) => sum + end, 0);
  const tokens = chains.reduce((sum, chain) => sum + (chain.tokens ?? 0), 0);
  return seconds > 0 && tokens > 0 ? tokens / seconds : undefined;
}

/** Where one model's curve comes above another's for good. */
export interface Crossing {
  readonly model: string;
  readonly reference: string;
  readonly policy: Policy;
  /** Seconds a problem from which on it is ahead; absent where it is not, up to `within`. 0: from the start. */
  readonly seconds?: number;
  /** Seconds up to which both have points. */
  readonly within: number;
  /** How far it is ahead there, in shares of the problems; negative: behind. */
  readonly lead: number;
  /** The highest point of its curve, whatever that took, and the fewest drawn chains with which the reference is there too. */
  readonly best: { readonly value: number; readonly samples: number; readonly matchedBy?: number };
}

/**
 * Compares two models at equal seconds, between their points on a line in the logarithm of seconds. Left of its first point a
 * model has no answer yet.
 */
export function crossingOf(
  model: ModelCurves,
  reference: ModelCurves,
  policy: Policy,
): Crossing | undefined {
  const [own, other] = [model, reference].map((one) => timed(one.curves[policy] ?? []));
  if (own.length === 0 || other.length === 0) return undefined;
  const within = Math.min(own[own.length - 1].seconds, other[other.length - 1].seconds);
  const leadAt = (seconds: number) => at(own, seconds) - at(other, seconds);
  const moments = [...own, ...other, { seconds: within }]
    .map(({ seconds }) => seconds)
    .filter((seconds) => seconds <= within)
    .sort((a, b) => a - b);
  const best = own.reduce((high, point) => (point.value > high.value ? point : high));
  const matched = other.find(({ value }) => value >= best.value);
  const common = {
    ...{ model: model.name, reference: reference.name, policy, within },
    best: {
      ...{ value: best.value, samples: best.samples },
      ...(matched && { matchedBy: matched.samples }),
    },
  };
  const lead = leadAt(within);
  if (!(lead > 0)) return { ...common, lead };
  const behind = moments.findLastIndex((seconds) => leadAt(seconds) <= 0);
  if (behind < 0) return { ...common, lead, seconds: 0 };
  let [low, high] = [moments[behind], moments[behind + 1] ?? within];
  for (let i = 0; i < 60; i++) {
    const middle = Math.sqrt(low * high);
    if (leadAt(middle) > 0) high = middle;
    else low = middle;
  }
  return { ...common, lead, seconds: high };
}

type Timed = CurvePoint & { seconds: number };

const timed = (points: readonly CurvePoint[]): Timed[] =>
  points
    .filter((point): point is Timed => point.seconds !== undefined)
    .sort((a, b) => a.seconds - b.seconds);

/** A curve's value at some seconds: 0 before its first point, its last value after the last. */
function at(points: readonly Timed[], seconds: number): number {
  const after = points.findIndex((point) => point.seconds >= seconds * (1 - 1e-12));
  if (after < 0) return points[points.length - 1].value;
  if (after === 0) return points[0].seconds <= seconds * (1 + 1e-12) ? points[0].value : 0;
  const [a, b] = [points[after - 1], points[after]];
  const share = Math.log(seconds / a.seconds) / Math.log(b.seconds / a.seconds);
  return a.value + share * (b.value - a.value);
}
