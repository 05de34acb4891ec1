/** Samples chains of problems from models into the folder of a run, each where it stopped before. Node only. */

import { ConfigError } from '../../reference/errors.ts';
import { DEFAULT_BACKEND, type OpenOptions, openExecutor } from '../backend.ts';
import type { ModelFiles } from '../checkpoint/files.ts';
import { filesFromModel } from '../checkpoint/nodeFiles.ts';
import { localEngine } from '../decode/localEngine.ts';
import { encodeAny } from '../decode/prompts.ts';
import { type LoadedModel, loadFromFiles } from '../loadModel.ts';
import type { LedgerChain } from './chain.ts';
import { factsOf, fingerprintOf } from './modelFacts.ts';
import type { ReasoningProblem } from './problems.ts';
import { progressOf, type ScaleProgress } from './progress.ts';
import { type OpenRun, openRun, type RunSettings } from './runFolder.ts';
import { checkSampling, type SampleChainsOptions, sampleChains } from './sampleChains.ts';
import { measureThroughput } from './throughput.ts';

/** A model that takes part in a run. */
export interface ScaleModel {
  /** Its name in the ledger. */
  readonly name: string;
  /** Its folder. */
  readonly path: string;
}

export interface ScaleOptions
  extends Pick<
    SampleChainsOptions,
    'samples' | 'turn' | 'budget' | 'budgetPer' | 'signal' | 'maxTokens' | 'seed' | 'stop'
  > {
  /** Options that decide how tokens are drawn. */
  readonly sampling?: Pick<
    SampleChainsOptions,
    'temperature' | 'topK' | 'topP' | 'minP' | 'repetitionPenalty' | 'logitBias'
  >;
  /** Folder of the run. */
  readonly folder: string;
  /** Where the problems are from, for people. */
  readonly source: string;
  /** Chains side by side, at most. Default: as many as are fastest, which is measured first. */
  readonly maxRows?: number;
  readonly backend?: string;
  readonly tuning?: OpenOptions;
  readonly onProgress?: (progress: ScaleProgress) => void;
}

/**
 * Samples chains from one model after another. What the folder has already is kept and not made again; killed at any
 * moment, the same call goes on from there.
 * @returns the last progress of each model.
 * @throws ConfigError as openRun; as loadModel, openExecutor and generate; SelscanError with code DiskFull.
 */
export async function scale(
  models: readonly ScaleModel[],
  problems: readonly ReasoningProblem[],
  options: ScaleOptions,
): Promise<ScaleProgress[]> {
  const { folder, source, sampling = {}, seed = 0, maxTokens = 256, budgetPer = 'run' } = options;
  const stop = options.stop?.length ? { stop: options.stop } : {};
  const settings: RunSettings = {
    ...{ problems: source, seed, maxTokens, budgetPer },
    sampling: { ...plain(sampling), ...stop },
  };
  // nothing is written for what cannot be run
  checkSampling(options);
  const folders = await Promise.all(models.map(({ path }) => filesFromModel(path)));
  const run = await openRun(folder, settings, problems);
  try {
    const ends: ScaleProgress[] = [];
    for (const [i, { name }] of models.entries()) {
      if (options.signal?.aborted) break;
      ends.push(await sampleOne(run, { name, files: folders[i] }, problems, options));
    }
    return ends;
  } finally {
    await run.close();
  }
}

/** A Map of biases as JSON can hold it. */
function plain({ logitBias, ...rest }: NonNullable<ScaleOptions['sampling']>) {
  if (!logitBias) return rest;
  const biases = logitBias instanceof Map ? [...logitBias] : Object.entries(logitBias);
  return { ...rest, logitBias: biases.map(([id, bias]) => [Number(id), String(bias)]) };
}

async function sampleOne(
  run: OpenRun,
  { name, files }: { name: string; files: ModelFiles },
  problems: readonly ReasoningProblem[],
  options: ScaleOptions,
): Promise<ScaleProgress> {
  const { samples, signal, sampling, maxTokens = 256, seed = 0, stop = [] } = options;
  const done = run.done(name);
  const wanted = samples * problems.length;
  const { samples: before } = done.spent();
  const tell = progressOf({ model: name, wanted, before }, options);
  tell('loading');
  const aborting = signal ? { signal } : {};
  const fingerprint = await fingerprintOf(files);
  expectSameModel(run, name, fingerprint);
  const loaded = await loadFromFiles(files, aborting);
  const executor = await openExecutor(
    loaded.model,
    options.backend ?? DEFAULT_BACKEND,
    options.tuning,
  );
  try {
    let { maxRows } = options;
    let throughput = run.known(name)?.throughput;
    if (maxRows === undefined) {
      if (!throughput || run.known(name)?.backend !== executor.info.backend) {
        tell('measuring');
        const { contextLength = Number.POSITIVE_INFINITY } = loaded.config;
        const prompt = usualPrompt(loaded, problems);
        const longest = Math.max(1, Math.min(maxTokens, contextLength - prompt.length - 64));
        const limits = { prompt, maxTokens: longest };
        throughput = await measureThroughput(executor, { ...limits, ...aborting });
      }
      maxRows = throughput.best.rows;
    }
    await run.note(name, {
      ...{ fingerprint, ...(await factsOf(files)), backend: executor.info.backend, maxRows },
      ...(throughput && { throughput }),
    });
    const engine = localEngine(loaded, executor);
    const { turn, budget, budgetPer } = options;
    const chains = sampleChains(engine, problems, {
      ...{ samples, seed, maxTokens, stop, maxRows, done, ...aborting, ...sampling },
      ...(turn !== undefined && { turn }),
      ...(budget && { budget }),
      ...(budgetPer && { budgetPer }),
      onTokens: tell.addTokens,
    });
    tell('sampling');
    for await (const { problem, sample, text, tokens, finishReason, logprob, seconds } of chains) {
      const { id, gold, judge } = problems[problem];
      // a chain that broke has not answered
      const judgement = judge(finishReason === 'failed' ? '' : text);
      const line: LedgerChain & { logprob: number } = {
        ...{ problem: id, sample, text, ...judgement, ...(gold !== undefined && { gold }) },
        ...{ tokens, seconds, finishReason, logprob, model: name, seed },
      };
      await run.journal.append([line]);
      tell.addChain(judgement.correct);
    }
    return tell('done');
  } finally {
    await executor.close();
  }
}

/** A prompt of middle length, for timing. */
function usualPrompt(loaded: LoadedModel, problems: readonly ReasoningProblem[]): number[] {
  const prompts = problems.slice(0, 50).map(({ prompt }, i) => encodeAny(loaded, prompt, i));
  return prompts.sort((a, b) => a.length - b.length)[prompts.length >> 1];
}

/** @throws ConfigError with code OtherModel where the run has chains of another model of this name. */
function expectSameModel(run: OpenRun, name: string, fingerprint: string): void {
  const known = run.known(name);
  if (!known || known.fingerprint === fingerprint) return;
  throw new ConfigError(
    `${name}: expected the model that this run has chains of, its files have changed; take another --run`,
    'OtherModel',
  );
}
