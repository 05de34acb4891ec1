/** What must hold of rows that live side by side, and of sequences that are copied, stored and taken back in time. */

import type { Executor, Row } from '../../../backends/types.ts';
import type { Vector } from '../../../reference/tensor.ts';
import { loadSequence, openSequence, type Sequence } from '../../decode/sequence.ts';
import { demand } from '../compare.ts';
import type { Draws } from '../values.ts';
import { type EngineLaw, engineLaw, someTokens } from './engineLaw.ts';

/** Logits of a sequence after every token, and how to make them again alone. */
interface Said {
  tokens: number[];
  logits: Vector[];
  /** Tokens of the prompt, taken in by one call. */
  prompt: number;
}

const EVENTS = 500;

export const ROW_LAWS: readonly EngineLaw[] = [
  engineLaw('500 events of rows that join, leave, fork and move change no row', async (setting) => {
    const { executor, loaded, draws } = setting;
    const { vocabRows, contextLength = 64 } = loaded.config;
    const live: { row: Row; said: Said }[] = [];
    const all: Said[] = [];
    const enter = (row: Row, said: Said) => {
      live.push({ row, said });
      all.push(said);
    };
    for (let event = 0; event < EVENTS; event++) {
      const at = draws.below(Math.max(live.length, 1));
      const kind = live.length === 0 ? 0 : draws.below(10);
      if (kind === 0 || (kind === 1 && live.length < 12)) {
        const prompts = Array.from({ length: 1 + draws.below(3) }, () =>
          someTokens(draws, vocabRows, 1 + draws.below(5)),
        );
        const entered = await executor.prefill(prompts);
        entered.forEach(({ row, logits }, i) => {
          enter(row, {
            tokens: [...prompts[i]],
            logits: [logits.slice()],
            prompt: prompts[i].length,
          });
        });
      } else if (kind === 2) {
        const [{ row }] = live.splice(at, 1);
        executor.release(row);
      } else if (kind === 3 && live.length < 12) {
        const { row, said } = live[at];
        const copy = { ...said, tokens: [...said.tokens], logits: [...said.logits] };
        enter(await executor.fork(row), copy);
      } else if (kind === 4) {
        const state = await executor.save(live[at].row);
        executor.release(live[at].row);
        live[at].row = await executor.load(state);
      } else {
        await stepSome(executor, live, draws, vocabRows, contextLength);
      }
      // whoever has had enough leaves
      for (const { row, said } of live.filter(({ said }) => said.tokens.length >= 40)) {
        executor.release(row);
        live.splice(
          live.findIndex((one) => one.said === said),
          1,
        );
      }
    }
    for (const { row } of live) executor.release(row);
    for (const said of all) await demandAlone(executor, said);
  }),
];

/** Gives some of the rows, in any order, a token each. */
async function stepSome(
  executor: Executor,
  live: readonly { row: Row; said: Said }[],
  draws: Draws,
  vocabRows: number,
  contextLength: number,
): Promise<void> {
  const chosen = live
    .filter(({ said }) => draws.below(4) > 0 && said.tokens.length < contextLength)
    .map((one) => ({ one, key: draws.uniform() }))
    .sort((a, b) => a.key - b.key)
    .map(({ one }) => one);
  if (chosen.length === 0) return;
  const tokens = someTokens(draws, vocabRows, chosen.length);
  const rows = chosen.map(({ row }) => row);
  const logits = await executor.step(rows, tokens);
  chosen.forEach(({ said }, i) => {
    said.tokens.push(tokens[i]);
    said.logits.push(logits[i].slice());
  });
}

/** Makes a sequence again with nothing beside it. */
async function demandAlone(executor: Executor, { tokens, logits, prompt }: Said): Promise<void> {
  const [{ row, logits: first }] = await executor.prefill([tokens.slice(0, prompt)]);
  demandSameLogits(first, logits[0], prompt);
  for (let t = prompt; t < tokens.length; t++) {
    const [next] = await executor.step([row], [tokens[t]]);
    demandSameLogits(next, logits[t - prompt + 1], t + 1);
  }
  executor.release(row);
}

function demandSameLogits(alone: Vector, among: Vector, length: number): void {
  for (let i = 0; i < alone.length; i++) {
    if (Object.is(alone[i], among[i])) continue;
    demand(false, `logit ${i} after ${length} tokens: alone ${alone[i]}, among others ${among[i]}`);
  }
}

export const SEQUENCE_LAWS: readonly EngineLaw[] = [
  engineLaw(
    'a sequence that was forked, saved, loaded and rewound is as if it had never been',
    async (setting) => {
      const { executor, loaded, draws, isStepwise } = setting;
      const { vocabRows } = loaded.config;
      const options = { checkpointEvery: 1 + draws.below(6) };
      const prompt = someTokens(draws, vocabRows, 1 + draws.below(6));
      const sequences: Sequence[] = [await openSequence(executor, prompt, options)];
      for (let event = 0; event < 60; event++) {
        const at = draws.below(sequences.length);
        const one = sequences[at];
        const kind = draws.below(8);
        if (kind === 0 && sequences.length < 4) sequences.push(await one.fork());
        else if (kind === 1) {
          const saved = await one.save();
          await one.append([0]); // what it does now must not reach the saved value
          one.release();
          sequences[at] = await loadSequence(executor, saved, options);
        } else if (kind === 2) await one.rewind(draws.below(one.tokens.length));
        else await one.append(someTokens(draws, vocabRows, 1 + draws.below(5)));
        if (sequences[at].tokens.length > 60) {
          sequences[at].release();
          sequences.splice(at, 1);
          if (sequences.length === 0) {
            sequences.push(await openSequence(executor, prompt, options));
          }
        }
      }
      for (const sequence of sequences) {
        if (isStepwise) await demandFresh(executor, sequence);
        sequence.release();
      }
    },
  ),
];

/** Makes a sequence again from its tokens, and both one token longer. */
async function demandFresh(executor: Executor, sequence: Sequence): Promise<void> {
  const fresh = await openSequence(executor, sequence.tokens);
  demandSameLogits(fresh.logits, sequence.logits, sequence.tokens.length);
  demandSameLogits(await fresh.append([1]), await sequence.append([1]), sequence.tokens.length);
  fresh.release();
}
