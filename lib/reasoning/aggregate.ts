/** From the chains of a ledger to what each model would have got right with k chains a problem. */

import { ConfigError } from '../../reference/errors.ts';
import type { TiePolicy } from '../../reference/votes.ts';
import { bootstrapIntervals, type Interval } from './bootstrap.ts';
import { type LedgerChain, ledgerError, shown } from './chain.ts';
import { type GradedModel, type GradedProblem, type Grading, gradeChains } from './grade.ts';
import { type Policy, type ProblemMetrics, policiesOf, problemMetrics } from './problemMetrics.ts';

export interface AggregateOptions extends Grading {
  /** How many chains a problem one may look at; default the powers of two up to the fewest chains of a problem. */
  readonly ks?: readonly number[];
  /** Default `all`: the average over all subsets of k chains. `first`: the first k by sample number. */
  readonly order?: 'all' | 'first';
  /** Default `split`; with the order `first`, the answer seen first. */
  readonly ties?: TiePolicy;
  /** Makes subsets and resamples. Default 0. */
  readonly seed?: number;
  /** How often problems are drawn for the intervals; default 1,000. */
  readonly resamples?: number;
  /** Random subsets of each size where no exact average is cheap; default 400. */
  readonly subsets?: number;
}

type ByK<Value> = Readonly<Record<string, Value>>;

/**
 * What a model got right: shares of problems in [0, 1] by k. A chain without an answer is wrong and stays in all
 * denominators. Null where not every chain has a reward.
 */
export interface Aggregate {
  readonly model?: string;
  readonly problems: number;
  readonly chains: number;
  /** Chains in whose text no answer was found. */
  readonly withoutAnswer: number;
  /** Fewest and most chains of a problem. */
  readonly samples: readonly [least: number, most: number];
  /** At least one of k is right: pass@k without bias. */
  readonly coverage: ByK<number>;
  /** At least one of k is right in every step, which no guess is; null where the ledger does not say of each chain. */
  readonly sound: ByK<number> | null;
  /** One chain, at random: the mean over problems of the share of right chains. */
  readonly mean: number;
  /** The answer that most of k give. */
  readonly majority: ByK<number>;
  /** The answer whose chains have most reward together. */
  readonly weighted: ByK<number> | null;
  /** The answer of the chain with most reward. */
  readonly bestOfN: ByK<number> | null;
  /** All of k are right: pass^k. */
  readonly allRight: ByK<number>;
  /** Of the figures of the same name: 95 % intervals, had other problems been asked. */
  readonly intervals: { readonly mean: Interval } & {
    readonly [policy in Policy]?: ByK<Interval>;
  };
  /** Of the figures of the same name and k that were averaged over random subsets only. */
  readonly standardErrors: { readonly [policy in Policy]?: ByK<number> };
  readonly order: 'all' | 'first';
  readonly ties: TiePolicy;
  readonly seed: number;
  readonly resamples: number;
  /** What a reader should know, in sentences. */
  readonly notes: readonly string[];
}

/**
 * Judges the chains of each model.
 * @throws ConfigError for options out of their range; with code LedgerEmpty without chains, LedgerSamples for a k greater than
 *   the number of chains of a problem; and as gradeChains.
 */
export function aggregate(
  chains: readonly LedgerChain[],
  options: AggregateOptions = {},
): Aggregate[] {
  const { order = 'all', seed = 0, resamples = 1000, subsets = 400 } = options;
  const settings = {
    ...{ order, seed, resamples, subsets },
    ties: options.ties ?? (order === 'first' ? ('first' as const) : ('split' as const)),
  };
  checkSettings(settings);
  const models = gradeChains(chains, options);
  if (models.length === 0) throw ledgerError('LedgerEmpty', 'aggregate: expected chains, got none');
  const ks = [...new Set(options.ks ?? usualKs(models))];
  checkKs(ks, models);
  const asked = models.map(({ problems }) => new Set(problems.map(({ problem }) => problem)));
  const shared = [...asked[0]].filter((problem) => asked.every((own) => own.has(problem))).length;
  return models.map((model) => {
    const result = aggregateModel(model, ks, settings);
    if (asked.every(({ size }) => size === shared)) return result;
    const note = `not all models were asked the same problems: all were asked ${shared}, this one ${result.problems}`;
    return { ...result, notes: [...result.notes, note] };
  });
}

interface Settings {
  readonly order: 'all' | 'first';
  readonly ties: TiePolicy;
  readonly seed: number;
  readonly resamples: number;
  readonly subsets: number;
}

function aggregateModel(graded: GradedModel, ks: readonly number[], settings: Settings): Aggregate {
  const { model, problems } = graded;
  const { order, ties, seed, resamples, subsets } = settings;
  const all = problems.flatMap(({ chains }) => chains);
  const withReward = all.filter(({ reward }) => reward !== undefined).length;
  const policies = policiesOf(all);
  const metrics = problems.map(({ chains }, index) => {
    const stream = { seed, index, purpose: 'subsets' as const };
    return problemMetrics({ chains, ks, order, ties, subsets, stream });
  });
  const means = problems.map(
    ({ chains }) => chains.filter((one) => one.isRight).length / chains.length,
  );
  const rows = metrics.map((metric, i) =>
    Float64Array.from([
      means[i],
      ...policies.flatMap((policy) => valuesOf(metric, policy).map(({ value }) => value)),
    ]),
  );
  const intervals = bootstrapIntervals({ rows, resamples, seed });
  const columnOf = (policy: Policy, i: number) => 1 + policies.indexOf(policy) * ks.length + i;
  const byK = <Value>(policy: Policy, of: (column: number) => Value): ByK<Value> =>
    Object.fromEntries(ks.map((k, i) => [k, of(columnOf(policy, i))]));
  const average = (column: number) => rows.reduce((sum, row) => sum + row[column], 0) / rows.length;
  const figures = (policy: Policy) => byK(policy, average);
  const orNull = (policy: Policy) => (policies.includes(policy) ? figures(policy) : null);
  const sampleCounts = problems.map(({ chains }) => chains.length).sort((a, b) => a - b);
  return {
    ...(model !== undefined && { model }),
    ...{ problems: problems.length, chains: all.length },
    withoutAnswer: all.filter(({ form }) => form === null).length,
    samples: [sampleCounts[0], sampleCounts[sampleCounts.length - 1]],
    ...{ coverage: figures('coverage'), mean: average(0), majority: figures('majority') },
    ...{ sound: orNull('sound'), weighted: orNull('weighted'), bestOfN: orNull('bestOfN') },
    allRight: figures('allRight'),
    intervals: {
      mean: intervals[0],
      ...Object.fromEntries(policies.map((p) => [p, byK(p, (column) => intervals[column])])),
    },
    standardErrors: standardErrorsOf(metrics, policies, ks),
    ...{ order, ties, seed, resamples },
    notes: notesOf(graded, withReward),
  };
}

const valuesOf = (metric: ProblemMetrics, policy: Policy) => metric[policy] ?? [];

/** Problems draw their subsets apart, so the errors of their mean add up by their squares. */
function standardErrorsOf(
  metrics: readonly ProblemMetrics[],
  policies: readonly Policy[],
  ks: readonly number[],
): { [policy in Policy]?: ByK<number> } {
  const ofPolicy = (policy: Policy): [string, number][] =>
    ks.flatMap((k, i): [string, number][] => {
      const errors = metrics.flatMap((metric) => valuesOf(metric, policy)[i].standardError ?? []);
      const squares = errors.reduce((sum, error) => sum + error * error, 0);
      return errors.length > 0 ? [[String(k), Math.sqrt(squares) / metrics.length]] : [];
    });
  return Object.fromEntries(
    policies
      .map((policy) => [policy, Object.fromEntries(ofPolicy(policy))] as const)
      .filter(([, errors]) => Object.keys(errors).length > 0),
  );
}

function notesOf({ problems }: GradedModel, withReward: number): string[] {
  const all = problems.flatMap(({ chains }) => chains);
  const notes: string[] = [];
  if (withReward < all.length) {
    notes.push(
      `weighted vote and best of N need a reward for every chain: ${all.length - withReward} of ${all.length} have none`,
    );
  } else if (all.some(({ reward = 0 }) => reward < 0)) {
    notes.push(
      'some rewards are negative: in a weighted vote their chains count against their answers',
    );
  }
  const isMixed = ({ chains }: GradedProblem) => {
    const verdicts = new Map<string, boolean>();
    return chains.some(({ form, isRight }) => {
      if (form === null) return false;
      const before = verdicts.get(form) ?? isRight;
      verdicts.set(form, before);
      return before !== isRight;
    });
  };
  const mixed = problems.filter(isMixed).length;
  if (mixed > 0) {
    notes.push(
      `"correct" differs between equal answers of ${mixed} ${mixed === 1 ? 'problem' : 'problems'}: a vote for one counts as right in proportion`,
    );
  }
  return notes;
}

/** Powers of two up to the fewest chains of a problem. */
function usualKs(models: readonly GradedModel[]): number[] {
  const counts = models.flatMap(({ problems }) => problems.map(({ chains }) => chains.length));
  const fewest = counts.reduce((least, count) => Math.min(least, count));
  const ks = [1];
  while (2 * ks[ks.length - 1] <= fewest) ks.push(2 * ks[ks.length - 1]);
  return ks;
}

function checkKs(ks: readonly number[], models: readonly GradedModel[]): void {
  const wrong = ks.find((k) => !Number.isSafeInteger(k) || k < 1);
  if (wrong !== undefined || ks.length === 0) {
    throw new ConfigError(`k: expected whole numbers ≥ 1, got ${wrong ?? 'none'}`);
  }
  const greatest = ks.reduce((most, k) => Math.max(most, k));
  for (const { model, problems } of models) {
    const short = problems.find(({ chains }) => chains.length < greatest);
    if (!short) continue;
    const whose = model === undefined ? '' : ` of model ${shown(model)}`;
    throw ledgerError(
      'LedgerSamples',
      `k: expected at most ${short.chains.length}, as many as problem ${shown(short.problem)}${whose} has chains, got ${greatest}; choose a smaller one`,
    );
  }
}

function checkSettings({ order, ties, seed, resamples, subsets }: Settings): void {
  const fail = (name: string, expected: string, got: unknown) => {
    throw new ConfigError(`${name}: expected ${expected}, got ${got}`);
  };
  if (!['all', 'first'].includes(order)) fail('order', 'all or first', order);
  if (!['first', 'split', 'none'].includes(ties)) fail('ties', 'first, split or none', ties);
  if (!Number.isSafeInteger(seed) || seed < 0) fail('seed', 'a whole number in [0, 2^53)', seed);
  for (const [name, count] of Object.entries({ resamples, subsets })) {
    const isRight = Number.isInteger(count) && count >= 2 && count <= 1e6;
    if (!isRight) fail(name, 'a whole number from 2 to 1,000,000', count);
  }
}
