/**
 * The state of all sequences on the device: for each slot of the plan's state one array over all sequences.
 *
 * A kernel cannot write what it reads, so every array has two kernels that write it in turn.
 */

import type { StateSlot } from '../plan.ts';
import type { Device } from './device.ts';
import { type Dims, type Handle, type Kernel, type KernelSpec, keyFor } from './kernel.ts';

/** Sizes that grow with the work. */
export interface StateSizes {
  /** Sequences that there is room for. */
  readonly slots: number;
  /** Tokens of each that the caches have room for. */
  readonly capacity: number;
}

/** Two kernels that are the same, each with an output of its own. */
export type Pair = readonly [Kernel, Kernel];

export class DeviceState {
  readonly #device: Device;
  readonly #parts: readonly StateSlot[];
  readonly #handles = new Map<string, Handle>();
  /** Who wrote an array last. */
  readonly #writers = new Map<string, Kernel>();
  readonly #pairs = new Map<string, Pair>();
  #sizes: StateSizes;

  private constructor(device: Device, parts: readonly StateSlot[], sizes: StateSizes) {
    this.#device = device;
    // a convolution over one token alone keeps nothing
    this.#parts = parts.filter(({ shape }) => !shape.includes(0));
    this.#sizes = sizes;
  }

  /** Zeros for every sequence. */
  static async create(
    device: Device,
    parts: readonly StateSlot[],
    sizes: StateSizes,
  ): Promise<DeviceState> {
    const state = new DeviceState(device, parts, sizes);
    for (const part of state.#parts) {
      const output = dimsOf(part, sizes);
      await state.write(part.name, {
        name: 'zeros',
        source: 'function () { return 0; }',
        output,
        constants: {},
      });
    }
    return state;
  }

  get sizes(): StateSizes {
    return this.#sizes;
  }

  /** The array as it is now. */
  get(name: string): Handle {
    return this.#handles.get(name) as Handle;
  }

  /** The two kernels that write an array in turn. */
  pairOf(name: string, spec: KernelSpec, args: readonly Handle[]): Pair {
    const key = `${name} ${keyFor(spec, args)}`;
    let pair = this.#pairs.get(key);
    if (!pair) {
      pair = [this.#device.newKernel(spec), this.#device.newKernel(spec)];
      this.#pairs.set(key, pair);
    }
    return pair;
  }

  /** Runs the one of two kernels that did not write the array last; its output becomes the array. */
  async advance(name: string, pair: Pair, args: readonly Handle[]): Promise<Handle> {
    const kernel = this.#writers.get(name) === pair[0] ? pair[1] : pair[0];
    const handle = await kernel.run(...args);
    this.#handles.set(name, handle);
    if (handle !== args[0]) this.#writers.set(name, kernel); // else it was changed where it lies
    return handle;
  }

  /** Runs a kernel whose output becomes the array. */
  async write(name: string, spec: KernelSpec, ...args: readonly Handle[]): Promise<void> {
    await this.advance(name, this.pairOf(name, spec, args), args);
  }

  /**
   * Moves sequences: slot r of the new state is slot `from[r]` of the old one, or empty where that is −1. Sizes
   * may change on the way.
   */
  async rearrange(from: readonly number[], sizes: StateSizes): Promise<void> {
    const source = await this.#device.uploadTo('from', Float32Array.from(from), [from.length]);
    const grows = sizes.slots !== this.#sizes.slots || sizes.capacity !== this.#sizes.capacity;
    const old = grows ? [...this.#pairs.values()].flat() : [];
    if (grows) this.#pairs.clear();
    for (const part of this.#parts) {
      const spec = rearranged(part, dimsOf(part, sizes), this.#sizes.capacity);
      await this.write(part.name, spec, this.get(part.name), source);
    }
    for (const kernel of old) kernel.destroy();
    this.#sizes = sizes;
  }

  /** One sequence's part of every array, in the device's layout. */
  async read(slot: number): Promise<Map<string, Float32Array>> {
    const found = new Map<string, Float32Array>();
    for (const { name } of this.#parts) {
      const all = await this.#device.read(this.get(name));
      const size = all.length / this.#sizes.slots;
      found.set(name, all.slice(slot * size, (slot + 1) * size));
    }
    return found;
  }

  /** Puts one sequence's part of every array in its place. */
  async replace(slot: number, parts: ReadonlyMap<string, Float32Array>): Promise<void> {
    const at = await this.#device.uploadTo('slot', Float32Array.of(slot), [1]);
    for (const part of this.#parts) {
      const output = dimsOf(part, this.#sizes);
      const [width, rows] = output;
      const data = parts.get(part.name) as Float32Array;
      const own = await this.#device.uploadTo('own', data, [width, rows]);
      await this.write(part.name, replaced(output), this.get(part.name), own, at);
    }
  }

  dispose(): void {
    for (const kernel of [...this.#pairs.values()].flat()) kernel.destroy();
    this.#pairs.clear();
  }
}

/** (slots, dConv − 1, channels), (slots, dState, channels) or (slots, capacity, width), the last axis fastest. */
function dimsOf({ shape, grows }: StateSlot, { slots, capacity }: StateSizes): Dims {
  if (grows) return [shape[0], capacity, slots];
  const last = shape[shape.length - 1];
  return [shape.slice(0, -1).reduce((size, n) => size * n, 1), last, slots];
}

function rearranged({ grows }: StateSlot, output: Dims, oldCapacity: number): KernelSpec {
  return {
    name: 'rearranged',
    source: `function (state, from) {
      const slot = from[this.thread.z];
      if (slot < 0) { return 0; }
      ${grows ? 'if (this.thread.y >= this.constants.oldCapacity) { return 0; }' : ''}
      return state[slot][this.thread.y][this.thread.x];
    }`,
    output,
    constants: grows ? { oldCapacity } : {},
  };
}

function replaced(output: Dims): KernelSpec {
  return {
    name: 'replaced',
    source: `function (state, own, slot) {
      if (this.thread.z == slot[0]) { return own[this.thread.y][this.thread.x]; }
      return state[this.thread.z][this.thread.y][this.thread.x];
    }`,
    output,
    constants: {},
  };
}
