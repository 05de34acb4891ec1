/** Ledgers on disk, for Node. */

import { createReadStream } from 'node:fs';
import { ledgerError } from './chain.ts';
import { type Ledger, type LedgerText, parseLedger } from './ledger.ts';

/** A line longer than this many characters is refused rather than kept in memory. */
const LONGEST_LINE = 2 ** 26;

/**
 * Reads a ledger, or one in several files.
 * @throws ConfigError as parseLedger, and with code LedgerLine for a line of more than 64 million characters; errors of Node
 *   for files that cannot be read.
 */
export async function readLedger(paths: string | readonly string[]): Promise<Ledger> {
  const names = typeof paths === 'string' ? [paths] : paths;
  const texts: LedgerText[] = [];
  for (const name of names) texts.push(await readLines(name));
  return parseLedger(texts);
}

async function readLines(name: string): Promise<LedgerText> {
  const lines: string[] = [];
  let open: string[] = []; // pieces of a line that has not ended
  let length = 0;
  for await (const piece of createReadStream(name, 'utf8') as AsyncIterable<string>) {
    const [first, ...others] = piece.split('\n');
    open.push(first);
    length += first.length;
    for (const other of others) {
      lines.push(open.join(''));
      open = [other];
      length = other.length;
    }
    if (length > LONGEST_LINE) {
      throw ledgerError(
        'LedgerLine',
        `${name}, line ${lines.length + 1}: expected at most ${LONGEST_LINE} characters, got more; is this a ledger?`,
      );
    }
  }
  if (length > 0) lines.push(open.join(''));
  if (lines.length > 0) lines[0] = lines[0].replace(/^\ufeff/, '');
  return { name, lines, isOpen: length > 0 };
}
