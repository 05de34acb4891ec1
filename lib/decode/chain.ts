/** One chain while it is being decoded: its row, its tokens, and the text that they have become. */

import type { Drawn, Row } from '../../backends/types.ts';
import type { Vector } from '../../reference/tensor.ts';
import type { LoadedModel } from '../loadModel.ts';
import type { EndEvent, FinishReason, TokenEvent } from './events.ts';
import type { DecodePlan } from './options.ts';
import { StopWatcher, StreamingText } from './text.ts';

/** Where a chain comes from. */
export interface ChainOrigin {
  /** Index of the prompt, and of the chain among its samples. */
  prompt: number;
  sample: number;
  /** The prompt itself; shared by all chains of it. */
  promptTokens: readonly number[];
  row: Row;
  /** Logits after the prompt; shared by all chains of it. Shape (vocabRows). */
  logits: Vector;
}

const NONE: readonly number[] = [];

export class Chain {
  readonly prompt: number;
  readonly sample: number;
  readonly row: Row;
  /** Logits of the next token, until it is drawn; absent where it was drawn on the device. */
  logits?: Vector;
  /** The next token, where it was drawn on the device. */
  drawn?: Drawn;
  /** New tokens so far. */
  readonly tokens: number[] = [];
  /** Prompt and output, where a draw depends on them; else empty. */
  readonly seen: readonly number[];
  readonly #promptLength: number;
  readonly #stream?: StreamingText;
  readonly #stops?: StopWatcher;
  #logprob = 0;
  /** Text shown so far, in pieces. */
  readonly #text: string[] = [];
  #stop?: string;

  constructor(origin: ChainOrigin, { stop, readsTokens }: DecodePlan, loaded: LoadedModel) {
    const { prompt, sample, promptTokens, row, logits } = origin;
    this.prompt = prompt;
    this.sample = sample;
    this.row = row;
    this.logits = logits;
    this.#promptLength = promptTokens.length;
    this.seen = readsTokens ? [...promptTokens] : NONE;
    if (loaded.tokenizer) this.#stream = new StreamingText(loaded.tokenizer, promptTokens);
    if (stop.length > 0) this.#stops = new StopWatcher(stop);
  }

  /** Position of the next token, the prompt included. */
  get position(): number {
    return this.#promptLength + this.tokens.length;
  }

  /** The newest token, which the row has not taken in yet. */
  get newest(): number {
    return this.tokens[this.tokens.length - 1];
  }

  /** Takes the next token. Says why the chain ends with it, if it does. */
  take(
    { token, logprob, filteredLogprob }: Drawn,
    { stopTokens, maxTokens }: DecodePlan,
    { config, eosTokens }: LoadedModel,
  ): { event: TokenEvent; reason?: FinishReason } {
    const { prompt, sample, position } = this;
    this.logits = undefined;
    this.drawn = undefined;
    this.tokens.push(token);
    if (this.seen !== NONE) (this.seen as number[]).push(token);
    this.#logprob += logprob;
    const isEnd = eosTokens.includes(token) || stopTokens.has(token);
    const piece = isEnd ? '' : (this.#stream?.push(token) ?? '');
    const { text, stop } = this.#stops?.push(piece) ?? { text: piece };
    if (text !== '') this.#text.push(text);
    this.#stop = stop;
    const event: TokenEvent = {
      kind: 'token',
      prompt,
      sample,
      position,
      token,
      text,
      logprob,
      filteredLogprob,
    };
    if (isEnd || stop !== undefined) return { event, reason: 'stop' };
    if (this.tokens.length >= maxTokens) return { event, reason: 'length' };
    // the next step would put this token at `position`, which must be inside the context
    const isFull = position >= (config.contextLength ?? Number.POSITIVE_INFINITY);
    return isFull ? { event, reason: 'context' } : { event };
  }

  /** The end of the chain with all of it. */
  end(finishReason: FinishReason, error?: EndEvent['error']): EndEvent {
    const { prompt, sample, tokens } = this;
    let stop = this.#stop;
    let rest = '';
    if (stop === undefined) {
      // nothing follows any more: what is held back is text, unless it completes a stop text after all
      const piece = this.#stream?.flush() ?? '';
      const last = this.#stops?.push(piece) ?? { text: piece };
      stop = last.stop;
      rest = last.text + (this.#stops?.flush() ?? '');
    }
    const text = this.#text.join('') + rest;
    const stopped = stop === undefined ? {} : { stop };
    const broken = error === undefined ? {} : { error };
    const logprob = this.#logprob;
    return {
      kind: 'end',
      prompt,
      sample,
      text,
      rest,
      tokens,
      finishReason,
      ...stopped,
      ...broken,
      logprob,
    };
  }
}
