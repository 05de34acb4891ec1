/** AdamW over a model's parameters, with the gradient's norm clipped. */

import type { Numbers, TrainingDevice } from '../../backends/training.ts';
import type { Tensor } from '../../reference/tensor.ts';
import { Variable } from './tape.ts';

export interface OptimiserOptions {
  /** Default (0.9, 0.95), as M1 and MOHAWK train. */
  readonly betas?: readonly [number, number];
  /** Default 1e-8. */
  readonly eps?: number;
  /** Of matrices; never of norms, biases, rates, skips, convolutions or embeddings. Default 0.1. */
  readonly weightDecay?: number;
  /** Longest gradient, over all parameters. Default 1. */
  readonly clip?: number;
}

/** A weight that is trained, and what the optimiser keeps of it. */
interface Trained {
  readonly name: string;
  readonly value: Numbers;
  readonly m: Numbers;
  readonly v: Numbers;
  readonly decays: boolean;
}

const DECAYING = /\.(inProj|outProj|xProj|dtProj|gate|up|down|fc1|fc2)$/;

/** Whether weight decay is for a weight, by its name: matrices only. */
export function decays(name: string): boolean {
  return DECAYING.test(name);
}

/** A model's weights on a device. */
export class ParameterSet {
  readonly device: TrainingDevice;
  readonly #values = new Map<string, Numbers>();
  readonly #trained: Trained[] = [];
  /** Optimiser steps taken. */
  step = 0;

  /** @param isTrained which of the weights are trained, by name; the others stay as they are. */
  constructor(
    device: TrainingDevice,
    weights: ReadonlyMap<string, Tensor>,
    isTrained: (name: string) => boolean = () => true,
  ) {
    this.device = device;
    for (const [name, { shape, data }] of weights) {
      const value = device.keep(shape, data);
      this.#values.set(name, value);
      if (!isTrained(name)) continue;
      const [m, v] = [device.keep(shape), device.keep(shape)];
      this.#trained.push({ name, value, m, v, decays: decays(name) });
    }
  }

  /** Fresh variables of one step. */
  variables(): Map<string, Variable> {
    const trained = new Set(this.#trained.map(({ name }) => name));
    return new Map(
      [...this.#values].map(([name, value]) => [name, new Variable(value, trained.has(name))]),
    );
  }

  /**
   * Moves every trained weight against its gradient. Returns the gradient's norm before clipping; if that is not finite
   * nothing has moved.
   */
  update(
    variables: ReadonlyMap<string, Variable>,
    learningRate: number,
    { betas = [0.9, 0.95], eps = 1e-8, weightDecay = 0.1, clip = 1 }: OptimiserOptions = {},
  ): number {
    const { ops } = this.device;
    const reached = this.#trained.filter(({ name }) => variables.get(name)?.gradient);
    const gradients = reached.map(({ name }) => variables.get(name)?.gradient as Numbers);
    const norm = Math.sqrt(this.device.read(ops.sumOfSquares(gradients))[0]);
    if (!Number.isFinite(norm)) return norm;
    this.step++;
    const gradientScale = norm > clip ? clip / norm : 1;
    reached.forEach(({ value, m, v, decays }, i) => {
      ops.adamW({
        ...{ parameter: value, gradient: gradients[i], m, v },
        ...{ step: this.step, learningRate, betas, eps, gradientScale },
        weightDecay: decays ? weightDecay : 0,
      });
    });
    return norm;
  }

  /** Gives the device its memory back. Nothing of this may be used afterwards. */
  free(): void {
    for (const value of this.#values.values()) this.device.free(value);
    for (const { m, v } of this.#trained) {
      this.device.free(m);
      this.device.free(v);
    }
  }

  /** The weights as they are now, float32. */
  weights(): Map<string, Tensor> {
    return new Map([...this.#values].map(([name, value]) => [name, this.#tensor(value)]));
  }

  /** Weights and running means, by names that say which. */
  save(): Map<string, Tensor> {
    const saved = new Map<string, Tensor>();
    for (const [name, value] of this.#values) saved.set(`weight.${name}`, this.#tensor(value));
    for (const { name, m, v } of this.#trained) {
      saved.set(`m.${name}`, this.#tensor(m));
      saved.set(`v.${name}`, this.#tensor(v));
    }
    return saved;
  }

  /** Goes on from what `save` returned; `get` finds a tensor by its name there. */
  async restore(get: (name: string) => Promise<Tensor>, step: number): Promise<void> {
    const put = async (name: string, to: Numbers) => this.device.write(to, (await get(name)).data);
    for (const [name, value] of this.#values) await put(`weight.${name}`, value);
    for (const { name, m, v } of this.#trained) {
      await put(`m.${name}`, m);
      await put(`v.${name}`, v);
    }
    this.step = step;
  }

  #tensor(numbers: Numbers): Tensor {
    return { data: Float32Array.from(this.device.read(numbers)), shape: [...numbers.shape] };
  }
}
