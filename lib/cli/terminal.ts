/** What commands print: text made safe for a terminal, colours where they help, errors on one line. */

import { styleText } from 'node:util';
import { SelscanError } from '../../reference/errors.ts';
import { isDiskFull } from '../checkpoint/diskFull.ts';

/** Where a command writes: results to stdout, progress and errors to stderr. */
export interface Terminal {
  /** Whether a person is watching stdout. */
  readonly isInteractive: boolean;
  /** Columns of the terminal. */
  readonly columns: number;
  out(text: string): void;
  err(text: string): void;
  /** Text in a colour or weight, where the terminal shows it. */
  style(format: Parameters<typeof styleText>[0], text: string): string;
}

/** The terminal of this process. */
export function processTerminal(): Terminal {
  const { stdout, stderr, env } = process;
  const hasColours =
    (stdout.isTTY && !env.NO_COLOR && env.TERM !== 'dumb') || Boolean(env.FORCE_COLOR);
  // a reader that has gone away (head, less) is no error
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
  return {
    isInteractive: stdout.isTTY === true,
    columns: stdout.columns ?? 100,
    out: (text) => {
      stdout.write(text);
    },
    err: (text) => {
      stderr.write(text);
    },
    style: (format, text) => (hasColours ? styleText(format, text) : text),
  };
}

/** Text from a model or a file without anything that a terminal would obey: only newlines and tabs stay. */
export function terminalText(text: string): string {
  return text.replace(
    /(?![\n\t])[\p{Cc}\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/gu,
    '\ufffd',
  );
}

/** The one line that tells a person what went wrong: `error Code: who: expected …, got …; what to do`. */
export function errorLine(error: unknown): string {
  const code = error instanceof SelscanError ? error.code : systemCode(error);
  const message = error instanceof Error ? error.message : String(error);
  return `error ${code}: ${terminalText(message).replace(/\s*\n\s*/g, ' ')}`;
}

/** Whether an error is the caller's: bad usage, bad input, or a file that could not be read or written. */
export function isExpected(error: unknown): boolean {
  return error instanceof SelscanError || systemCode(error) !== 'Internal';
}

/** The stable code of an error that is not ours. */
export function systemCode(error: unknown): string {
  if (isDiskFull(error)) return 'DiskFull';
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  switch (code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return 'NotFound';
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return 'NotAllowed';
    case 'EISDIR':
      return 'IsFolder';
    default:
      return typeof code === 'string' && /^E[A-Z]+$/.test(code) ? code : 'Internal';
  }
}

/** A count of bytes for people: 2.2 kB, 1.05 MB. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? value : value.toPrecision(3)} ${units[unit]}`;
}

/** A whole number with thousands apart: 10,000. */
export function formatCount(n: number): string {
  return Math.round(n).toLocaleString('en-US');
}

/** Rows of cells as aligned columns, the first ones (one by default) to the left, the others to the right. */
export function formatTable(rows: readonly (readonly string[])[], words = 1): string {
  const widths = rows[0].map((_, column) =>
    Math.max(...rows.map((row) => [...row[column]].length)),
  );
  const pad = (cell: string, column: number) => {
    const space = ' '.repeat(widths[column] - [...cell].length);
    return column < words ? cell + space : space + cell;
  };
  return rows.map((row) => row.map(pad).join('  ').trimEnd()).join('\n');
}
