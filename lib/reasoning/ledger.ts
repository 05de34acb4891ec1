/** Chains of a ledger, each counted once. */

import {
  keyOf,
  type LedgerChain,
  type LedgerLine,
  ledgerError,
  parseLine,
  parseObject,
  shown,
} from './chain.ts';
import { isSearchAndLearn, linesOfSearchAndLearn } from './searchAndLearn.ts';

/** What a ledger holds. */
export interface Ledger {
  /** Every line, in order, those that say again what an earlier one said too. */
  readonly lines: readonly LedgerLine[];
  /** Each chain once, in the order of the lines. */
  readonly chains: readonly LedgerChain[];
  /** Lines that said again what another had said. */
  readonly duplicates: number;
  /** Last lines that were cut off while they were written. */
  readonly torn: number;
}

/** The lines of one file, or of one part of it. */
export interface LedgerText {
  /** For messages. */
  readonly name: string;
  /** Lines without their ends, in order. Empty ones are skipped. */
  readonly lines: readonly string[];
  /** Whether the last line has no end: then it may have been cut off. */
  readonly isOpen: boolean;
}

/**
 * Parses ledgers, or one in several files. A last line without an end that is no JSON was cut off by a crash: it is left out
 * and counted. Lines of search-and-learn, with all completions of a problem, are understood as well.
 * @throws ConfigError with code LedgerLine or LedgerReward naming the line; LedgerConflict for two lines that say
 *   different things of the same chain; LedgerEmpty where there is no chain.
 */
export function parseLedger(texts: readonly LedgerText[]): Ledger {
  let torn = 0;
  const lines = texts.flatMap((text) =>
    text.lines.flatMap((line, i) => {
      if (line.trim() === '') return [];
      const isLast = text.isOpen && i === text.lines.length - 1;
      if (isLast && !isJson(line)) {
        torn++;
        return [];
      }
      return parseLines(line, `${text.name}, line ${i + 1}`, i);
    }),
  );
  return { ...countOnce(lines), torn };
}

/** The chains of one line: one, or all of a problem. */
function parseLines(line: string, place: string, index: number): LedgerLine[] {
  if (!line.includes('"completions"')) return [parseLine(line, place)];
  const fields = parseObject(line, place);
  return isSearchAndLearn(fields)
    ? linesOfSearchAndLearn(fields, place, index)
    : [parseLine(line, place)];
}

function isJson(line: string): boolean {
  try {
    JSON.parse(line);
    return true;
  } catch {
    return false;
  }
}

/**
 * Leaves out lines that say again what another has said. When a chain was finished may differ: it is no part of what it says.
 * @throws ConfigError with code LedgerConflict or LedgerEmpty, as {@link parseLedger}.
 */
export function countOnce(lines: readonly LedgerLine[]): Omit<Ledger, 'torn'> {
  const seen = new Map<string, LedgerLine>();
  for (const line of lines) {
    const key = keyOf(line.chain);
    const before = seen.get(key);
    if (before === undefined) seen.set(key, line);
    else if (said(before) !== said(line)) {
      const { model, problem, sample } = line.chain;
      const whose = model === undefined ? '' : ` of model ${shown(model)}`;
      const which = `problem ${shown(problem)}, sample ${sample}${whose}`;
      throw ledgerError(
        'LedgerConflict',
        `${line.place}: expected what ${before.place} says of ${which}, got something else; ` +
          'give runs that are to be counted apart another "model" or other "sample" numbers',
      );
    }
  }
  if (seen.size === 0) {
    throw ledgerError('LedgerEmpty', 'ledger: expected a line for every chain, got none');
  }
  const chains = [...seen.values()].map(({ chain }) => chain);
  return { lines, chains, duplicates: lines.length - chains.length };
}

/** What a line says of its chain; `chain` has its fields in one order, whatever that of the line. */
function said({ chain }: LedgerLine): string {
  return JSON.stringify({ ...chain, seconds: undefined });
}
