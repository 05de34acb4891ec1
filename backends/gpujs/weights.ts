/** A model's weights on the device: each is uploaded once, in the layout that the kernels read. */

import type { Tensor } from '../../reference/tensor.ts';
import { perChannel } from '../perChannel.ts';
import type { Device } from './device.ts';
import type { Handle } from './kernel.ts';
import { swapLast } from './layout.ts';

type Layout = 'matrix' | 'vector' | 'rates' | 'skip';

export class WeightStore {
  readonly #device: Device;
  readonly #weight: (name: string) => Tensor;
  readonly #uploaded = new Map<string, Promise<Handle>>();

  constructor(device: Device, weight: (name: string) => Tensor) {
    this.#device = device;
    this.#weight = weight;
  }

  /** (dOut, dIn) as (dIn, dOut); also the filters of a convolution, (channels, dConv) as (dConv, channels). */
  matrix(name: string): Promise<Handle> {
    return this.#once('matrix', name, ({ data, shape: [rows, columns] }) => [
      swapLast(data, 1, rows, columns),
      [rows, columns],
    ]);
  }

  vector(name: string): Promise<Handle> {
    return this.#once('vector', name, ({ data }) => [Float32Array.from(data), [data.length]]);
  }

  /** A = −exp(ALog): (dInner, dState) as (dState, dInner), or one per head. */
  rates(name: string): Promise<Handle> {
    return this.#once('rates', name, ({ data, shape: [rows, columns] }) => {
      const rates = data.map((ALog) => -Math.exp(ALog));
      return columns === undefined
        ? [Float32Array.from(rates), [rows]]
        : [swapLast(rates, 1, rows, columns), [rows, columns]];
    });
  }

  /** D of every channel, from one per channel or one per head. */
  skip(name: string, channels: number): Promise<Handle> {
    return this.#once('skip', name, ({ data }) => [perChannel(data, channels), [channels]]);
  }

  /** Frees them all. */
  async dispose(): Promise<void> {
    for (const handle of this.#uploaded.values()) this.#device.free(await handle);
    this.#uploaded.clear();
  }

  #once(
    layout: Layout,
    name: string,
    lay: (t: Tensor) => [data: Float32Array, dims: number[]],
  ): Promise<Handle> {
    const key = `${layout} ${name}`;
    let handle = this.#uploaded.get(key);
    if (!handle) {
      handle = this.#device.upload(...lay(this.#weight(name)));
      this.#uploaded.set(key, handle);
    }
    return handle;
  }
}
