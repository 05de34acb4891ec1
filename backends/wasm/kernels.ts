/** The compiled kernels on one memory, with the threads that run them. */

import { BackendError } from '../../reference/errors.ts';
import { TEAM_LOST, TEAM_WORDS } from './abi.ts';
import { Memory } from './memory.ts';
import { prefersQuads, prefersRelaxed, timeLinear } from './probe.ts';
import { availableThreads, maySleep, startThreads, whyNotShared } from './team.ts';

/** Instructions that a build uses: SIMD128, or relaxed SIMD as well (fused multiply-add, int8 dot products). */
export type Simd = 'plain' | 'relaxed';

export interface KernelsOptions {
  /** Threads that compute, the caller's among them. Default: all cores where memory can be shared, else 1. */
  threads?: number;
  /** Default: relaxed where this engine has it and a short measurement finds that it does it well. */
  simd?: Simd;
  /** Most bytes of memory. Default 4 GB. */
  memoryLimit?: number;
  /** Whether even the smallest work is divided among the threads: to test them. Default false. */
  alwaysShares?: boolean;
}

/** Milliseconds after which a sleeper looks again, whatever became of the call that was to wake it. */
const NAP = 10;
/** Pieces of memory begin at multiples of this, and the words that threads wait for lie in its first of the team's. */
const TEAM_LINE = 64;

interface Exports {
  run(
    team: number,
    program: number,
    steps: number,
    call: number,
    threads: number,
    sleep: number,
  ): void;
  dismiss(team: number): void;
}

/** A build by its name; only the one that is needed is loaded. */
const BUILDS = {
  plainShared: () => import('./compiled/plainShared.ts'),
  plainAlone: () => import('./compiled/plainAlone.ts'),
  relaxedShared: () => import('./compiled/relaxedShared.ts'),
  relaxedAlone: () => import('./compiled/relaxedAlone.ts'),
};

export class Kernels {
  readonly memory: Memory;
  readonly simd: Simd;
  readonly threads: number;
  readonly alwaysShares: boolean;
  #usesQuads?: boolean;
  readonly #exports: Exports;
  readonly #team: number;
  readonly #others: { end(): Promise<void> };
  readonly #sleep = maySleep() ? 1 : 0;

  private constructor(
    has: { memory: Memory; simd: Simd; threads: number; alwaysShares: boolean },
    exports: Exports,
    team: number,
    others: { end(): Promise<void> },
  ) {
    this.memory = has.memory;
    this.simd = has.simd;
    this.threads = has.threads;
    this.alwaysShares = has.alwaysShares;
    this.#exports = exports;
    this.#team = team;
    this.#others = others;
  }

  /**
   * @throws BackendError with code NoSimd where the engine lacks the instructions, NoThreads where threads are asked
   *   for and memory cannot be shared or a worker does not start, OutOfMemory.
   */
  static async start(options: KernelsOptions = {}): Promise<Kernels> {
    const threads = await threadsFor(options.threads);
    const isShared = threads > 1;
    const memory = new Memory(isShared, options.memoryLimit);
    const wanted = options.simd ?? ((await hasRelaxed()) ? 'relaxed' : 'plain');
    let build = await newBuild(wanted, memory, isShared);
    if (!options.simd && wanted === 'relaxed') {
      const plain = await newBuild('plain', memory, isShared);
      const [slow, fast] = [plain, build].map((one) => timeLinear(memory, one.runAlone));
      if (!prefersRelaxed(slow, fast)) build = plain;
    }
    const { simd, module, exports } = build;
    const team = memory.allocateZeros(4 * TEAM_WORDS);
    const lost = team + 4 * TEAM_LOST;
    const others = await startThreads({ module, memory: memory.wasm, team, lost, threads });
    const { alwaysShares = false } = options;
    return new Kernels({ memory, simd, threads, alwaysShares }, exports, team, others);
  }

  /** Runs some steps for a call, on all threads or on the caller's alone. Returns when they are done. */
  run(program: number, steps: number, call: number, threads = this.threads): void {
    // the threads know how many they are: all of them or none
    const count = threads > 1 ? this.threads : 1;
    this.#exports.run(this.#team, program, steps, call, count, this.#sleep);
  }

  /** Whether 8-bit matrices are multiplied four numbers at a time: where that was measured to be much faster. */
  get usesQuads(): boolean {
    const run = (program: number, call: number) => this.run(program, 1, call, 1);
    this.#usesQuads ??= this.simd === 'relaxed' && prefersQuads(this.memory, run);
    return this.#usesQuads;
  }

  async close(): Promise<void> {
    if (this.threads > 1) this.#exports.dismiss(this.#team);
    await this.#others.end();
  }
}

/**
 * A build on a memory.
 * @throws BackendError with code NoSimd where the engine lacks its instructions, WasmForbidden where a page's policy
 *   lets nothing be compiled.
 */
async function newBuild(simd: Simd, memory: Memory, isShared: boolean) {
  const bytes = await bytesOf(simd, isShared);
  if (!WebAssembly.validate(bytes)) {
    throw new BackendError(
      `wasm: expected an engine with ${simd === 'relaxed' ? 'relaxed ' : ''}SIMD, this one has none; ` +
        'take a newer engine, or backend: reference',
      'NoSimd',
    );
  }
  const module = await WebAssembly.compile(bytes).catch((error: Error) => {
    throw new BackendError(
      `wasm: expected leave to compile WebAssembly, got none (${error.message}); a page with a Content Security ` +
        "Policy needs script-src 'wasm-unsafe-eval'",
      'WasmForbidden',
    );
  });
  const abort = () => {
    throw new BackendError('wasm: a kernel gave up', 'KernelAborted');
  };
  const sleep = (at: number, was: number) => {
    const words = new Int32Array(memory.wasm.buffer);
    Atomics.wait(words, at / 4, was, NAP);
    // the word that is waited for lies in the team's block, which begins at a line of 64 bytes
    if (words[(at - (at % TEAM_LINE)) / 4 + TEAM_LOST] === 0) return;
    throw new BackendError(
      'wasm: a thread of the team has failed, and what it was doing is lost; open the backend again',
      'WorkerLost',
    );
  };
  const env = { memory: memory.wasm, abort, sleep };
  const instance = await WebAssembly.instantiate(module, { env });
  const exports = instance.exports as unknown as Exports;
  const runAlone = (program: number, call: number) => exports.run(0, program, 1, call, 1, 0);
  return { simd, module, exports, runAlone };
}

async function threadsFor(wanted?: number): Promise<number> {
  const reason = whyNotShared();
  if (wanted === undefined) return reason ? 1 : availableThreads();
  if (!Number.isInteger(wanted) || wanted < 1 || wanted > 64) {
    throw new BackendError(`threads: expected a whole number from 1 to 64, got ${wanted}`, 'Range');
  }
  if (wanted > 1 && reason) {
    throw new BackendError(
      `threads: expected 1, got ${wanted}: ${reason}; take threads: 1`,
      'NoThreads',
    );
  }
  return wanted;
}

/** Whether this engine has relaxed SIMD. */
export async function hasRelaxed(): Promise<boolean> {
  return WebAssembly.validate(await bytesOf('relaxed', false));
}

async function bytesOf(simd: Simd, isShared: boolean): Promise<Uint8Array<ArrayBuffer>> {
  const { wasm } = await BUILDS[`${simd}${isShared ? 'Shared' : 'Alone'}`]();
  return Uint8Array.from(atob(wasm), (c) => c.charCodeAt(0));
}
