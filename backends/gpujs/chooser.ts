/** Chooses tokens from logits that stay on the device. */

import * as choosing from './choosing.ts';
import type { Device } from './device.ts';
import { type Handle, type Kernel, type KernelSpec, keyFor } from './kernel.ts';

export class Chooser {
  readonly #device: Device;
  readonly #kernels = new Map<string, Kernel>();

  constructor(device: Device) {
    this.#device = device;
  }

  /** The first likeliest token of every row of logits (rows, …). Shape (rows). */
  async likeliest(logits: Handle, vocabSize: number): Promise<Handle> {
    const sizes = { rows: logits.dims[1], vocabSize };
    const chunks = await this.#run(choosing.chunkArgmax(sizes), logits);
    return this.#run(choosing.argmax(sizes), logits, chunks);
  }

  /** A token of every row, drawn with its uniform number from softmax(logits/temperature). Shape (rows). */
  async drawn(
    logits: Handle,
    vocabSize: number,
    temperature: number,
    uniforms: Float32Array,
  ): Promise<Handle> {
    const sizes = { rows: logits.dims[1], vocabSize };
    const best = await this.likeliest(logits, vocabSize);
    const weights = await this.#run(choosing.chunkWeights(sizes, temperature), logits, best);
    const total = await this.#run(choosing.totalWeight(sizes), weights);
    const u = await this.#device.uploadTo('uniforms', uniforms, [sizes.rows]);
    return this.#run(
      choosing.chooseToken(sizes, temperature),
      ...[logits, best, weights, total, u],
    );
  }

  dispose(): void {
    for (const kernel of this.#kernels.values()) kernel.destroy();
    this.#kernels.clear();
  }

  #run(spec: KernelSpec, ...args: readonly Handle[]): Promise<Handle> {
    const key = keyFor(spec, args);
    let kernel = this.#kernels.get(key);
    if (!kernel) {
      kernel = this.#device.newKernel(spec);
      this.#kernels.set(key, kernel);
    }
    return kernel.run(...args);
  }
}
