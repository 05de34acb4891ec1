/** A contestant's process, seen from the one that measures. */

import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Answers, Reply, Request } from './protocol.ts';

export interface ProcessOptions {
  /** Another Node than this one. */
  readonly node?: string;
  /** What that Node is started with, before the loader of TypeScript. */
  readonly flags?: readonly string[];
}

/** Nothing that is asked takes longer: a side that hangs must not stop the run. */
const LIMIT_SECONDS = 180;

export class ContestantProcess {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, { resolve(value: never): void; reject(e: Error): void }>();
  #asked = 0;

  constructor({ node, flags = [] }: ProcessOptions = {}) {
    const path = fileURLToPath(new URL('contestant.ts', import.meta.url));
    this.#child = fork(path, {
      ...(node && { execPath: node }),
      // by its address: this process may have been started from anywhere
      execArgv: [...flags, '--import', import.meta.resolve('tsx')],
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    this.#child.on('message', (reply: Reply) => {
      const waiting = this.#waiting.get(reply.id);
      this.#waiting.delete(reply.id);
      if ('error' in reply) waiting?.reject(new Error(reply.error));
      else waiting?.resolve(reply.answer as never);
    });
    this.#child.on('exit', (code, signal) => {
      const error = new Error(`a contestant's process ended (${signal ?? code})`);
      for (const { reject } of this.#waiting.values()) reject(error);
      this.#waiting.clear();
    });
  }

  /** @throws Error with what the process says went wrong, or that it ended. */
  ask<Kind extends Request['ask']>(
    request: Extract<Request, { ask: Kind }>,
  ): Promise<Answers[Kind]> {
    const id = this.#asked++;
    return new Promise((resolve, reject) => {
      const limit = setTimeout(() => {
        reject(new Error(`${request.ask}: expected an answer in ${LIMIT_SECONDS} s, got none`));
      }, 1000 * LIMIT_SECONDS);
      const settle =
        <T>(how: (value: T) => void) =>
        (value: T) => {
          clearTimeout(limit);
          how(value);
        };
      this.#waiting.set(id, { resolve: settle(resolve), reject: settle(reject) });
      this.#child.send({ id, request }, (error) => error && settle(reject)(error));
    });
  }

  /** Ends it, whatever it is doing. */
  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGKILL');
    await ended;
  }
}
