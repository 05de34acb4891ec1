/** What must hold of whatever decodes a model: however it is cut, batched or forked, it is the reference. */

import type { BackendInfo, Executor, Row } from '../../../backends/types.ts';
import { createModel, type Model, prefill } from '../../../reference/model.ts';
import { newState } from '../../../reference/state.ts';
import { type Tensor, toPrecision, type Vector } from '../../../reference/tensor.ts';
import { demand, expectClose, expectSameBits } from '../compare.ts';
import { drawnModel, modelOf, type RandomModel } from '../randomModel.ts';
import { Draws } from '../values.ts';
import type { LawOf } from './law.ts';

/** Something that decodes models, and how near the reference it claims to be. */
export interface ModelSubject {
  open(model: Model): Executor | Promise<Executor>;
  precision: Model['precision'];
  /** Whether its logits are the reference's bits, or as near as float32 arithmetic of its kind allows. */
  isBitwise: boolean;
  arithmetic: BackendInfo['arithmetic'];
}

export type ModelLaw = LawOf<ModelSubject>;

/** Logits that an executor gave after some tokens. */
interface Said {
  readonly tokens: readonly number[];
  readonly logits: Vector;
}

/**
 * How much more an executor may lose than the worst of the samples of {@link lostOf}. Its sums may run in another
 * order and its functions be off by some units, which changes an error by a small factor; WGSL and GLSL allow
 * exp(x) to be off by 3 + 2·|x| units (WGSL, section "Floating point accuracy").
 */
const MARGIN: Record<BackendInfo['arithmetic'], number> = { ieee: 8, wgsl: 64, glsl: 64 };

/** Samples of what float32 arithmetic loses. */
const SAMPLES = 8;

/** A law over random models of every kind of layer: a way of decoding that must give the reference's logits. */
function modelLaw(
  law: string,
  decode: (executor: Executor, draws: Draws, vocabRows: number) => Promise<Said[]>,
): ModelLaw {
  return {
    law,
    inputs: drawnModel(),
    check: async (subject, input) => {
      const random = input as RandomModel;
      const model = modelOf(random, subject.precision);
      const executor = await subject.open(model);
      try {
        const draws = new Draws(random.seed ^ 0x70c);
        const said = await decode(executor, draws, random.config.vocabRows);
        return expectReference(subject, model, said);
      } finally {
        await executor.close();
      }
    },
  };
}

/** @returns the largest error as a share of the allowed one. */
export function expectReference(
  { isBitwise, arithmetic }: Pick<ModelSubject, 'isBitwise' | 'arithmetic'>,
  model: Model,
  said: readonly Said[],
): number {
  demand(said.length > 0, 'logits: expected some, got none');
  let worst = 0;
  for (const { tokens, logits } of said) {
    const name = `logits after ${tokens.length} tokens`;
    const got = { data: logits, shape: [logits.length] };
    if (isBitwise) {
      expectSameBits(name, got, lastLogits(model, tokens));
      continue;
    }
    const exact = lastLogits(beside(model, 0)[1], tokens);
    const absolute = MARGIN[arithmetic] * (lostOf(model, tokens) + 2 ** -24 * largest(exact.data));
    worst = Math.max(worst, expectClose(name, got, exact, { absolute }));
  }
  return worst;
}

function lastLogits(model: Model, tokens: readonly number[]): Tensor {
  const state = newState(model.config, model.precision);
  const { data } = prefill({ model, state, tokens, logits: 'last' }).logits;
  return { data, shape: [data.length] };
}

const largest = (values: Iterable<number>) => Math.max(...Array.from(values, Math.abs));

/**
 * The most that emulated float32 loses on the model and on models beside it, whose weights differ by some units:
 * samples of the rounding errors that any order of operations makes (after Vignes 1993, "A stochastic arithmetic for
 * reliable scientific computation"). One run alone may be lucky: where a norm divides by almost nothing, a single
 * rounding more or less is the difference between 1e-7 and 1e-5.
 */
function lostOf(model: Model, tokens: readonly number[]): number {
  const losses = Array.from({ length: SAMPLES }, (_, i) => {
    const [rounded, exact] = beside(model, i).map((one) => lastLogits(one, tokens).data);
    return largest(rounded.map((x, j) => x - exact[j]));
  });
  return Math.max(...losses);
}

const neighbours = new WeakMap<Model, Map<number, readonly [Model, Model]>>();

/** The model itself (0), or one with every weight off by up to four units, in emulated float32 and in Float64. */
function beside(model: Model, index: number): readonly [rounded: Model, exact: Model] {
  const known = neighbours.get(model) ?? new Map<number, readonly [Model, Model]>();
  neighbours.set(model, known);
  let pair = known.get(index);
  if (!pair) {
    const draws = new Draws(index);
    const weights = allWeights(model);
    for (const { data } of weights.values()) {
      for (let i = 0; index > 0 && i < data.length; i++) {
        data[i] = Math.fround(data[i] * (1 + draws.between(-1, 1) * 2 ** -22));
      }
    }
    const rounded = [...weights].map(([name, t]) => [name, toPrecision(t, 'float32')] as const);
    pair = [
      createModel(model.config, new Map(rounded), 'float32'),
      createModel(model.config, weights, 'float64'),
    ];
    known.set(index, pair);
  }
  return pair;
}

function allWeights({ weights }: Model): Map<string, Tensor> {
  const found = new Map<string, Tensor>();
  const collect = (prefix: string, node: object) => {
    for (const [key, value] of Object.entries(node)) {
      if (value === undefined) continue;
      const name = `${prefix}${key}`;
      if ('data' in value) found.set(name, toPrecision(value, 'float64'));
      else collect(`${name}.`, value);
    }
  };
  collect('', weights);
  return found;
}

function drawTokens(draws: Draws, vocabRows: number, length: number): number[] {
  return Array.from({ length }, () => draws.below(vocabRows));
}

/** A sequence while it is being decoded: its row and every token that the row has taken in. */
interface Sequence {
  row: Row;
  tokens: number[];
}

/** Takes in prompts together; returns their sequences and what was said. */
async function takeIn(executor: Executor, prompts: readonly number[][], said: Said[]) {
  const taken = await executor.prefill(prompts);
  return taken.map(({ row, logits }, i): Sequence => {
    said.push({ tokens: prompts[i], logits });
    demand(row.position === prompts[i].length, `position: expected ${prompts[i].length}`);
    return { row, tokens: [...prompts[i]] };
  });
}

/** Gives each sequence a token. */
async function feed(
  executor: Executor,
  sequences: readonly Sequence[],
  tokens: readonly number[],
  said: Said[],
): Promise<void> {
  const rows = sequences.map(({ row }) => row);
  const logits = await executor.step(rows, tokens);
  sequences.forEach((sequence, i) => {
    sequence.tokens.push(tokens[i]);
    said.push({ tokens: [...sequence.tokens], logits: logits[i] });
  });
}

export const MODEL_LAWS: readonly ModelLaw[] = [
  modelLaw(
    'taking in a prompt is taking in its tokens one by one',
    async (executor, draws, vocab) => {
      const tokens = drawTokens(draws, vocab, 2 + draws.below(8));
      const said: Said[] = [];
      for (let cut = 1; cut <= tokens.length; cut++) {
        const sequences = await takeIn(executor, [tokens.slice(0, cut)], said);
        for (const token of tokens.slice(cut)) await feed(executor, sequences, [token], said);
        executor.release(sequences[0].row);
      }
      return said;
    },
  ),

  modelLaw('prompts of any lengths may be taken in together', async (executor, draws, vocab) => {
    const said: Said[] = [];
    const lengths = [1, 1 + draws.below(40), 1 + draws.below(6), 2];
    const prompts = lengths.map((length) => drawTokens(draws, vocab, length));
    const sequences = await takeIn(executor, prompts, said);
    for (let t = 0; t < 3; t++) {
      const live = t === 1 ? [...sequences].reverse() : sequences; // in any order
      await feed(executor, live, drawTokens(draws, vocab, live.length), said);
    }
    return said;
  }),

  modelLaw('rows may leave and join between steps', async (executor, draws, vocab) => {
    const said: Said[] = [];
    const live: (Sequence & { left: number })[] = [];
    let joined = 0;
    while (joined < 5 || live.length > 0) {
      while (live.length < 2 && joined < 5) {
        const prompt = drawTokens(draws, vocab, 1 + draws.below(6));
        const [sequence] = await takeIn(executor, [prompt], said);
        live.push({ ...sequence, left: draws.below(4) });
        joined++;
      }
      for (const done of live.filter(({ left }) => left === 0)) {
        executor.release(done.row);
        live.splice(live.indexOf(done), 1);
      }
      if (live.length === 0) continue;
      await feed(executor, live, drawTokens(draws, vocab, live.length), said);
      for (const sequence of live) sequence.left--;
    }
    return said;
  }),

  modelLaw('a fork goes its own way, as if taken in afresh', async (executor, draws, vocab) => {
    const said: Said[] = [];
    const prompt = drawTokens(draws, vocab, 1 + draws.below(6));
    const [parent] = await takeIn(executor, [prompt], said);
    const child = { row: await executor.fork(parent.row), tokens: [...parent.tokens] };
    for (let t = 0; t < 3; t++) {
      // the child first, so that what it writes could harm the parent
      await feed(executor, [child], drawTokens(draws, vocab, 1), said);
      await feed(executor, [parent], drawTokens(draws, vocab, 1), said);
    }
    executor.release(parent.row);
    await feed(executor, [child], [0], said);
    return said;
  }),

  modelLaw('a saved state goes on as if it had never left', async (executor, draws, vocab) => {
    const said: Said[] = [];
    const prompt = drawTokens(draws, vocab, 1 + draws.below(6));
    const [sequence] = await takeIn(executor, [prompt], said);
    const saved = await executor.save(sequence.row);
    await feed(executor, [sequence], drawTokens(draws, vocab, 1), said);
    executor.release(sequence.row);
    const back = { row: await executor.load(saved), tokens: [...prompt] };
    const other = { row: await executor.load(saved), tokens: [...prompt] };
    for (let t = 0; t < 2; t++) {
      await feed(executor, [back, other], drawTokens(draws, vocab, 2), said);
    }
    return said;
  }),
];
