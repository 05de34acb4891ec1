/** One line of a ledger: a chain of thought that has ended, checked field by field. */

import { ConfigError } from '../../reference/errors.ts';

/** A finished chain as ledgers hold it. */
export interface LedgerChain {
  /** Which problem, by number or by name. The number 1 and the text "1" are two problems. */
  readonly problem: string | number;
  /** Which of the problem's chains: a whole number ≥ 0. */
  readonly sample: number;
  /** What was written. There is a text or an answer. */
  readonly text?: string;
  /** The answer; null where none could be found. Absent: to be found in the text. */
  readonly answer?: string | null;
  /** The right answer. */
  readonly gold?: string;
  /** Whether the answer is right; stands, whatever answer and gold say. */
  readonly correct?: boolean;
  /** Whether its steps are right as well, every one of them. */
  readonly sound?: boolean;
  /** What a reward model thinks of the chain; finite, greater is better. */
  readonly reward?: number | null;
  /** What it thinks at the end of each step; finite. */
  readonly stepRewards?: readonly number[];
  /** How many tokens were written. */
  readonly tokens?: number;
  /** Seconds from the start of the run to the end of this chain. */
  readonly seconds?: number;
  readonly finishReason?: string;
  readonly model?: string;
  readonly seed?: number;
}

/** A line as it was written, fields that we do not know too, and the chain that it holds. */
export interface LedgerLine {
  readonly chain: LedgerChain;
  readonly fields: Readonly<Record<string, unknown>>;
  /** File and line, for messages. */
  readonly place: string;
}

/** What can be wrong with a ledger. */
export type LedgerCode =
  | 'LedgerLine'
  | 'LedgerReward'
  | 'LedgerConflict'
  | 'LedgerGold'
  | 'LedgerSamples'
  | 'LedgerEmpty';

/** What tells chains apart: model, problem and sample, as one text. */
export function keyOf({ model, problem, sample }: Partial<LedgerChain>): string {
  return JSON.stringify([model ?? null, problem, sample]);
}

/** An error about a ledger. */
export function ledgerError(code: LedgerCode, message: string): ConfigError {
  return new ConfigError(message, code);
}

/** A value for a message, no longer than a line of text can bear. */
export function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length <= 60 ? text : `${text.slice(0, 60)}…`;
}

/**
 * Parses one line of a ledger.
 * @param place file and line, for messages.
 * @throws ConfigError with code LedgerLine for a line that is no JSON object or has a field of another kind, LedgerReward for
 *   a reward that is not a finite number.
 */
export function parseLine(line: string, place: string): LedgerLine {
  const fields = parseObject(line, place);
  return { chain: chainOf(fields, place), fields, place };
}

/** Parses the JSON object of a line. @throws as {@link parseLine}. */
export function parseObject(line: string, place: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    // Python writes numbers that JSON does not have
    const bare = /"(reward|stepRewards|scores)"\s*:[-\s\d.,eE+[\]]*(NaN|Infinity)/.exec(line);
    if (bare) throw notFinite(place, bare[1], Number(bare[2]));
    throw ledgerError('LedgerLine', `${place}: expected a JSON object, got ${shown(line)}`);
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>;
  }
  throw ledgerError('LedgerLine', `${place}: expected a JSON object, got ${shown(value)}`);
}

function notFinite(place: string, field: string, value: unknown): ConfigError {
  const got = typeof value === 'number' ? String(value) : shown(value);
  return ledgerError(
    'LedgerReward',
    `${place}: "${field}": expected finite numbers, got ${got}; score the chain again, or leave the field out`,
  );
}

/** Takes the fields of a chain from an object. @throws as {@link parseLine}. */
export function chainOf(fields: Readonly<Record<string, unknown>>, place: string): LedgerChain {
  const read = readerOf(fields, place);
  const chain: LedgerChain = {
    problem: read('problem', 'a text or a number', isName) as string | number,
    sample: read('sample', 'a whole number ≥ 0', isCount) as number,
    ...read.optional('text', 'a text', isText),
    ...read.optional('answer', 'a text or null', isAnswer, answerText),
    ...read.optional('gold', 'a text', isGold, answerText),
    ...read.optional('correct', 'true or false', isTruth, Boolean),
    ...read.optional('sound', 'true or false', isTruth, Boolean),
    ...rewardsOf(fields, place),
    ...read.optional('tokens', 'a whole number ≥ 0', isCount),
    ...read.optional('seconds', 'a number ≥ 0', isDuration),
    ...read.optional('finishReason', 'a text', isText),
    ...read.optional('model', 'a text', isText),
    ...read.optional('seed', 'a whole number ≥ 0', isCount),
  };
  if (chain.text === undefined && chain.answer === undefined) {
    throw ledgerError('LedgerLine', `${place}: expected "text" or "answer", got neither`);
  }
  return chain;
}

type Check = (value: unknown) => boolean;

const isText: Check = (value) => typeof value === 'string';
const isName: Check = (value) => isText(value) || Number.isFinite(value);
const isCount: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 0;
const isDuration: Check = (value) => Number.isFinite(value) && (value as number) >= 0;
const isGold: Check = isName;
const isAnswer: Check = (value) => value === null || isName(value);
// other tools write 0 and 1
const isTruth: Check = (value) => typeof value === 'boolean' || value === 0 || value === 1;

/** Other tools write answers as numbers; −0 is 0. */
const answerText = (value: unknown) => (value === null ? null : String(value));

function readerOf(fields: Readonly<Record<string, unknown>>, place: string) {
  const own = (name: string) => (Object.hasOwn(fields, name) ? fields[name] : undefined);
  const read = (name: string, expected: string, isRight: Check): unknown => {
    const value = own(name);
    if (isRight(value)) return value;
    const got = value === undefined ? 'none' : shown(value);
    throw ledgerError('LedgerLine', `${place}: "${name}": expected ${expected}, got ${got}`);
  };
  /** Absent, or null where null says nothing. */
  read.optional = (
    name: string,
    expected: string,
    isRight: Check,
    convert: (value: unknown) => unknown = (value) => value,
  ): Record<string, unknown> => {
    const value = own(name);
    if (value === undefined || (value === null && !isRight(null))) return {};
    return { [name]: convert(read(name, expected, isRight)) };
  };
  return read;
}

function rewardsOf(
  fields: Readonly<Record<string, unknown>>,
  place: string,
): { reward?: number; stepRewards?: readonly number[] } {
  const { reward = null, stepRewards = null } = fields;
  if (reward !== null && !Number.isFinite(reward)) throw notFinite(place, 'reward', reward);
  if (stepRewards !== null && !Array.isArray(stepRewards)) {
    const got = shown(stepRewards);
    throw ledgerError('LedgerLine', `${place}: "stepRewards": expected numbers, got ${got}`);
  }
  const wrong = stepRewards?.findIndex((score: unknown) => !Number.isFinite(score)) ?? -1;
  if (wrong >= 0) throw notFinite(place, 'stepRewards', stepRewards?.[wrong]);
  return {
    ...(reward !== null && { reward: reward as number }),
    ...(stepRewards !== null && { stepRewards: stepRewards as number[] }),
  };
}
