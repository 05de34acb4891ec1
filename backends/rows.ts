/** What all executors check of the tokens and rows that they are given. */

import type { ModelConfig } from '../reference/config.ts';
import { ConfigError } from '../reference/errors.ts';
import type { DecodeOptions, Row } from './types.ts';

/** The live rows of one executor and what it knows of each. */
export class RowTable<Content> {
  readonly #contents = new Map<Row, Content>();
  readonly #positionOf: (content: Content) => number;

  constructor(positionOf: (content: Content) => number) {
    this.#positionOf = positionOf;
  }

  add(content: Content): Row {
    const positionOf = this.#positionOf;
    const row: Row = {
      get position() {
        return positionOf(content);
      },
    };
    this.#contents.set(row, content);
    return row;
  }

  /** @throws ConfigError with code DeadRow for a row that was released, or is another executor's. */
  get(row: Row): Content {
    const content = this.#contents.get(row);
    if (content !== undefined) return content;
    throw new ConfigError('row: expected a live row of this executor; was it released?', 'DeadRow');
  }

  delete(row: Row): void {
    this.#contents.delete(row);
  }

  get contents(): Iterable<Content> {
    return this.#contents.values();
  }
}

/**
 * @param position tokens that the sequence has taken in before.
 * @throws ConfigError with code EmptyPrompt, ContextLength or TokenRange.
 */
export function checkTokens(
  { vocabRows, contextLength = Number.POSITIVE_INFINITY }: ModelConfig,
  tokens: readonly number[],
  position: number,
): void {
  if (tokens.length === 0) {
    throw new ConfigError('tokens: expected at least one, got none', 'EmptyPrompt');
  }
  if (position + tokens.length > contextLength) {
    throw new ConfigError(
      `tokens: expected at most ${contextLength} in a sequence (the model's context), ` +
        `got ${position + tokens.length}; shorten the prompt`,
      'ContextLength',
    );
  }
  const wrong = tokens.find((id) => !Number.isInteger(id) || id < 0 || id >= vocabRows);
  if (wrong !== undefined) {
    throw new ConfigError(
      `token: expected an id in [0, ${vocabRows}), got ${wrong}; is the tokenizer from the same model?`,
      'TokenRange',
    );
  }
}

/** @throws ConfigError unless there is one token for every row, and no row twice. */
export function checkStep(rows: readonly Row[], tokens: readonly number[]): void {
  if (rows.length !== tokens.length) {
    throw new ConfigError(
      `step: expected ${rows.length} tokens, one per row, got ${tokens.length}`,
    );
  }
  if (new Set(rows).size !== rows.length) {
    throw new ConfigError('step: expected every row once, got one twice; fork it first');
  }
}

/** @throws ConfigError for options of `decode` that are out of range. */
export function checkDecode({ steps, temperature = 0, uniform }: DecodeOptions): void {
  if (!Number.isInteger(steps) || steps < 1) {
    throw new ConfigError(`decode: steps: expected a whole number ≥ 1, got ${steps}`);
  }
  if (!(temperature >= 0 && temperature < Number.POSITIVE_INFINITY)) {
    throw new ConfigError(`decode: temperature: expected a number ≥ 0, got ${temperature}`);
  }
  if (temperature > 0 && !uniform) {
    throw new ConfigError('decode: uniform: expected it above temperature 0, got none');
  }
}
