/** From tokens to text as they come: only whole characters, and never into a stop text. */

import type { Tokenizer } from '../tokenizer/tokenizer.ts';

/** What a decoder shows for bytes that are not a character yet. */
const INCOMPLETE = '\ufffd';

/**
 * Turns the tokens of one chain into text piece by piece. The pieces together are exactly the text of all
 * tokens, whatever the tokenizer does at the beginning of a text.
 */
export class StreamingText {
  readonly #tokenizer: Tokenizer;
  readonly #tokens: number[];
  readonly #promptLength: number;
  /** Tokens before this one are done with; tokens up to #shown have been given out. */
  #start: number;
  #shown: number;

  constructor(tokenizer: Tokenizer, prompt: readonly number[]) {
    this.#tokenizer = tokenizer;
    this.#tokens = [...prompt];
    this.#shown = prompt.length;
    this.#promptLength = prompt.length;
    // a few tokens of context, so that a leading space is not taken for the beginning of a text
    this.#start = Math.max(0, prompt.length - 6);
  }

  /** Takes a token and returns the text that it completes, perhaps none. */
  push(token: number): string {
    this.#tokens.push(token);
    // a prompt may end inside a character: then all of it belongs to the token that completes it
    const shown = this.#decode(this.#shown);
    const before = this.#shown === this.#promptLength ? shown.replace(/\ufffd+$/, '') : shown;
    const now = this.#decode(this.#tokens.length);
    if (now.length <= before.length || now.endsWith(INCOMPLETE)) return '';
    this.#start = this.#shown;
    this.#shown = this.#tokens.length;
    return now.slice(before.length);
  }

  /** What is left at the end: bytes that never became a character are shown as U+FFFD. */
  flush(): string {
    const text = this.#decode(this.#tokens.length).slice(this.#decode(this.#shown).length);
    this.#shown = this.#tokens.length;
    return text;
  }

  #decode(end: number): string {
    return this.#tokenizer.decode(this.#tokens.slice(this.#start, end));
  }
}

/** Watches a stream of text for stop texts and holds back what may be the beginning of one. */
export class StopWatcher {
  readonly #stops: readonly string[];
  #held = '';

  constructor(stops: readonly string[]) {
    this.#stops = stops;
  }

  /** Takes a piece of text; returns what can be shown, and the stop text if one is complete. */
  push(piece: string): { text: string; stop?: string } {
    this.#held += piece;
    let first = -1;
    let found: string | undefined;
    for (const stop of this.#stops) {
      const at = this.#held.indexOf(stop);
      if (at >= 0 && (first < 0 || at < first)) [first, found] = [at, stop];
    }
    if (found !== undefined) {
      const text = this.#held.slice(0, first);
      this.#held = '';
      return { text, stop: found };
    }
    const keep = Math.max(0, ...this.#stops.map((stop) => overlap(this.#held, stop)));
    const text = this.#held.slice(0, this.#held.length - keep);
    this.#held = this.#held.slice(this.#held.length - keep);
    return { text };
  }

  /** The text that was held back, when no more comes. */
  flush(): string {
    const text = this.#held;
    this.#held = '';
    return text;
  }
}

/** Length of the longest end of `text` that is a beginning of `stop`. */
function overlap(text: string, stop: string): number {
  for (let n = Math.min(text.length, stop.length - 1); n > 0; n--) {
    if (text.endsWith(stop.slice(0, n))) return n;
  }
  return 0;
}
