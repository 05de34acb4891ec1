/** One op on host arrays: its buffers, each between sentinels, and the one call that its steps work on. */

import { BackendError } from '../../reference/errors.ts';
import type { Tensor } from '../../reference/tensor.ts';
import * as abi from './abi.ts';
import type { Kernels } from './kernels.ts';
import { strideOf } from './packing.ts';
import { type KernelStep, type Parameter, writeSteps } from './program.ts';

/** Words before and behind every buffer that no kernel may change. */
const SENTINELS = 1024;
/**
 * A NaN that no computation makes, another one for every buffer: what a kernel reads past the end of its input shows in
 * its result, and what it copies from there in the sentinels of another.
 */
const sentinelOf = (piece: number) => 0x7fc5_e000 + (piece % 4096);
/** Columns before an input's own: kernels must not count on rows that begin at a multiple of a vector. */
const INPUT_FROM = 1;

/** Rows in memory. */
export interface Rows {
  readonly rows: number;
  readonly width: number;
  /** Address of the first number, and numbers from one row to the next: how kernels are told. */
  readonly at: readonly [address: number, stride: number];
}

/** Neighbouring tokens of one sequence. */
export interface Segment {
  readonly begin: number;
  readonly count: number;
  /** Address of its state. */
  readonly state?: number;
  /** Address of the list of its pages. */
  readonly pages?: number;
}

/** What a call says of its tokens; what is absent is not read by the kernels in question. */
export interface CallOf {
  readonly tokens?: number;
  readonly ids?: ArrayLike<number>;
  readonly positions?: readonly number[];
  readonly segments?: readonly Segment[];
}

interface Piece {
  readonly name: string;
  readonly address: number;
  /** Of the whole piece, and words between the sentinels. */
  readonly bytes: number;
  readonly words: number;
}

export class Scope {
  readonly #kernels: Kernels;
  readonly #pieces: Piece[] = [];

  constructor(kernels: Kernels) {
    this.#kernels = kernels;
  }

  get threads(): number {
    return this.#kernels.threads;
  }

  /** Room for some numbers, NaN until they are written. Returns its address. */
  room(name: string, count: number): number {
    const { memory } = this.#kernels;
    const words = Math.ceil(count / 16) * 16;
    // sizes are powers of two, so that the next call finds pieces that were freed
    const bytes = 2 ** Math.ceil(Math.log2(4 * (words + 2 * SENTINELS)));
    const address = memory.allocate(bytes);
    const sentinel = sentinelOf(this.#pieces.length);
    this.#pieces.push({ name, address, bytes, words });
    memory.u32.fill(sentinel, address / 4, address / 4 + words + 2 * SENTINELS);
    return address + 4 * SENTINELS;
  }

  /** Numbers where kernels find them: 0 for what is absent. */
  vector(name: string, t: Tensor | undefined): number {
    return t ? this.put(name, t.data) : 0;
  }

  put(name: string, data: ArrayLike<number>): number {
    const address = this.room(name, data.length);
    this.#kernels.memory.write(address, data);
    return address;
  }

  words(name: string, data: ArrayLike<number>): number {
    const address = this.room(name, data.length);
    this.#kernels.memory.u32.set(data, address / 4);
    return address;
  }

  /** Numbers that `fill` lays out; zero where it writes none. */
  packed(name: string, count: number, fill: (to: Float32Array) => void): number {
    const address = this.room(name, count);
    fill(this.view(address, count).fill(0));
    return address;
  }

  /** An input's rows of a width, among columns of something else. */
  rows(name: string, { data }: Tensor, width: number): Rows {
    const rows = width === 0 ? 0 : data.length / width;
    const stride = strideOf(width + INPUT_FROM);
    const address = this.room(name, rows * stride) + 4 * INPUT_FROM;
    const { f32 } = this.#kernels.memory;
    for (let row = 0; row < rows; row++) {
      f32.set(data.subarray(row * width, (row + 1) * width), address / 4 + row * stride);
    }
    return { rows, width, at: [address, stride] };
  }

  /** Rows for an output, full of NaN. */
  output(name: string, rows: number, width: number): Rows {
    const stride = strideOf(width);
    return { rows, width, at: [this.room(name, rows * stride), stride] };
  }

  /** Memory of each thread's own: its address, and bytes for each. */
  scratch(perThread: number): [address: number, perThread: number] {
    return [this.room('scratch', (perThread * this.threads) / 4), perThread];
  }

  /** Runs steps one after another, each given as a kernel and its parameters. */
  run(call: CallOf, ...steps: readonly [kernel: number, ...parameters: Parameter[]][]): void {
    const { memory } = this.#kernels;
    const address = this.#call(call);
    const program = this.room('program', steps.length * abi.STEP_WORDS);
    const written = steps.map(
      ([kernel, ...parameters]): KernelStep => ({ kernel, rows: abi.ROWS_TOKENS, parameters }),
    );
    writeSteps(written, memory.u32, memory.f32, program);
    this.#kernels.run(program, steps.length, address);
  }

  /** Numbers in memory, until more of it is asked for. */
  view(address: number, count: number): Float32Array {
    return this.#kernels.memory.f32.subarray(address / 4, address / 4 + count);
  }

  /** Float64 numbers in memory, likewise. */
  view64(address: number, count: number): Float64Array {
    return new Float64Array(this.#kernels.memory.wasm.buffer, address, count);
  }

  take({ at: [address, stride], rows, width }: Rows, shape: readonly number[]): Tensor {
    const data = new Float32Array(rows * width);
    const { f32 } = this.#kernels.memory;
    for (let row = 0; row < rows; row++) {
      const from = address / 4 + row * stride;
      data.set(f32.subarray(from, from + width), row * width);
    }
    return { data, shape };
  }

  /** @throws BackendError with code OutOfBounds when a kernel wrote where no buffer is. */
  check(op: string): void {
    const { u32 } = this.#kernels.memory;
    for (const [piece, { name, address, words }] of this.#pieces.entries()) {
      const sentinel = sentinelOf(piece);
      const first = address / 4 + SENTINELS;
      for (let i = 1; i <= SENTINELS; i++) {
        if (u32[first - i] !== sentinel) throw outOfBounds(op, `${i} words before ${name}`);
        if (u32[first + words + i - 1] !== sentinel) {
          throw outOfBounds(op, `${i} words behind ${name}`);
        }
      }
    }
  }

  free(): void {
    for (const { address, bytes } of this.#pieces) this.#kernels.memory.free(address, bytes);
    this.#pieces.length = 0;
  }

  #call({ ids = [], positions = [], segments = [], ...call }: CallOf): number {
    const tokens = call.tokens ?? segments.reduce((sum, { count }) => sum + count, 0);
    const table = segments.flatMap(({ begin, count, state = 0, pages = 0 }) => {
      const words = new Array<number>(abi.SEGMENT_WORDS).fill(0);
      words[abi.SEGMENT_BEGIN] = begin;
      words[abi.SEGMENT_COUNT] = count;
      words[abi.SEGMENT_STATE] = state;
      words[abi.SEGMENT_PAGES] = pages;
      return words;
    });
    const segmentOf = segments.flatMap(({ count }, i) => new Array<number>(count).fill(i));
    const words = new Array<number>(abi.CALL_WORDS).fill(0);
    words[abi.CALL_TOKENS] = tokens;
    words[abi.CALL_IDS] = this.words('ids', ids);
    words[abi.CALL_POSITIONS] = this.words('positions', positions);
    words[abi.CALL_SEGMENT_OF] = this.words('segments of tokens', segmentOf);
    words[abi.CALL_SEGMENTS] = segments.length;
    words[abi.CALL_SEGMENT_TABLE] = this.words('segments', table);
    return this.words('call', words);
  }
}

function outOfBounds(op: string, place: string): BackendError {
  return new BackendError(
    `${op}: expected a kernel to write into its buffers alone, got a change ${place}`,
    'OutOfBounds',
  );
}
