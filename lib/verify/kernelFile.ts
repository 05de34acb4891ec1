/** A file of kernels as a subject. */

import { type ChildProcess, fork } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { extname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { RunOp } from '../../backends/types.ts';
import { ConfigError, UnsupportedError } from '../../reference/errors.ts';
import { type OpName, ops } from '../../reference/ops.ts';
import { isTensor, type Precision } from '../../reference/tensor.ts';
import { KernelError, lateError } from './guard.ts';
import type { KernelReply, KernelRequest } from './kernelProcess.ts';
import type { Subject } from './laws/law.ts';
import { kernelSubject } from './subject.ts';

/** A busy machine may take seconds to start a process, and longer to compile TypeScript. */
const LOADING_SECONDS = 30;

export interface KernelFileOptions {
  /** Default float32. */
  precision?: Precision;
  /** For each call, and at least 30 for starting the process and loading the file. Default 10. */
  timeoutSeconds?: number;
}

export interface KernelFile {
  readonly subject: Subject;
  /** SHA-256 of the file, in hexadecimal. */
  readonly sha256: string;
  close(): Promise<void>;
}

const LOADABLE = ['.js', '.mjs', '.cjs', '.ts', '.mts', '.cts'];

/**
 * Opens a module whose exports are named like ops.
 * @throws ConfigError (code `NotKernels`) where it cannot be loaded or exports no op; UnsupportedError for
 *   TypeScript where tsx is not installed.
 */
export async function openKernelFile(
  file: string,
  { precision, timeoutSeconds = 10 }: KernelFileOptions = {},
): Promise<KernelFile> {
  const bytes = await readFile(file);
  if (!LOADABLE.includes(extname(file))) {
    throw new UnsupportedError(
      `kernel: expected a file ending in ${LOADABLE.join(', ')}, got ${file}; for other languages use --exec`,
    );
  }
  const child = new KernelProcess(resolve(file), timeoutSeconds);
  try {
    const has = await child.open(file);
    // the process is watched the time there, where a kernel can be ended
    const options = { name: file, precision, timeoutSeconds: 2 * timeoutSeconds + 10 };
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    const subject = kernelSubject(child.run, has, options);
    return { subject, sha256, close: async () => child.close() };
  } catch (error) {
    child.close();
    throw error;
  }
}

interface Waiting {
  resolve(reply: KernelReply): void;
  reject(error: Error): void;
}

/** The process of a file; a new one takes the place of one that had to be ended. */
class KernelProcess {
  readonly #path: string;
  readonly #seconds: number;
  #child?: ChildProcess;
  #ready?: Promise<KernelReply>;
  #waiting = new Map<number, Waiting>();
  #calls = 0;

  constructor(path: string, seconds: number) {
    this.#path = path;
    this.#seconds = seconds;
  }

  /** Loads the file and returns the ops that it has. */
  async open(shown: string): Promise<OpName[]> {
    const reply = await this.#start();
    if ('broken' in reply && reply.code === 'NoTsx') {
      throw new UnsupportedError(
        `kernel: ${shown}: TypeScript is loaded through tsx, which is not installed; ` +
          'npm install tsx, or compile the file to .js',
      );
    }
    if ('broken' in reply) {
      throw new ConfigError(`kernel: ${shown} cannot be loaded: ${reply.broken}`, 'NotKernels');
    }
    if (!('ready' in reply) || reply.ready.length === 0) {
      const got = 'exports' in reply ? reply.exports.join(', ') : '';
      throw new ConfigError(
        `kernel: ${shown}: expected exported functions named like ops, got ${got || 'none'}; ` +
          `ops are ${Object.keys(ops).join(', ')}`,
        'NotKernels',
      );
    }
    return [...reply.ready] as OpName[];
  }

  readonly run: RunOp = async (op, input) => {
    await this.#start();
    const id = this.#calls++;
    const reply = await this.#ask({ id, op, input });
    if ('error' in reply) throw new KernelError(`${op}: the kernel ${reply.error}`);
    const { output, input: left } = reply as { output: unknown; input: object };
    copyBack(input as object, left);
    return output as never;
  };

  close(): void {
    const child = this.#child;
    this.#child = undefined;
    this.#ready = undefined;
    child?.kill('SIGKILL');
  }

  #start(): Promise<KernelReply> {
    this.#ready ??= this.#launch();
    return this.#ready;
  }

  #launch(): Promise<KernelReply> {
    const isSource = import.meta.url.endsWith('.ts');
    const url = new URL(isSource ? './kernelProcess.ts' : './kernelProcess.js', import.meta.url);
    const child = fork(fileURLToPath(url), [this.#path], {
      serialization: 'advanced', // typed arrays
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'], // nothing between the lines of a report
    });
    this.#child = child;
    const first = this.#inTime('loading', Math.max(this.#seconds, LOADING_SECONDS), (waiting) => {
      child.once('message', waiting.resolve);
      const end = (why: string) => {
        const error = new KernelError(why);
        waiting.reject(error);
        if (this.#child === child) {
          this.#child = undefined;
          this.#ready = undefined;
        }
        for (const { reject } of this.#waiting.values()) reject(error);
        this.#waiting.clear();
      };
      child.once('error', (error) => end(`the process of the kernel failed: ${error.message}`));
      child.once('exit', (code, signal) => {
        end(`the kernel ended its process with ${signal ?? `code ${code}`}`);
      });
    });
    child.on('message', (reply: KernelReply) => {
      if (!('id' in reply)) return;
      this.#waiting.get(reply.id)?.resolve(reply);
      this.#waiting.delete(reply.id);
    });
    return first;
  }

  #ask(request: KernelRequest): Promise<KernelReply> {
    return this.#inTime(request.op, this.#seconds, (waiting) => {
      this.#waiting.set(request.id, waiting);
      this.#child?.send(request);
    });
  }

  /** Waits for an answer; ends the process if none comes in time. */
  #inTime(what: string, seconds: number, start: (waiting: Waiting) => void): Promise<KernelReply> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(lateError(what, seconds));
        this.close();
      }, 1000 * seconds);
      const settled =
        <T>(then: (value: T) => void) =>
        (value: T) => {
          clearTimeout(timer);
          then(value);
        };
      start({ resolve: settled(resolve), reject: settled(reject) });
    });
  }
}

/** Brings what a kernel did to its copy of the inputs back to the caller's. */
function copyBack(input: object, left: object): void {
  for (const [name, value] of Object.entries(input)) {
    const other = (left as Record<string, unknown>)[name];
    if (isTensor(value) && isTensor(other) && value.data.length === other.data.length) {
      value.data.set(other.data);
    }
  }
}
