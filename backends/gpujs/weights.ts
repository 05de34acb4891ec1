/** A model's weights on the device: each is uploaded once, in the layout that the kernels read. */

import type { Tensor } from '../../reference/tensor.ts';
import type { Device } from './device.ts';
import type { Handle } from './kernel.ts';

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
    return this.#once('matrix', name, (t) => transposed(t, (x) => x));
  }

  vector(name: string): Promise<Handle> {
    return this.#once('vector', name, ({ data }) => [Float32Array.from(data), [data.length]]);
  }

  /** A = −exp(ALog): (dInner, dState) as (dState, dInner), or one per head. */
  rates(name: string): Promise<Handle> {
    const rate = (ALog: number) => -Math.exp(ALog);
    return this.#once('rates', name, (t) =>
      t.shape.length === 2
        ? transposed(t, rate)
        : [Float32Array.from(t.data, rate), [t.data.length]],
    );
  }

  /** D of every channel, from one per channel or one per head. */
  skip(name: string, channels: number): Promise<Handle> {
    return this.#once('skip', name, ({ data }) => {
      const perHead = channels / data.length;
      const all = Float32Array.from({ length: channels }, (_, c) => data[Math.floor(c / perHead)]);
      return [all, [channels]];
    });
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

function transposed(
  { data, shape: [rows, columns] }: Tensor,
  f: (x: number) => number,
): [Float32Array, number[]] {
  const out = new Float32Array(data.length);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) out[c * rows + r] = f(data[r * columns + c]);
  }
  return [out, [rows, columns]];
}
