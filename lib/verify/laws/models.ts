/** What must hold of whatever decodes a model: cutting, batching, forking and leaving change no bit. */

import type { Executor, Row } from '../../../backends/types.ts';
import type { Model } from '../../../reference/model.ts';
import type { Vector } from '../../../reference/tensor.ts';
import { expectSameBits } from '../compare.ts';
import { drawnModel, modelOf, type RandomModel } from '../randomModel.ts';
import { Draws } from '../values.ts';
import type { LawOf } from './law.ts';

/** Opens a model for decoding. */
export type OpenExecutor = (model: Model) => Executor | Promise<Executor>;

export type ModelLaw = LawOf<OpenExecutor>;

/** A law over random models of every kind of layer. */
function modelLaw(
  law: string,
  check: (executor: Executor, draws: Draws, vocabRows: number) => Promise<void>,
): ModelLaw {
  return {
    law,
    inputs: drawnModel(),
    check: async (open, input) => {
      const random = input as RandomModel;
      const executor = await open(modelOf(random));
      await check(executor, new Draws(random.seed ^ 0x70c), random.config.vocabRows);
      return 0;
    },
  };
}

function drawTokens(draws: Draws, vocabRows: number, length: number): number[] {
  return Array.from({ length }, () => draws.below(vocabRows));
}

/** Prompts of different lengths, and for each as many tokens to go on with. */
function drawRows(draws: Draws, vocabRows: number, count: number, more: number) {
  return Array.from({ length: count }, () => ({
    prompt: drawTokens(draws, vocabRows, 1 + draws.below(6)),
    next: drawTokens(draws, vocabRows, more),
  }));
}

/** Logits after a prompt and after each of the tokens that follow, with nothing beside it. */
async function alone(executor: Executor, prompt: readonly number[], next: readonly number[]) {
  const { row, logits } = await executor.prefill(prompt);
  const all = [logits];
  for (const token of next) all.push((await executor.step([row], [token]))[0]);
  executor.release(row);
  return all;
}

function expectSameLogits(what: string, got: readonly Vector[], want: readonly Vector[]): void {
  want.forEach((logits, i) => {
    const shape = [logits.length];
    expectSameBits(`${what}, step ${i}`, { data: got[i], shape }, { data: logits, shape });
  });
}

export const MODEL_LAWS: readonly ModelLaw[] = [
  modelLaw(
    'taking in a prompt is taking in its tokens one by one',
    async (executor, draws, vocabRows) => {
      const tokens = drawTokens(draws, vocabRows, 2 + draws.below(8));
      const steps = await alone(executor, tokens.slice(0, 1), tokens.slice(1));
      for (let cut = 1; cut <= tokens.length; cut++) {
        const logits = await alone(executor, tokens.slice(0, cut), tokens.slice(cut));
        expectSameLogits(`cut at ${cut}`, logits, steps.slice(cut - 1));
      }
    },
  ),

  modelLaw(
    'a row decodes the same whatever decodes beside it',
    async (executor, draws, vocabRows) => {
      const sequences = drawRows(draws, vocabRows, 1 + draws.below(4), 3);
      const want: Vector[][] = [];
      for (const { prompt, next } of sequences) want.push(await alone(executor, prompt, next));
      const orders = [sequences.map((_, i) => i), sequences.map((_, i) => i).reverse()];
      for (const order of orders) {
        const rows: Row[] = [];
        const got: Vector[][] = [];
        for (const i of order) {
          const { row, logits } = await executor.prefill(sequences[i].prompt);
          rows.push(row);
          got.push([logits]);
        }
        for (let t = 0; t < 3; t++) {
          const stepped = await executor.step(
            rows,
            order.map((i) => sequences[i].next[t]),
          );
          stepped.forEach((logits, k) => {
            got[k].push(logits);
          });
        }
        order.forEach((i, k) => {
          expectSameLogits(`row ${k} of ${order.length}`, got[k], want[i]);
        });
        for (const row of rows) executor.release(row);
      }
    },
  ),

  modelLaw('rows may leave and join between steps', async (executor, draws, vocabRows) => {
    const waiting = drawRows(draws, vocabRows, 4, 4).map((sequence) => ({
      ...sequence,
      length: draws.below(4),
    }));
    const live: { i: number; row: Row; got: Vector[]; done: number }[] = [];
    const finished: { i: number; got: Vector[] }[] = [];
    let joined = 0;
    while (finished.length < waiting.length) {
      while (live.length < 2 && joined < waiting.length) {
        const { row, logits } = await executor.prefill(waiting[joined].prompt);
        live.push({ i: joined++, row, got: [logits], done: 0 });
      }
      for (const chain of live.filter(({ i, done }) => done === waiting[i].length)) {
        executor.release(chain.row);
        finished.push(live.splice(live.indexOf(chain), 1)[0]);
      }
      if (live.length === 0) continue;
      const tokens = live.map(({ i, done }) => waiting[i].next[done]);
      const stepped = await executor.step(
        live.map(({ row }) => row),
        tokens,
      );
      live.forEach((chain, k) => {
        chain.got.push(stepped[k]);
        chain.done++;
      });
    }
    for (const { i, got } of finished) {
      const { prompt, next, length } = waiting[i];
      expectSameLogits(`row ${i}`, got, await alone(executor, prompt, next.slice(0, length)));
    }
  }),

  modelLaw('a fork goes its own way, as if taken in afresh', async (executor, draws, vocabRows) => {
    const [{ prompt, next }] = drawRows(draws, vocabRows, 1, 3);
    const other = drawTokens(draws, vocabRows, 3);
    const { row, logits } = await executor.prefill(prompt);
    const child = executor.fork(row);
    const [parent, forked] = [[logits], [logits]];
    for (let t = 0; t < 3; t++) {
      // the child first, so that what it writes could harm the parent
      forked.push((await executor.step([child], [other[t]]))[0]);
      parent.push((await executor.step([row], [next[t]]))[0]);
    }
    executor.release(row);
    forked.push((await executor.step([child], [0]))[0]);
    executor.release(child);
    expectSameLogits('parent', parent, await alone(executor, prompt, next));
    expectSameLogits('fork', forked, await alone(executor, prompt, [...other, 0]));
  }),
];
