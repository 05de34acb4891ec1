/** Runs a model's plans on the kernels: weights, states and logits stay in their memory. */

import { checkDecode, checkStep, checkTokens, RowTable } from '../rows.ts';
import { takingTurns } from '../turns.ts';
import type { BackendInfo, DecodeOptions, Draw, Drawn, Executor, PlannedModel } from '../types.ts';
import { BLOCK_TOKENS, type Work } from './calls.ts';
import type { Kernels } from './kernels.ts';
import { Runner } from './runner.ts';
import type { Sequence } from './sequences.ts';

/** Takes a model to the kernels. */
export function wasmExecutor(
  kernels: Kernels,
  info: () => BackendInfo,
  model: PlannedModel,
): Executor {
  const runner = new Runner(kernels, model, info().weights === 'int8');
  const rows = new RowTable<Sequence>(({ position }) => position);
  const inTurn = takingTurns();
  const { config } = model;

  /** Gives each sequence a token, as many at a time as fit a call, and collects what each call leaves behind. */
  const inBlocks = <Result>(
    sequences: readonly Sequence[],
    tokens: readonly number[],
    play: (work: readonly Work[], first: number) => Result[],
  ): Result[] => {
    // all of them before any: a step that fails has changed nothing
    for (const sequence of sequences) runner.sequences.makeRoom(sequence, sequence.position + 1);
    const all = sequences.map((sequence, i) => ({ sequence, tokens: [tokens[i]] }));
    const results: Result[] = [];
    for (let first = 0; first < all.length; first += BLOCK_TOKENS) {
      results.push(...play(all.slice(first, first + BLOCK_TOKENS), first));
    }
    return results;
  };
  const checked = (live: Parameters<Executor['step']>[0], tokens: readonly number[], more = 0) => {
    checkStep(live, tokens);
    const sequences = live.map((row) => rows.get(row));
    const contextLength = (config.contextLength ?? Number.POSITIVE_INFINITY) - more;
    sequences.forEach(({ position }, i) => {
      checkTokens({ ...config, contextLength }, [tokens[i]], position);
    });
    return sequences;
  };
  const stepAndDraw = (
    sequences: readonly Sequence[],
    tokens: readonly number[],
    draws: readonly Draw[],
  ): Drawn[] =>
    inBlocks(sequences, tokens, (work, first) => {
      const own = draws.slice(first, first + work.length);
      runner.prepareDraws(own);
      runner.step(work, true);
      return runner.drawn(own);
    });

  return {
    get info() {
      return info();
    },
    prefill: (prompts) =>
      inTurn(async () => {
        for (const tokens of prompts) checkTokens(config, tokens, 0);
        const sequences: Sequence[] = [];
        const logits = new Map<Sequence, Float32Array>();
        try {
          for (const _ of prompts) sequences.push(runner.sequences.create());
          for (const { work, ended } of promptBlocks(sequences, prompts)) {
            for (const { sequence, tokens } of work) {
              runner.sequences.makeRoom(sequence, sequence.position + tokens.length);
            }
            runner.prefill(work, ended);
            ended.forEach((index, i) => {
              logits.set(work[index].sequence, runner.logits(i));
            });
          }
        } catch (error) {
          for (const sequence of sequences) runner.sequences.release(sequence);
          throw error;
        }
        return sequences.map((sequence) => ({
          row: rows.add(sequence),
          logits: logits.get(sequence) as Float32Array,
        }));
      }),
    step: (live, tokens) =>
      inTurn(async () => {
        return inBlocks(checked(live, tokens), tokens, (work) => {
          runner.step(work, false);
          return work.map((_, i) => runner.logits(i));
        });
      }),
    stepAndDraw: (live, tokens, draws) =>
      inTurn(async () => stepAndDraw(checked(live, tokens), tokens, draws)),
    decode: (live, tokens, options) =>
      inTurn(async () => {
        checkDecode(options);
        const sequences = checked(live, tokens, options.steps - 1);
        return decode(sequences, tokens, options, stepAndDraw);
      }),
    room: (tokens, shared = 0) => runner.room(tokens, shared),
    fork: (row) => inTurn(async () => rows.add(runner.sequences.fork(rows.get(row)))),
    save: (row) => inTurn(async () => runner.sequences.save(rows.get(row))),
    load: (state) => inTurn(async () => rows.add(runner.sequences.load(state))),
    release: (row) => {
      runner.sequences.release(rows.get(row));
      rows.delete(row);
    },
    close: () => inTurn(async () => runner.dispose()),
  };
}

/** Several steps, each drawing what the next takes in. */
function decode(
  sequences: readonly Sequence[],
  tokens: readonly number[],
  { steps, temperature = 0, uniform }: DecodeOptions,
  stepAndDraw: (s: readonly Sequence[], t: readonly number[], d: readonly Draw[]) => Drawn[],
): number[][] {
  const decoded = sequences.map((): number[] => []);
  let next = tokens;
  for (let step = 0; step < steps; step++) {
    const draws = sequences.map((_, row) => ({ temperature, u: uniform?.(row, step) ?? 0 }));
    next = stepAndDraw(sequences, next, draws).map(({ token }) => token);
    next.forEach((token, row) => {
      decoded[row].push(token);
    });
  }
  return decoded;
}

/** Cuts prompts into blocks: packed one after another, no token of padding between them. */
function* promptBlocks(
  sequences: readonly Sequence[],
  prompts: readonly (readonly number[])[],
): Generator<{ work: Work[]; ended: number[] }> {
  let [work, ended, room]: [Work[], number[], number] = [[], [], BLOCK_TOKENS];
  for (const [i, sequence] of sequences.entries()) {
    for (let done = 0; done < prompts[i].length; ) {
      const tokens = prompts[i].slice(done, done + room);
      work.push({ sequence, tokens });
      done += tokens.length;
      room -= tokens.length;
      if (done === prompts[i].length) ended.push(work.length - 1);
      if (room > 0) continue;
      yield { work, ended };
      [work, ended, room] = [[], [], BLOCK_TOKENS];
    }
  }
  if (work.length > 0) yield { work, ended };
}
