/** Steps of many sequences that have long contexts of their own. */

import type { Executor, PlannedModel, Row } from '../backends/types.ts';
import { referenceExecutor } from '../lib/decode/referenceExecutor.ts';
import type { ModelConfig } from '../reference/config.ts';
import { createModel, weightShapes } from '../reference/model.ts';
import { filledState } from './filledState.ts';
import { nextTokens } from './greedy.ts';
import { largestOf } from './smallModels.ts';
import { race, type Spread, spreadOf, type Timing } from './timing.ts';

export interface ContextTiming {
  /** Sequences that fit at once, at most the batch. */
  readonly rows: number;
  /** Of all sequences of the batch: where fewer fit, the time of those times batch/rows. */
  readonly timing: Timing;
  /** How many times as long as the first contestant, round by round. */
  readonly times: Spread;
}

export interface ContextOptions {
  readonly batch: number;
  /** Tokens that every sequence has taken in. */
  readonly context: number;
  readonly seconds: number;
}

/** Steps of a race, warming up included, are fewer: no cache outgrows its room in it. */
const MOST_STEPS = 64;
/** Tokens of the state with which an executor is compared with the reference. */
const VERIFIED = 40;
/** What a logit may be off, over the largest: float32 rounds, 8 bits round more. */
const ALLOWED = { f32: 1e-3, int8: 0.15 };

/** Times one step of a batch on each executor, in turns. Rows are loaded for it and released after it. */
export async function timeContext(
  contestants: readonly { readonly config: ModelConfig; readonly executor: Executor }[],
  { batch, context, seconds }: ContextOptions,
): Promise<ContextTiming[]> {
  const loaded: Row[][] = [];
  for (const { config, executor } of contestants) {
    const state = filledState(config, context);
    const fitting = executor.room?.(context + MOST_STEPS) ?? batch;
    if (fitting < 1) throw new Error(`context ${context}: expected room for a row, got none`);
    const rows: Row[] = [];
    for (let i = 0; i < Math.min(batch, fitting); i++) rows.push(await executor.load(state));
    loaded.push(rows);
  }
  const timings = await race(
    contestants.map(({ executor }, i) => {
      let tokens = loaded[i].map((_, b) => b);
      return async () => {
        tokens = await nextTokens(executor, loaded[i], tokens);
      };
    }),
    { seconds },
  );
  for (const [i, { executor }] of contestants.entries()) {
    for (const row of loaded[i]) executor.release(row);
  }
  const whole = timings.map(({ samples, cpuMs }, i) => {
    const waves = batch / loaded[i].length;
    return { samples: samples.map((ms) => ms * waves), cpuMs: cpuMs * waves };
  });
  return whole.map((timing, i) => ({
    rows: loaded[i].length,
    timing,
    times: spreadOf(timing.samples.map((ms, round) => ms / whole[0].samples[round])),
  }));
}

/**
 * Two steps from a filled state, on the executor and on the reference.
 * @throws Error where they disagree: what is wrong is not timed.
 */
export async function expectReference(
  who: string,
  planned: PlannedModel,
  executor: Executor,
  dtype: string,
): Promise<void> {
  const names = [...weightShapes(planned.config).keys()];
  const weights = new Map(names.map((name) => [name, planned.weight(name)]));
  const reference = referenceExecutor(createModel(planned.config, weights, 'float32'));
  const state = filledState(planned.config, VERIFIED);
  const allowed = ALLOWED[dtype === 'f32' ? 'f32' : 'int8'];
  const rows = [await executor.load(state)];
  const wanted = [await reference.load(state)];
  for (const token of [3, 77]) {
    const [got] = await executor.step(rows, [token]);
    const [want] = await reference.step(wanted, [token]);
    const most = allowed * largestOf(want);
    const at = want.findIndex((x, i) => !(Math.abs(x - got[i]) <= most));
    if (at >= 0) {
      throw new Error(
        `${who}: expected the reference's logits, got ${got[at]} for ${want[at]} at token ${at}; ` +
          'nothing wrong is timed',
      );
    }
  }
  executor.release(rows[0]);
  await reference.close();
}
