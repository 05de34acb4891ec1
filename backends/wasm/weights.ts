/** The weights of a model in the memory of the kernels, each in the layout of the kernels that read it. */

import type { Tensor } from '../../reference/tensor.ts';
import { perChannel } from '../perChannel.ts';
import { int8Bytes, packInt8 } from './int8.ts';
import type { Memory } from './memory.ts';
import * as packing from './packing.ts';

/** Kernels read whole vectors: this many bytes behind an array may be read, and are ignored. */
export const SLACK = 64;

export class WeightStore {
  readonly #memory: Memory;
  readonly #tensor: (name: string) => Tensor;
  readonly #stored = new Map<string, number>();
  readonly #pieces: { address: number; bytes: number }[] = [];

  constructor(memory: Memory, tensor: (name: string) => Tensor) {
    this.#memory = memory;
    this.#tensor = tensor;
  }

  /** A matrix (dOut, dIn) in panels; also the table of an embedding. */
  panels(name: string): number {
    return this.#store(`${name} panels`, () => {
      const { data, shape } = this.#tensor(name);
      const [dOut, dIn] = shape;
      return this.put(packing.panelsSize(dOut, dIn), (to) =>
        packing.packPanels(to, data, dOut, dIn),
      );
    });
  }

  /** A matrix (dOut, dIn) in 8-bit panels. */
  int8(name: string, isQuads: boolean): number {
    return this.#store(`${name} int8`, () => {
      const { data, shape } = this.#tensor(name);
      const [dOut, dIn] = shape;
      const bytes = int8Bytes(dOut, dIn, isQuads);
      const address = this.room(bytes);
      packInt8(this.#memory.bytes.subarray(address, address + bytes), data, dOut, dIn, isQuads);
      return address;
    });
  }

  /** A vector as it is; 0 where there is none. */
  vector(name: string | undefined): number {
    if (name === undefined) return 0;
    return this.#store(`${name} vector`, () => this.numbers(this.#tensor(name).data));
  }

  /** Filters of a convolution. */
  taps(name: string): number {
    return this.#store(`${name} taps`, () => {
      const { data, shape } = this.#tensor(name);
      const [channels, taps] = shape;
      return this.put(packing.channelsStride(channels) * taps, (to) =>
        packing.packTaps(to, data, channels, taps),
      );
    });
  }

  /** Rates of Mamba-1 from ALog (dInner, dState), as its states lie. */
  scanRates(name: string, nGroups: number): number {
    return this.#store(`${name} rates`, () => {
      const { data, shape } = this.#tensor(name);
      const [dInner, dState] = shape;
      const perGroup = dInner / nGroups;
      return this.put(packing.lanesSize(nGroups, perGroup, dState), (to) =>
        packing.packLanes(to, packing.scanRates(data), nGroups, perGroup, dState),
      );
    });
  }

  /** Rates of heads from ALog (nHeads). */
  headRates(name: string): number {
    return this.#store(`${name} rates`, () => {
      return this.numbers(packing.decayRates(this.#tensor(name).data));
    });
  }

  /** D of every channel. */
  skip(name: string, channels: number): number {
    return this.#store(`${name} skip`, () => {
      return this.numbers(perChannel(this.#tensor(name).data, channels));
    });
  }

  /** Numbers as they are. */
  numbers(data: ArrayLike<number>): number {
    return this.put(data.length, (to) => to.set(data));
  }

  /** Room for some numbers, zero at first, filled by whoever asks. Returns its address. */
  put(count: number, fill: (to: Float32Array) => void): number {
    const address = this.room(4 * count);
    fill(this.#memory.f32.subarray(address / 4, address / 4 + count));
    return address;
  }

  /** Room for some bytes, zero at first. Returns its address. */
  room(count: number): number {
    const bytes = count + SLACK;
    const address = this.#memory.allocateZeros(bytes);
    this.#pieces.push({ address, bytes });
    return address;
  }

  free(): void {
    for (const { address, bytes } of this.#pieces) this.#memory.free(address, bytes);
    this.#stored.clear();
  }

  #store(key: string, make: () => number): number {
    let address = this.#stored.get(key);
    if (address === undefined) {
      address = make();
      this.#stored.set(key, address);
    }
    return address;
  }
}
