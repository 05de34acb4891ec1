/** An engine in this thread: a loaded model on an open executor, for as many calls as come. */

import type { BackendInfo, Executor, WeightFormat } from '../../backends/types.ts';
import type { ModelConfig } from '../../reference/config.ts';
import { SelscanError, UnsupportedError } from '../../reference/errors.ts';
import { DEFAULT_BACKEND, openExecutor } from '../backend.ts';
import type { BlobFiles } from '../checkpoint/files.ts';
import { type LoadedModel, type LoadModelOptions, loadModel } from '../loadModel.ts';
import type { GenerateEvent, Prompt } from './events.ts';
import { generateBatches } from './generate.ts';
import type { GenerateOptions } from './options.ts';
import { type Score, type ScoreOptions, score } from './score.ts';

export interface EngineOptions extends LoadModelOptions {
  /** What computes. Default {@link DEFAULT_BACKEND}. */
  backend?: string;
  /** Threads that compute; `wasm` only. */
  threads?: number;
  /** How the matrices are stored; `wasm` only. */
  weights?: WeightFormat;
  /** Whether another mode of the backend may run where the one that was asked for cannot. Default false. */
  allowsFallback?: boolean;
  /** Whether all work is done in a worker, so that this thread stays free. Default true. */
  worker?: boolean;
}

/** What an engine runs. */
export interface EngineInfo {
  /** Where the model came from. */
  readonly model: string;
  readonly family: LoadedModel['family'];
  readonly config: ModelConfig;
  readonly hasTokenizer: boolean;
  /** Things in the model's files that were understood and not followed. */
  readonly warnings: readonly string[];
  /** What computes. */
  readonly backend: BackendInfo;
  /** Name of the worker that it runs in, if it does. */
  readonly worker?: string;
}

/** Options of one call; the engine has its backend already. */
export type EngineGenerateOptions = Omit<GenerateOptions, 'backend'>;
export type EngineScoreOptions = Omit<ScoreOptions, 'backend'>;

/** A model that is loaded once and decodes for many calls, also at the same time. */
export interface Engine {
  readonly info: EngineInfo;
  /** As `generate` does, with the same events and errors. */
  generate(
    prompts: readonly Prompt[],
    options?: EngineGenerateOptions,
  ): AsyncGenerator<GenerateEvent, void, undefined>;
  /** As `score` does. */
  score(text: string | readonly number[], options?: EngineScoreOptions): Promise<Score>;
  /** Frees the model. Calls that are under way reject with code Closed. */
  close(): Promise<void>;
}

/** {@link Engine} without a worker around it; it also gives the events of a step together. */
export interface LocalEngine extends Engine {
  batches(
    prompts: readonly Prompt[],
    options?: EngineGenerateOptions,
  ): AsyncGenerator<GenerateEvent[], void, undefined>;
}

/** @throws CheckpointError, BackendError or ConfigError as loadModel and openExecutor do. */
export async function openLocal(
  source: string | BlobFiles,
  { backend = DEFAULT_BACKEND, threads, weights, allowsFallback, ...options }: EngineOptions = {},
): Promise<LocalEngine> {
  const loaded = await loadModel(source, options);
  const executor = await openExecutor(loaded.model, backend, {
    ...(threads !== undefined && { threads }),
    ...(weights !== undefined && { weights }),
    ...(allowsFallback !== undefined && { allowsFallback }),
  });
  return localEngine(loaded, executor);
}

/** An engine of a model that is loaded, on an executor that it then owns. */
export function localEngine(loaded: LoadedModel, executor: Executor): LocalEngine {
  let isClosed = false;
  async function* batches(prompts: readonly Prompt[], options: EngineGenerateOptions = {}) {
    if (isClosed) throw closedError();
    refuseBackend(options);
    for await (const batch of generateBatches(loaded, prompts, { ...options, backend: executor })) {
      yield batch;
      if (isClosed) throw closedError();
    }
  }
  return {
    info: {
      model: loaded.name,
      family: loaded.family,
      config: loaded.config,
      hasTokenizer: loaded.tokenizer !== undefined,
      warnings: loaded.warnings,
      backend: executor.info,
    },
    batches,
    generate: async function* (prompts, options) {
      for await (const batch of batches(prompts, options)) yield* batch;
    },
    score: async (text, options = {}) => {
      if (isClosed) throw closedError();
      refuseBackend(options);
      return score(loaded, text, { ...options, backend: executor });
    },
    close: async () => {
      if (isClosed) return;
      isClosed = true;
      await executor.close();
    },
  };
}

export function closedError(): SelscanError {
  return new SelscanError('Closed', 'engine: expected an open one, it was closed');
}

/** @throws UnsupportedError for a backend per call: nothing may run in place of the engine's own. */
export function refuseBackend(options: object): void {
  if (!('backend' in options)) return;
  throw new UnsupportedError(
    'engine: option "backend" is not supported in a call; createEngine takes it',
  );
}
