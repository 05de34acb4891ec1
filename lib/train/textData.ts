/** Batches of a user's own texts, or of what a teacher has written. */

import { ConfigError } from '../../reference/errors.ts';
import { uniform } from '../../reference/philox.ts';
import { type LoadedModel, requireTokenizer } from '../loadModel.ts';
import { type Batch, type BatchesOptions, batchesByLength, type Example } from './batches.ts';

/** Sequences to learn from, and some that are kept apart to judge by. */
export interface TextData {
  readonly learned: readonly Example[];
  readonly heldOut: readonly Example[];
}

/** What turns texts into tokens: a model's folder, or a tokenizer's. */
export interface TextReader extends Pick<LoadedModel, 'name' | 'tokenizer' | 'bosToken'> {
  /** Token ids are below this. */
  readonly vocabSize: number;
  /** Put behind every text, where it is to be learned that texts end. */
  readonly endToken?: number;
}

/** One line in twenty is held out. */
const HELD_OUT = 20;

/**
 * Reads a file with one JSON object a line: `{"tokens": [ids]}`, as `generate --json` prints them, or `{"text": …}`. Both
 * begin with the reader's begin token; what is longer than `seqlen` is cut into pieces. Other lines (a summary) and empty
 * ones are left out.
 * @throws ConfigError with code DataFile naming the line, or where nothing is left to learn or to hold out.
 */
export async function readTextData(
  path: string,
  reader: TextReader,
  seqlen: number,
): Promise<TextData> {
  const { readFile } = await import('node:fs/promises');
  const learned: Example[] = [];
  const heldOut: Example[] = [];
  let count = 0;
  for (const [i, line] of (await readFile(path, 'utf8')).split(/\r?\n/).entries()) {
    if (line.trim() === '') continue;
    const tokens = tokensOf(line, `${path}, line ${i + 1}`, reader);
    if (!tokens) continue;
    (count++ % HELD_OUT === HELD_OUT - 1 ? heldOut : learned).push(...pieces(tokens, seqlen));
  }
  if (heldOut.length === 0) {
    throw new ConfigError(
      `${path}: expected at least ${HELD_OUT} texts, one of them to be held out, got ${count}`,
      'DataFile',
    );
  }
  return { learned, heldOut };
}

/** The batch of each step, counted from 1: examples drawn by the seed. */
export function textBatches(
  examples: readonly Example[],
  options: Omit<BatchesOptions, 'padToken'>,
): (step: number) => Batch {
  const { seed } = options;
  const exampleAt = (index: number) => {
    const place = { seed, problem: index, sample: 0, position: 0, purpose: 'problems' } as const;
    return examples[Math.floor(uniform(place) * examples.length)];
  };
  return batchesByLength(exampleAt, { ...options, padToken: 0 });
}

function tokensOf(line: string, place: string, reader: TextReader): number[] | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new ConfigError(`${place}: expected a JSON object, found none`, 'DataFile');
  }
  const { tokens, text } = (value ?? {}) as { tokens?: unknown; text?: unknown };
  const begin = reader.bosToken === undefined ? [] : [reader.bosToken];
  if (Array.isArray(tokens)) {
    const { vocabSize } = reader;
    const wrong = tokens.find(
      (token) => !Number.isInteger(token) || token < 0 || token >= vocabSize,
    );
    if (wrong === undefined) return [...begin, ...(tokens as number[])];
    const got = JSON.stringify(wrong);
    throw new ConfigError(
      `${place}: expected token ids below ${vocabSize}, got ${got}`,
      'DataFile',
    );
  }
  if (typeof text !== 'string') return undefined;
  const { endToken } = reader;
  return [...requireTokenizer(reader).encode(text), ...(endToken === undefined ? [] : [endToken])];
}

/** Pieces of seqlen + 1 tokens, each beginning with the last one of the piece before. */
function pieces(tokens: readonly number[], seqlen: number): Example[] {
  const examples: Example[] = [];
  for (let from = 0; from + 1 < tokens.length; from += seqlen) {
    examples.push({ tokens: tokens.slice(from, from + seqlen + 1), learnFrom: 1 });
  }
  return examples;
}
