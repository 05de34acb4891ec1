/** One op on host arrays: what it uploads is freed when it is done. */

import type { Tensor } from '../../reference/tensor.ts';
import type { Device } from './device.ts';
import type { Handle, KernelSpec } from './kernel.ts';
import { swapLast } from './layout.ts';

export class Scope {
  readonly #device: Device;
  readonly #uploaded: Handle[] = [];

  constructor(device: Device) {
    this.#device = device;
  }

  /** Numbers on the device under dimensions of their own; x is fastest. */
  async put(data: ArrayLike<number>, ...dims: number[]): Promise<Handle> {
    const floats = data instanceof Float32Array ? data : Float32Array.from(data);
    const handle = await this.#device.upload(floats, dims);
    this.#uploaded.push(handle);
    return handle;
  }

  /** A tensor as rows of a width. */
  rows({ data }: Tensor, width: number): Promise<Handle> {
    return this.put(data, width, data.length / width);
  }

  /** Nothing for an input that is absent, else itself as a vector: to be spread into arguments. */
  async vectors(...tensors: readonly (Tensor | undefined)[]): Promise<Handle[]> {
    const handles: Handle[] = [];
    for (const t of tensors) if (t) handles.push(await this.put(t.data, t.data.length));
    return handles;
  }

  /** (rows, columns) as (columns, rows). */
  transposed({ data, shape: [rows, columns] }: Tensor): Promise<Handle> {
    return this.put(swapLast(data, 1, rows, columns), rows, columns);
  }

  run(spec: KernelSpec, ...args: readonly Handle[]): Promise<Handle> {
    return this.runIn('', spec, ...args);
  }

  /** Runs a kernel into a place of its own, where the same kernel runs again while its output is needed. */
  runIn(place: string, spec: KernelSpec, ...args: readonly Handle[]): Promise<Handle> {
    return this.#device.kernel(spec, args, place).run(...args);
  }

  async take(handle: Handle, shape: readonly number[]): Promise<Tensor> {
    return { data: await this.#device.read(handle), shape };
  }

  /** The numbers of a handle. */
  read(handle: Handle): Promise<Float32Array> {
    return this.#device.read(handle);
  }

  end(): void {
    for (const handle of this.#uploaded) this.#device.free(handle);
    this.#uploaded.length = 0;
  }
}

/** Whether a tensor has no element: kernels need at least one. */
export const isEmpty = ({ data }: Tensor): boolean => data.length === 0;

/** A tensor of zeros in float32. */
export function zeros(...shape: number[]): Tensor {
  return { data: new Float32Array(shape.reduce((size, n) => size * n, 1)), shape };
}
