/** One sequence in the caller's hands: its state is a value that can be copied, stored, and taken back in time. */

import type { Executor, Row } from '../../backends/types.ts';
import { ConfigError } from '../../reference/errors.ts';
import type { LayerState, SequenceState, TokenCache } from '../../reference/state.ts';
import type { Vector } from '../../reference/tensor.ts';

/** Everything that a sequence is: plain data, to be stored or sent. saveState makes bytes of its state. */
export interface SavedSequence {
  /** All tokens taken in. */
  readonly tokens: readonly number[];
  /** Logits of the next token. Shape (vocabRows). */
  readonly logits: Vector;
  /** What the model remembers. */
  readonly state: SequenceState;
}

export interface SequenceOptions {
  /** Tokens between two checkpoints, ≥ 1, while there are few of them. Default 32. */
  checkpointEvery?: number;
}

/**
 * The fixed part of a state after some tokens. Keys and values are left out: those of a shorter sequence are the
 * first of a longer one.
 */
interface Checkpoint {
  readonly position: number;
  readonly layers: readonly LayerState[];
}

/** Where there are more checkpoints, every second one is dropped and the distance doubled. */
const MOST_CHECKPOINTS = 16;

/** A sequence that has taken in at least one token. Calls on one sequence are to be awaited one after another. */
export interface Sequence {
  /** All tokens taken in. */
  readonly tokens: readonly number[];
  /** Logits of the next token. Shape (vocabRows). */
  readonly logits: Vector;
  /** Takes in tokens, one or more; returns the logits of the next. */
  append(tokens: readonly number[]): Promise<Vector>;
  /** An independent copy: what happens to one never shows in the other. */
  fork(): Promise<Sequence>;
  /** All of it as a value. {@link loadSequence} goes on from it, on any executor of the same model. */
  save(): Promise<SavedSequence>;
  /**
   * Takes back the last k tokens: the sequence is, bit for bit where prefill and steps are, as if they had never come.
   *
   * A recurrent state cannot be undone, so it goes back to a checkpoint and takes in again what is left from there;
   * keys and values are cut. There are at most 16 checkpoints of the fixed part of the state, every 32 tokens at
   * first and further apart the longer the sequence gets; where none is early enough, the prompt is taken in again.
   */
  rewind(k: number): Promise<Vector>;
  /** Frees its memory on the executor. No other call may follow. */
  release(): void;
}

/**
 * Takes in tokens, at least one, and gives the sequence to the caller.
 * @throws ConfigError for an empty prompt, a token that the model lacks, or more tokens than its context.
 */
export async function openSequence(
  executor: Executor,
  tokens: readonly number[],
  { checkpointEvery = 32 }: SequenceOptions = {},
): Promise<Sequence> {
  if (!(Number.isInteger(checkpointEvery) && checkpointEvery >= 1)) {
    throw new ConfigError(`checkpointEvery: expected a whole number ≥ 1, got ${checkpointEvery}`);
  }
  const [{ row, logits }] = await executor.prefill([tokens]);
  return new RowSequence(executor, {
    row,
    tokens: [...tokens],
    logits,
    checkpoints: [],
    checkpointEvery,
  });
}

/** Goes on from a saved sequence. The value stays as it is and can be loaded again. */
export async function loadSequence(
  executor: Executor,
  { tokens, logits, state }: SavedSequence,
  { checkpointEvery = 32 }: SequenceOptions = {},
): Promise<Sequence> {
  if (state.position !== tokens.length) {
    throw new ConfigError(
      `sequence: expected ${state.position} tokens, as many as its state has taken in, got ${tokens.length}`,
      'StateMismatch',
    );
  }
  const row = await executor.load(state);
  const checkpoints = isCutFrom(state) ? [] : [checkpointOf(state)];
  return new RowSequence(executor, {
    row,
    tokens: [...tokens],
    logits: logits.slice(),
    checkpoints,
    checkpointEvery,
  });
}

interface Parts {
  row: Row;
  tokens: number[];
  logits: Vector;
  checkpoints: readonly Checkpoint[];
  checkpointEvery: number;
}

class RowSequence implements Sequence {
  readonly #executor: Executor;
  #parts: Parts;

  constructor(executor: Executor, parts: Parts) {
    this.#executor = executor;
    this.#parts = parts;
  }

  get tokens(): readonly number[] {
    return this.#parts.tokens;
  }

  get logits(): Vector {
    return this.#parts.logits;
  }

  async append(tokens: readonly number[]): Promise<Vector> {
    if (tokens.length === 0) {
      throw new ConfigError('append: expected at least one token, got none', 'EmptyPrompt');
    }
    for (const token of tokens) {
      const parts = this.#parts;
      const [logits] = await this.#executor.step([parts.row], [token]);
      parts.logits = logits;
      parts.tokens.push(token);
      if (this.#isDue()) this.#remember(await this.#executor.save(parts.row));
    }
    return this.#parts.logits;
  }

  async fork(): Promise<Sequence> {
    const { row, tokens, logits, ...same } = this.#parts;
    const copy = await this.#executor.fork(row);
    return new RowSequence(this.#executor, {
      ...same,
      row: copy,
      tokens: [...tokens],
      logits: logits.slice(),
    });
  }

  async save(): Promise<SavedSequence> {
    const { row, tokens, logits } = this.#parts;
    const state = await this.#executor.save(row);
    return { tokens: [...tokens], logits: logits.slice(), state };
  }

  async rewind(k: number): Promise<Vector> {
    const { row, tokens, checkpoints } = this.#parts;
    if (!(Number.isInteger(k) && k >= 0 && k < tokens.length)) {
      throw new ConfigError(
        `rewind: expected a whole number from 0 to ${tokens.length - 1}, so that one token is left, got ${k}`,
      );
    }
    if (k === 0) return this.#parts.logits;
    const length = tokens.length - k;
    const left = tokens.slice(0, length);
    const now = await this.#executor.save(row);
    // the last token is taken in again in any case: its logits are those of the next
    const kept = checkpoints.filter(({ position }) => position < length);
    const from = isCutFrom(now) && length > 1 ? checkpointOf(now, length - 1) : kept.at(-1);
    const back = from
      ? await this.#goBack(from, now, left)
      : (await this.#executor.prefill([left]))[0];
    this.#executor.release(row);
    this.#parts = { ...this.#parts, ...back, tokens: left, checkpoints: kept };
    return back.logits;
  }

  release(): void {
    this.#executor.release(this.#parts.row);
  }

  /** A new row at a checkpoint that has taken in the rest of some tokens. */
  async #goBack(
    { position, layers }: Checkpoint,
    now: SequenceState,
    tokens: readonly number[],
  ): Promise<{ row: Row; logits: Vector }> {
    const row = await this.#executor.load({
      position,
      layers: layers.map((layer, i) => withCaches(layer, now.layers[i], position)),
    });
    let { logits } = this.#parts;
    try {
      for (const token of tokens.slice(position)) {
        [logits] = await this.#executor.step([row], [token]);
      }
    } catch (error) {
      this.#executor.release(row);
      throw error;
    }
    return { row, logits };
  }

  #isDue(): boolean {
    const { tokens, checkpoints, checkpointEvery } = this.#parts;
    return tokens.length - (checkpoints.at(-1)?.position ?? 0) >= checkpointEvery;
  }

  #remember(state: SequenceState): void {
    const { checkpoints, checkpointEvery } = this.#parts;
    if (isCutFrom(state)) {
      this.#parts.checkpointEvery = Number.POSITIVE_INFINITY;
      return;
    }
    const all = [...checkpoints, checkpointOf(state)];
    if (all.length <= MOST_CHECKPOINTS) {
      this.#parts.checkpoints = all;
      return;
    }
    this.#parts.checkpoints = all.filter((_, i) => i % 2 === 0);
    this.#parts.checkpointEvery = 2 * checkpointEvery;
  }
}

/** Whether all that a model remembers are keys and values, so that any earlier state is a part of this one. */
function isCutFrom({ layers }: SequenceState): boolean {
  return layers.every(({ convState, h }) => !convState && !h);
}

function checkpointOf({ layers, ...state }: SequenceState, position = state.position): Checkpoint {
  const fixed = layers.map(({ convState, h }) => ({
    ...(convState && { convState }),
    ...(h && { h }),
  }));
  return { position, layers: fixed };
}

/** A layer's state at a position, its keys and values being the first of those that there are now. */
function withCaches(fixed: LayerState, now: LayerState, position: number): LayerState {
  const cut = ({ data, width }: TokenCache): TokenCache => ({
    data: data.slice(0, position * width),
    length: position,
    width,
  });
  return {
    ...fixed,
    ...(now.keys && { keys: cut(now.keys) }),
    ...(now.values && { values: cut(now.values) }),
  };
}
