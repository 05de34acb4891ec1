/** Everything that can run a decode step, at the same state and ready for the same tokens. */

import type { Backend, Executor } from '../backends/types.ts';
import { loadOn } from '../lib/backend.ts';
import { referenceExecutor } from '../lib/decode/referenceExecutor.ts';
import type { RunOp } from '../lib/verify/index.ts';
import type { Model } from '../reference/model.ts';
import type { SequenceState } from '../reference/state.ts';
import type { Vector } from '../reference/tensor.ts';
import { BatchedPort } from './batchedPort.ts';
import { naiveOps } from './naiveOps.ts';
import { runPlainLoops } from './plainLoops.ts';

export interface Contestant {
  /** `reference`, `plain loops`, `gpujs:webasm`, `naive gpujs:webasm`. */
  readonly name: string;
  /** The open backend that it runs on. */
  readonly backend?: Backend;
  /** Gives each row a token; returns the logits of each row. */
  step(tokens: readonly number[]): Promise<readonly Vector[]>;
  /** Told once, between verifying and timing. */
  startTiming?(): void;
  close(): Promise<void>;
}

/** Where a decode step starts: a model, the state of all rows, and their number. */
export interface Start {
  readonly model: Model;
  readonly state: SequenceState;
  readonly batch: number;
}

/** The executors of this package. */
export async function executorContestant(
  name: string,
  executor: Executor,
  { state, batch }: Start,
): Promise<Contestant> {
  const rows = [await executor.load(state)];
  while (rows.length < batch) rows.push(await executor.fork(rows[0]));
  return {
    name,
    step: (tokens) => executor.step(rows, tokens),
    close: () => executor.close(),
  };
}

/** A port that calls one op after another on host arrays. */
function portContestant(name: string, run: RunOp, { model, state, batch }: Start): Contestant {
  const port = new BatchedPort(model, run, state, batch);
  return {
    name,
    step: async (tokens) => {
      const { data, shape } = await port.step(tokens);
      return tokens.map((_, b) => data.subarray(b * shape[1], (b + 1) * shape[1]));
    },
    startTiming: () => port.freeze(),
    close: async () => {},
  };
}

export const referenceContestant = (start: Start) =>
  executorContestant('reference', referenceExecutor(start.model), start);

export const plainContestant = (start: Start) =>
  portContestant('plain loops', runPlainLoops, start);

/** Our executor on a backend, and the naive port on the same. */
export async function rivals(backend: Backend, start: Start): Promise<[Contestant, Contestant]> {
  const name = backend.info.backend;
  const ours = await executorContestant(name, await loadOn(backend, start.model), start);
  const naive = portContestant(naiveName(name), naiveOps(backend), start);
  return [
    { ...ours, backend },
    { ...naive, backend },
  ];
}

export const naiveName = (backend: string) => `naive ${backend}`;
