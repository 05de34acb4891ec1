/** A file of JSON lines that is only ever added to, and survives being killed at any moment. Node only. */

import { type FileHandle, mkdir, open, readFile, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import { ConfigError, SelscanError } from '../../reference/errors.ts';
import { isDiskFull } from '../checkpoint/diskFull.ts';

/** How often what was written is forced onto the disk. A machine that loses power loses no more than this. */
const FLUSH_MS = 2000;

/** A journal that is open for adding. Only one process has it at a time. */
export class Journal {
  readonly path: string;
  readonly #file: FileHandle;
  readonly #lock: string;
  #size: number;
  #lastFlush = performance.now();

  private constructor(path: string, file: FileHandle, lock: string, size: number) {
    this.path = path;
    this.#file = file;
    this.#lock = lock;
    this.#size = size;
  }

  /**
   * Opens a journal, makes it if it is not there, and cuts off a last line that a killed process left unfinished.
   * @returns it, and the lines that it has.
   * @throws ConfigError with code Locked where another process has it.
   */
  static async open(path: string): Promise<{ journal: Journal; lines: string[] }> {
    await mkdir(dirname(path), { recursive: true });
    const lock = `${path}.lock`;
    await takeLock(lock, path);
    try {
      const file = await open(path, 'a+');
      try {
        const { lines, size } = wholeLines(await readFile(path));
        await file.truncate(size);
        return { journal: new Journal(path, file, lock, size), lines };
      } catch (error) {
        await file.close();
        throw error;
      }
    } catch (error) {
      await rm(lock, { force: true });
      throw error;
    }
  }

  /**
   * Adds lines, all of them or none.
   * @throws SelscanError with code DiskFull where there is no room; the file is as it was before.
   */
  async append(values: readonly object[]): Promise<void> {
    if (values.length === 0) return;
    const bytes = Buffer.from(values.map((value) => `${JSON.stringify(value)}\n`).join(''));
    try {
      await this.#file.appendFile(bytes);
      this.#size += bytes.length;
      if (performance.now() - this.#lastFlush > FLUSH_MS) await this.#flush();
    } catch (error) {
      await this.#file.truncate(this.#size).catch(() => {}); // what is left of a line is cut off by the next open
      throw asDiskFull(error, this.path);
    }
  }

  async close(): Promise<void> {
    try {
      await this.#flush();
    } finally {
      await this.#file.close();
      await rm(this.#lock, { force: true });
    }
  }

  async #flush(): Promise<void> {
    await this.#file.datasync();
    this.#lastFlush = performance.now();
  }
}

/** The lines of a file that end with a newline, and how many bytes they have. */
export function wholeLines(bytes: Uint8Array): { lines: string[]; size: number } {
  const size = bytes.lastIndexOf(10) + 1;
  const text = new TextDecoder().decode(bytes.subarray(0, size));
  return { lines: text === '' ? [] : text.slice(0, -1).split('\n'), size };
}

/** Makes a lock file, in place of one whose process has ended. */
async function takeLock(lock: string, path: string): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      const file = await open(lock, 'wx');
      await file.writeFile(JSON.stringify({ pid: process.pid, host: hostname() }));
      await file.close();
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw asDiskFull(error, lock);
    }
    const text = await readFile(lock, 'utf8').catch(() => '');
    const owner = ownerOf(text);
    if (attempt > 0 || owner === undefined || isAlive(owner)) {
      throw new ConfigError(
        `${path}: expected no other run to write it, process ${owner?.pid ?? 'unknown'} does; ` +
          `wait for it, or delete ${lock} if it has ended`,
        'Locked',
      );
    }
    await rm(lock, { force: true });
  }
}

interface Owner {
  pid: number;
  host: string;
}

function ownerOf(text: string): Owner | undefined {
  try {
    const { pid, host } = JSON.parse(text) as Partial<Owner>;
    return Number.isInteger(pid) && typeof host === 'string'
      ? { pid: pid as number, host }
      : undefined;
  } catch {
    return undefined;
  }
}

/** Whether a process may still be there; of another machine nothing is known. */
function isAlive({ pid, host }: Owner): boolean {
  if (host !== hostname()) return true;
  if (pid === process.pid) return false; // an earlier process of the same number: this one holds no lock yet
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function asDiskFull(error: unknown, path: string): unknown {
  if (!isDiskFull(error)) return error;
  return new SelscanError(
    'DiskFull',
    `${path}: no room on the disk; every chain up to here is kept: make room, then start the same command again`,
  );
}
