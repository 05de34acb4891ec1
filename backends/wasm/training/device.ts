/** Training's memory in WASM, and the steps that wait to be run. */

import type { Numbers } from '../../training.ts';
import type { StepBytes } from '../../trainingMemory.ts';
import { CALL_WORDS, STEP_WORDS } from '../abi.ts';
import type { Memory } from '../memory.ts';
import { strideOf } from '../packing.ts';
import type { Allocator } from '../pieces.ts';
import { type Parameter, writeSteps } from '../program.ts';
import { FILL } from './abiLayers.ts';
import { Arena } from './arena.ts';
import { Workspace } from './workspace.ts';

/** Steps that are collected before they are run. */
const QUEUE = 512;
/** Bytes behind every buffer that kernels may read, never write. */
const SLACK = 64;

/**
 * Rows in memory, `stride` apart: their width rounded up to whole panels. The columns beyond the width are 0 and stay
 * so: kernels may write zeros there, nothing else.
 */
export interface Buffer extends Numbers {
  readonly address: number;
  readonly rows: number;
  readonly width: number;
  readonly stride: number;
  readonly bytes: number;
}

/** What training needs of the compiled kernels. */
export interface TrainingKernels {
  readonly memory: Pick<Memory, 'allocate' | 'allocateZeros' | 'free' | 'write' | 'f32' | 'u32'>;
  readonly threads: number;
  run(program: number, steps: number, call: number): void;
}

export class TrainingMemory {
  readonly kernels: TrainingKernels;
  /** Of all ops: they run one after the other. */
  readonly workspace: Workspace;
  readonly #program: number;
  readonly #call: number;
  #steps: { kernel: number; rows: 0; parameters: readonly Parameter[] }[] = [];
  /** What lives until `reset`. */
  protected readonly passing: Arena;

  /** @param ofStep where the numbers of a step and the workspace lie: among all others unless said. */
  constructor(kernels: TrainingKernels, ofStep: Allocator = kernels.memory) {
    this.kernels = kernels;
    this.passing = new Arena(ofStep);
    this.workspace = new Workspace(ofStep, () => this.flush());
    this.#program = kernels.memory.allocateZeros(4 * STEP_WORDS * QUEUE);
    this.#call = kernels.memory.allocateZeros(4 * CALL_WORDS);
  }

  get threads(): number {
    return this.kernels.threads;
  }

  /** Adds a step to the queue: a kernel and its parameters, addresses and counts as they are, `{ real }` for float32. */
  run(kernel: number, ...parameters: Parameter[]): void {
    this.#steps.push({ kernel, rows: 0, parameters });
    if (this.#steps.length === QUEUE) this.flush();
  }

  /** Runs what waits. */
  flush(): void {
    const steps = this.#steps;
    if (steps.length === 0) return;
    this.#steps = [];
    const { memory } = this.kernels;
    writeSteps(steps, memory.u32, memory.f32, this.#program);
    this.kernels.run(this.#program, steps.length, this.#call);
  }

  /** Numbers that stay. */
  keep(shape: readonly number[], data?: ArrayLike<number> | (() => ArrayLike<number>)): Buffer {
    const buffer = layout(shape);
    const address = this.kernels.memory.allocateZeros(buffer.bytes);
    const kept = { ...buffer, address };
    if (data) this.write(kept, typeof data === 'function' ? data() : data);
    return kept;
  }

  /** Gives back what was kept. */
  free({ address, bytes }: Buffer): void {
    this.flush();
    this.kernels.memory.free(address, bytes);
  }

  /** Numbers until `reset`, for a kernel that writes every one of them; columns beyond the width are 0. */
  output(shape: readonly number[]): Buffer {
    const buffer = this.#pass(shape);
    if (buffer.stride !== buffer.width) this.#fill(buffer);
    return buffer;
  }

  /** Zeros until `reset`. */
  zeros(shape: readonly number[]): Buffer {
    const buffer = this.#pass(shape);
    this.#fill(buffer);
    return buffer;
  }

  /** Whole numbers until `reset`: tokens, targets. Returns their address. */
  integers(data: Int32Array): number {
    const address = this.scratch(4 * data.length);
    this.kernels.memory.u32.set(data, address / 4);
    return address;
  }

  /** Float32 numbers in a row until `reset`, without a stride. Returns their address. */
  vector(data: ArrayLike<number>): number {
    const address = this.scratch(4 * data.length);
    this.kernels.memory.write(address, data);
    return address;
  }

  /** Bytes until `reset`, with whatever they held. Returns their address. */
  scratch(bytes: number): number {
    return this.passing.allocate(bytes + SLACK);
  }

  reset(): void {
    this.flush();
    this.passing.reset();
  }

  /** Takes at once what the largest step needs: later none can find less. @throws BackendError with code OutOfMemory. */
  reserve({ passing, workspace }: StepBytes): void {
    this.passing.reserve(passing);
    this.workspace.reserve(workspace);
  }

  read(buffer: Buffer): Float32Array {
    this.flush();
    const { address, rows, width, stride } = buffer;
    const { f32 } = this.kernels.memory;
    const data = new Float32Array(rows * width);
    for (let row = 0; row < rows; row++) {
      const from = address / 4 + row * stride;
      data.set(f32.subarray(from, from + width), row * width);
    }
    return data;
  }

  write({ address, rows, width, stride }: Buffer, data: ArrayLike<number>): void {
    this.flush();
    const { f32 } = this.kernels.memory;
    for (let row = 0; row < rows; row++) {
      const to = address / 4 + row * stride;
      for (let i = 0; i < width; i++) f32[to + i] = data[row * width + i];
    }
  }

  #pass(shape: readonly number[]): Buffer {
    const buffer = layout(shape);
    return { ...buffer, address: this.passing.allocate(buffer.bytes) };
  }

  #fill({ address, rows, stride }: Buffer): void {
    this.run(FILL, address, rows * stride);
  }
}

/** How numbers of a shape lie. */
function layout(shape: readonly number[]): Omit<Buffer, 'address'> {
  const width = shape.at(-1) ?? 1;
  const rows = shape.slice(0, -1).reduce((product, n) => product * n, 1);
  const stride = strideOf(width);
  return { shape, rows, width, stride, bytes: 4 * rows * stride + SLACK };
}

/** What this device made, seen as its own. */
export const own = (numbers: Numbers): Buffer => numbers as Buffer;
