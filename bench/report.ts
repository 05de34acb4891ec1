/** Where measurements go: tables on stdout, and all numbers as JSON. */

import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { type Spread, spreadOf, type Timing } from './timing.ts';

/** One measurement, as flat as a line of a table. */
export type Row = Record<string, string | number | undefined>;

/** What stands above a column, and the key of what stands in it. */
export type Column = readonly [title: string, key: string];

export const print = (line = '') => process.stdout.write(`${line}\n`);

/** Times as a row has them: median and extremes of the rounds. */
export function timeColumns(timing: Timing): Row {
  const { median, min, max } = spreadOf(timing.samples);
  return { ms: median, msMin: min, msMax: max, cpuMs: timing.cpuMs, rounds: timing.samples.length };
}

/** A ratio with the range over the rounds. */
export function ratioColumns(name: string, { median, min, max }: Spread): Row {
  return { [name]: median, [`${name}Min`]: min, [`${name}Max`]: max };
}

/** The machine and the state of the code. */
export interface Setting {
  machine: string;
  node: string;
  commit: string;
  date: string;
}

export function currentSetting(): Setting {
  const git = (...args: string[]) => execFileSync('git', args, { encoding: 'utf8' }).trim();
  const isChanged = git('status', '--porcelain', '--', 'backends', 'lib', 'reference') !== '';
  return {
    machine: `${cpus().length} × ${cpus()[0].model}`,
    node: process.version,
    commit: `${git('rev-parse', '--short', 'HEAD')}${isChanged ? ' and uncommitted changes' : ''}`,
    date: new Date().toISOString(),
  };
}

export class Report {
  readonly setting = currentSetting();
  readonly #parts: Record<string, Row[]> = {};

  /** Prints a table and keeps its rows under the part's name. */
  table(part: string, title: string, columns: readonly Column[], rows: readonly Row[]): void {
    this.keep(part, rows);
    print(`\n${title}`);
    printTable(columns, rows);
  }

  /** Keeps rows without printing them. */
  keep(part: string, rows: readonly Row[]): void {
    this.#parts[part] ??= [];
    this.#parts[part].push(...rows);
  }

  save(file: string): void {
    writeFileSync(file, `${JSON.stringify({ ...this.setting, ...this.#parts }, null, 1)}\n`);
    print(`\nall numbers: ${file}`);
  }
}

function printTable(columns: readonly Column[], rows: readonly Row[]): void {
  const lines = [
    columns.map(([title]) => title),
    ...rows.map((row) => columns.map(([, key]) => cell(row, key))),
  ];
  const widths = columns.map((_, c) => Math.max(...lines.map((line) => line[c].length)));
  for (const [i, line] of lines.entries()) {
    // numbers to the right, and so are the titles above them
    const padded = line.map((text, c) =>
      typeof rows[Math.max(i - 1, 0)]?.[columns[c][1]] === 'number'
        ? text.padStart(widths[c])
        : text.padEnd(widths[c]),
    );
    print(padded.join('  ').trimEnd());
  }
}

/** A number with its range where the row has one: `3.1 (2.9–3.4)`. */
function cell(row: Row, key: string): string {
  const [value, min, max] = [row[key], row[`${key}Min`], row[`${key}Max`]];
  if (value === undefined) return '';
  if (typeof value === 'string') return value;
  const range = min === undefined ? '' : ` (${short(Number(min))}–${short(Number(max))})`;
  return `${short(value)}${range}`;
}

const SUFFIXES = ['', 'k', 'M', 'G', 'T'];

/** Three digits: 0.0123, 4.56, 789, 12.3k, 4.56G. */
export function short(n: number): string {
  if (n === 0 || !Number.isFinite(n)) return String(n);
  const thousands = Math.abs(n) < 10_000 ? 0 : Math.floor(Math.log10(Math.abs(n)) / 3);
  const scaled = n / 1000 ** thousands;
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(scaled))));
  const text = Number.isInteger(scaled) ? String(scaled) : scaled.toFixed(Math.min(digits, 4));
  return `${text}${SUFFIXES[thousands]}`;
}
