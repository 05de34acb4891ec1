/** A contestant's process, in whatever language, seen from the one that measures: a line in, a line out. */

import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { peakBytes } from '../memory.ts';
import type { Answers, Reply, Request, Who } from './protocol.ts';

/** Nothing that is asked takes longer: a contestant that hangs must not stop the run. */
const LIMIT_SECONDS = 600;

const pathOf = (name: string) => fileURLToPath(new URL(name, import.meta.url));

export interface Programs {
  readonly python: string;
  readonly node: string;
}

export class TrainerProcess {
  readonly #child: ChildProcess;
  readonly #lines: Interface;
  readonly #ended: Promise<never>;

  constructor(who: Who, threads: number, { python, node }: Programs) {
    const [command, args] =
      who === 'pytorch'
        ? [python, [pathOf('pytorch.py')]]
        : [node, ['--import', import.meta.resolve('tsx'), pathOf('contestant.ts'), who]];
    const env = {
      // where other work runs too, threads that spin for one another made a small step 100 times as slow
      OMP_WAIT_POLICY: 'passive',
      ...process.env,
      // PyTorch's own loops take the first, OpenBLAS on threads of its own the second
      OMP_NUM_THREADS: `${threads}`,
      OPENBLAS_NUM_THREADS: `${threads}`,
    };
    this.#child = spawn(command, args, { env, stdio: ['pipe', 'pipe', 'inherit'] });
    const { stdin, stdout } = this.#child;
    if (!stdin || !stdout) throw new Error(`${command}: expected pipes to it`);
    this.#lines = createInterface({ input: stdout });
    this.#ended = new Promise((_, reject) => {
      this.#child.once('error', reject);
      stdin.once('error', reject);
      this.#child.once('exit', (code, signal) =>
        reject(new Error(`its process ended (${signal ?? code})`)),
      );
    });
    // whoever asks hears of it
    this.#ended.catch(() => {});
  }

  /** One thing at a time. @throws Error with what the process says went wrong, or that it ended. */
  async ask<Kind extends Request['ask']>(
    request: Extract<Request, { ask: Kind }>,
  ): Promise<Answers[Kind]> {
    const line = new Promise<string>((resolve) => this.#lines.once('line', resolve));
    this.#child.stdin?.write(`${JSON.stringify(request)}\n`);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      const message = `${request.ask}: expected an answer in ${LIMIT_SECONDS} s, got none`;
      timer = setTimeout(() => reject(new Error(message)), 1000 * LIMIT_SECONDS);
    });
    try {
      const reply: Reply = JSON.parse(await Promise.race([line, late, this.#ended]));
      if ('error' in reply) throw new Error(reply.error);
      return reply.answer as Answers[Kind];
    } finally {
      clearTimeout(timer);
    }
  }

  /** The most memory that it has had, in bytes; undefined where the system does not tell. */
  peakBytes(): number | undefined {
    return this.#child.pid === undefined ? undefined : peakBytes(this.#child.pid);
  }

  /** Ends it, whatever it is doing. */
  async end(): Promise<void> {
    if (this.#child.pid === undefined) return;
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGKILL');
    await ended;
  }
}
