/** An executor without a model: its logits are a hash of what a row has taken in, so that mixing rows up shows. */

import { checkStep, RowTable } from '../backends/rows.ts';
import type { Draw, Drawn, Executor, Row } from '../backends/types.ts';
import { collect, type GenerateEvent, type Prompt } from '../lib/decode/events.ts';
import { generate } from '../lib/decode/generate.ts';
import type { GenerateOptions } from '../lib/decode/options.ts';
import type { LoadedModel } from '../lib/loadModel.ts';
import { modelOf } from '../lib/verify/randomModel.ts';
import type { ModelConfig } from '../reference/config.ts';
import { philox4x32 } from '../reference/philox.ts';
import { chooseToken, greedyToken, logprobOf } from '../reference/sampling.ts';
import type { SequenceState } from '../reference/state.ts';

export const VOCAB = 11;

/** 3 numbers of state and 4 more per token: a hybrid as small as it gets. */
const CONFIG: ModelConfig = {
  vocabSize: VOCAB,
  vocabRows: VOCAB,
  dModel: 2,
  layers: [
    {
      norm: { kind: 'rms', eps: 1e-5 },
      mixer: {
        kind: 'mamba',
        dInner: 1,
        dState: 3,
        dConv: 1,
        dtRank: 1,
        hasBias: false,
        hasConvBias: false,
      },
    },
    {
      norm: { kind: 'rms', eps: 1e-5 },
      mixer: {
        kind: 'attention',
        nHeads: 1,
        nKvHeads: 1,
        headDim: 2,
        hasQkvBias: false,
        hasOutBias: false,
      },
    },
  ],
  finalNorm: { kind: 'rms', eps: 1e-5 },
  isTied: true,
  hasHeadBias: false,
};

export interface FakeOptions {
  /** Rows that fit. Default: no limit, and no `room`. */
  rows?: number;
  /** Whether it draws tokens itself. */
  drawsTokens?: boolean;
  /** Whether the logits after some tokens are NaN. */
  breaks?(tokens: readonly number[]): boolean;
  /** Waits for this before every step. */
  beforeStep?(): Promise<void> | void;
}

/** What was asked of it. */
export interface Counts {
  /** Prompts of every prefill call. */
  prefills: number[][][];
  /** Rows of every step. */
  steps: number[];
  forks: number;
  live: number;
  mostLive: number;
}

export interface Fake {
  executor: Executor;
  loaded: LoadedModel;
  counts: Counts;
}

export function fake({ rows, drawsTokens, breaks, beforeStep }: FakeOptions = {}): Fake {
  const table = new RowTable<number[]>((tokens) => tokens.length);
  const counts: Counts = { prefills: [], steps: [], forks: 0, live: 0, mostLive: 0 };
  const add = (tokens: readonly number[]): Row => {
    counts.mostLive = Math.max(counts.mostLive, ++counts.live);
    return table.add([...tokens]);
  };
  const say = (tokens: readonly number[]) => {
    const logits = new Float64Array(VOCAB);
    const last = tokens.slice(-3);
    const [a, b, c] = [last[0] ?? 0, last[1] ?? 0, last[2] ?? 0];
    for (let i = 0; i < VOCAB; i++) {
      logits[i] = philox4x32([tokens.length, a, 16 * b + c, i], [1, 2])[0] / 2 ** 30;
    }
    if (breaks?.(tokens)) logits[3] = Number.NaN;
    return logits;
  };
  const step = async (live: readonly Row[], tokens: readonly number[]) => {
    await beforeStep?.();
    checkStep(live, tokens);
    counts.steps.push(live.length);
    return live.map((row, i) => {
      const taken = table.get(row);
      taken.push(tokens[i]);
      return say(taken);
    });
  };
  const executor: Executor = {
    info: { backend: 'fake', precision: 'float64', arithmetic: 'ieee' },
    prefill: async (prompts) => {
      counts.prefills.push(prompts.map((tokens) => [...tokens]));
      return prompts.map((tokens) => ({ row: add(tokens), logits: say(tokens) }));
    },
    step,
    ...(drawsTokens && {
      stepAndDraw: async (live, tokens, draws) =>
        (await step(live, tokens)).map((logits, i) => drawn(logits, draws[i])),
    }),
    ...(rows !== undefined && { room: () => rows - counts.live }),
    fork: async (row) => {
      counts.forks++;
      return add(table.get(row));
    },
    // a state is what a row has taken in
    save: async (row) => [...table.get(row)] as unknown as SequenceState,
    load: async (state) => add(state as unknown as number[]),
    release: (row) => {
      table.get(row); // throws for a row that is released twice
      table.delete(row);
      counts.live--;
    },
    close: async () => {},
  };
  const loaded: LoadedModel = {
    name: 'fake',
    family: 'mamba',
    scheme: 'huggingFaceMamba',
    eosTokens: [],
    warnings: [],
    config: CONFIG,
    model: modelOf({ config: CONFIG, seed: 1 }),
  };
  return { executor, loaded, counts };
}

function drawn(logits: Float64Array, { temperature, u }: Draw): Drawn {
  if (logits.some((x) => !Number.isFinite(x)))
    return { token: -1, logprob: Number.NaN, filteredLogprob: Number.NaN };
  const row = { data: logits.map((x) => x / (temperature || 1)), shape: [1, VOCAB] };
  const choice =
    temperature === 0 ? greedyToken({ logits: row }) : chooseToken({ logits: row, u: [u] });
  const [token] = choice.tokens;
  return { token, logprob: logprobOf(logits, token), filteredLogprob: choice.logprobs[0] };
}

/** Decodes on a fake executor. */
export const run = (
  { loaded, executor }: Fake,
  prompts: readonly Prompt[],
  options: GenerateOptions,
) => generate(loaded, prompts, { ...options, backend: executor });
export const ends = (from: Fake, prompts: readonly Prompt[], options: GenerateOptions) =>
  collect(run(from, prompts, options));

export async function eventsOf(from: Fake, prompts: readonly Prompt[], options: GenerateOptions) {
  const events: GenerateEvent[] = [];
  for await (const event of run(from, prompts, options)) events.push(event);
  return events;
}

/** Prompts of the given lengths, all different. */
export const ragged = (...lengths: number[]) =>
  lengths.map((length, i) => Array.from({ length }, (_, t) => (3 * i + t) % 11));
