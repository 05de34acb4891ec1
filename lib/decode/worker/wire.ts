/** What an engine and its worker say to each other: plain data that every browser and Node can clone. */

import {
  BackendError,
  ConfigError,
  SelscanError,
  ShapeError,
  UnsupportedError,
} from '../../../reference/errors.ts';
import { CheckpointError } from '../../checkpoint/errors.ts';
import type { BlobLike } from '../../checkpoint/files.ts';
import type { LoadProgress } from '../../checkpoint/weights.ts';
import type { GenerateEvent, Prompt } from '../events.ts';
import type {
  EngineGenerateOptions,
  EngineInfo,
  EngineOptions,
  EngineScoreOptions,
} from '../localEngine.ts';
import type { Score } from '../score.ts';

/** Options without what cannot be sent. */
type Sent<Options> = Omit<Options, 'signal' | 'onProgress' | 'trace' | 'worker'>;

/** Calls have a number, the worker's own life has 0. */
interface Call {
  id: number;
  /** Whether the call's signal had fired already. */
  isAborted?: boolean;
}

export type ToWorker =
  | (Call & {
      kind: 'open';
      source: string | ReadonlyMap<string, BlobLike>;
      options: Sent<EngineOptions>;
    })
  | (Call & {
      kind: 'generate';
      prompts: readonly Prompt[];
      options: Sent<EngineGenerateOptions>;
    })
  | (Call & {
      kind: 'score';
      text: string | readonly number[];
      options: Sent<EngineScoreOptions>;
    })
  | (Call & { kind: 'close' })
  /** A batch of events was taken by whoever listens: another may be sent. */
  | { kind: 'taken'; id: number }
  /** The call's signal fired. */
  | { kind: 'abort'; id: number }
  /** Nobody listens to the call any more. */
  | { kind: 'stop'; id: number };

export type FromWorker =
  | { kind: 'ready'; id: 0 }
  | { kind: 'progress'; id: number; progress: LoadProgress }
  | { kind: 'opened'; id: number; info: EngineInfo }
  | { kind: 'events'; id: number; events: GenerateEvent[] }
  | { kind: 'scored'; id: number; score: Score }
  | { kind: 'done'; id: number }
  | { kind: 'failed'; id: number; error: SentError };

/** An error as data. */
export interface SentError {
  /** Which of our classes it is; `Error` for any other. Not its name, which a minifier may change. */
  kind: keyof typeof CLASSES | 'Error';
  name: string;
  message: string;
  code?: string;
  /** Of a CheckpointError. */
  file?: string;
  stack?: string;
}

/** The most special first. */
const CLASSES = {
  CheckpointError,
  ShapeError,
  ConfigError,
  UnsupportedError,
  BackendError,
  SelscanError,
};

const KINDS = Object.keys(CLASSES) as (keyof typeof CLASSES)[];

export function sendError(error: unknown): SentError {
  if (!(error instanceof Error)) return { kind: 'Error', name: 'Error', message: String(error) };
  const { name, message, stack } = error;
  const { code, file } = error as { code?: unknown; file?: unknown };
  return {
    kind: KINDS.find((kind) => error instanceof CLASSES[kind]) ?? 'Error',
    name,
    message,
    ...(typeof code === 'string' && { code }),
    ...(typeof file === 'string' && { file }),
    ...(stack !== undefined && { stack }),
  };
}

/** The same class, code and message again. */
export function receiveError({ kind, name, message, code = '', file, stack }: SentError): Error {
  const error = kind === 'Error' ? new Error(message) : new SelscanError(code, message);
  if (kind !== 'Error') Object.setPrototypeOf(error, CLASSES[kind].prototype);
  else if (code !== '') Object.assign(error, { code });
  // its message is complete as it is, so that no constructor may add to it
  Object.defineProperty(error, 'name', { value: name, configurable: true, writable: true });
  return Object.assign(error, file !== undefined && { file }, stack !== undefined && { stack });
}
