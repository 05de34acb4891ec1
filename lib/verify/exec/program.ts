/** Somebody's program, run once on a folder of cases: it can crash, hang or talk, and is never left running. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:os';
import { SelscanError } from '../../../reference/errors.ts';
import { printable } from '../../checkpoint/errors.ts';

/** What can be wrong with a program's work on a case. Stable: programs may match on these. */
export type ExecCode =
  /** It could not be started, exited with another code than 0, or was killed. */
  | 'ExecFailed'
  /** It had not ended in time. */
  | 'ExecTimeout'
  /** Its answer to the case is missing, unreadable, or of another shape. */
  | 'ExecOutput';

/** A program failed on a case: a counterexample like a wrong number. */
export class ExecError extends SelscanError {
  declare readonly code: ExecCode;

  constructor(code: ExecCode, message: string, lastWords: string, options?: { cause?: unknown }) {
    const said = lastWords === '' ? 'it wrote nothing to stderr' : `last words: ${lastWords}`;
    super(code, `${message}; ${said}`, options);
  }
}

export interface ProgramOptions {
  /** As the user typed it: the shell reads it. */
  command: string;
  /** Folders that are added to the command. */
  folders: readonly string[];
  timeoutSeconds: number;
  signal?: AbortSignal;
  /** Names the work in errors: `scan.py: 12 cases`. */
  who: string;
}

/** What is kept of stderr, in bytes and in lines. */
const KEPT_BYTES = 4096;
const KEPT_LINES = 3;

/** How long a program that has ended may keep its stderr open, through children that left its group. */
const DRAIN_MS = 500;

/**
 * Runs a command on folders and waits for its end.
 * @returns the last lines that it wrote to stderr.
 * @throws ExecError when it fails or takes too long; the signal's reason when that aborts.
 */
export async function runProgram(options: ProgramOptions): Promise<string> {
  const { command, folders, timeoutSeconds, signal, who } = options;
  signal?.throwIfAborted();
  const child = spawn([command, ...folders.map(quoted)].join(' '), {
    shell: true,
    // a group of its own, so that whatever the shell starts ends with it
    detached: process.platform !== 'win32',
    stdio: ['ignore', 'ignore', 'pipe'],
    windowsHide: true,
  });
  let kept = Buffer.alloc(0);
  child.stderr.on('data', (chunk: Buffer) => {
    kept = Buffer.concat([kept, chunk]).subarray(-KEPT_BYTES);
  });
  const stop = () => killGroup(child);
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    stop();
  }, timeoutSeconds * 1000);
  signal?.addEventListener('abort', stop);
  process.on('exit', stop);
  try {
    const closed = once(child, 'close');
    closed.catch(() => undefined); // the same error comes with the exit
    const [code, killedBy] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
    stop(); // what it left behind in its group
    const drain = setTimeout(() => child.stderr.destroy(), DRAIN_MS);
    await closed;
    clearTimeout(drain);
    signal?.throwIfAborted();
    const words = lastLines(kept);
    if (isLate) {
      throw new ExecError(
        'ExecTimeout',
        `${who}: expected an end within ${timeoutSeconds} s, got none`,
        words,
      );
    }
    if (code !== 0) {
      const got = killedBy ?? `${code}${signalOf(code ?? 0)}`;
      throw new ExecError('ExecFailed', `${who}: expected exit code 0, got ${got}`, words);
    }
    return words;
  } catch (error) {
    if (error instanceof SelscanError || signal?.aborted) throw error;
    const problem = error instanceof Error ? error.message : String(error);
    throw new ExecError('ExecFailed', `${who}: expected it to start, got ${problem}`, '', {
      cause: error,
    });
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', stop);
    process.off('exit', stop);
  }
}

function quoted(path: string): string {
  return process.platform === 'win32' ? `"${path}"` : `'${path.replaceAll("'", "'\\''")}'`;
}

/** Ends a program and all that it started; nothing happens when they have ended. */
function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    if (process.platform === 'win32') child.kill('SIGKILL');
    else process.kill(-child.pid, 'SIGKILL');
  } catch (error) {
    // none is left, or on macOS only some that nobody has waited for yet
    if (!['ESRCH', 'EPERM'].includes(String((error as NodeJS.ErrnoException).code))) throw error;
  }
}

/** ` (SIGSEGV)` for the exit code by which a shell reports that a signal ended its command. */
function signalOf(code: number): string {
  const found = Object.entries(constants.signals).find(([, number]) => number === code - 128);
  return found ? ` (${found[0]})` : '';
}

function lastLines(bytes: Buffer): string {
  const lines = bytes.toString('utf8').split(/\r?\n/);
  const spoken = lines.map((line) => line.trim()).filter((line) => line !== '');
  return printable(spoken.slice(-KEPT_LINES).join(' | '));
}
