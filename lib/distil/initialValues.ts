/** What the published code puts into parameters that no teacher has, drawn from a seed. */

import { exp, log } from '../../reference/elementary.ts';
import { ConfigError } from '../../reference/errors.ts';
import { PURPOSES, philox4x32 } from '../../reference/philox.ts';
import { sizeOf, type Tensor, type Vector, zeros } from '../../reference/tensor.ts';

/** Parameters with draws of their own: one never changes because another is drawn or not. */
const SLOTS = {
  ...{ z: 0, x: 1, B: 2, C: 3, dt: 4, a: 5, outProj: 6 },
  ...{ convWeight: 7, convBias: 8, dtProj: 9, dtBias: 10, ALog: 11 },
};
type Slot = keyof typeof SLOTS;

/** silu(OPEN_GATE) = 1: the number 1 + e^−x that is x. */
export const OPEN_GATE = 1.278464542761074;

/** Range of a new layer's step sizes Δ, and the least of them (mamba_ssm: dt_min, dt_max, dt_init_floor). */
const STEPS = { min: 1e-3, max: 0.1, floor: 1e-4 };

/** The new parameters of one layer, in the precision of `like`; equal but for rounding in both precisions. */
export class InitialValues {
  readonly #key: readonly [number, number];
  readonly #layer: number;
  readonly #like: Vector;

  /** @throws ConfigError when the seed is not a whole number in [0, 2⁵³). */
  constructor(seed: number, layer: number, like: Vector) {
    if (!Number.isSafeInteger(seed) || seed < 0) {
      throw new ConfigError(`seed: expected a whole number in [0, 2^53), got ${seed}`);
    }
    this.#key = [seed % 2 ** 32, Math.floor(seed / 2 ** 32)];
    this.#layer = layer;
    this.#like = like;
  }

  /** Every element the same. */
  constant(value: number, ...shape: number[]): Tensor {
    return { data: zeros(sizeOf(shape), this.#like).fill(value), shape };
  }

  /** PyTorch's linear layer and depthwise convolution: U(−b, b), b = 1/√(numbers that enter an output). */
  layer(slot: Slot, ...shape: [rows: number, columns: number]): Tensor {
    return this.uniform(slot, 1 / Math.sqrt(shape[1]), ...shape);
  }

  /** U(−reach, reach). */
  uniform(slot: Slot, reach: number, ...shape: number[]): Tensor {
    return this.#draw(slot, shape, (u) => (2 * u - 1) * reach);
  }

  /** What softplus turns into step sizes, log-uniform from 1e-3 to 0.1: ln(e^Δ − 1). */
  stepBias(channels: number): Tensor {
    const [low, high] = [log(STEPS.min), log(STEPS.max)];
    return this.#draw('dtBias', [channels], (u) => {
      const dt = Math.max(exp(low + u * (high - low)), STEPS.floor);
      return dt + log(1 - exp(-dt));
    });
  }

  /** Mamba-1's decay rates 1, 2, …, dState of every channel, as logarithms (S4D-Real, Gu et al. 2022). */
  realRates(channels: number, dState: number): Tensor {
    const data = zeros(channels * dState, this.#like);
    for (let i = 0; i < data.length; i++) data[i] = log(1 + (i % dState));
    return { data, shape: [channels, dState] };
  }

  /** Mamba-2's decay rates, U(1, 16) for each head, as logarithms. */
  headRates(nHeads: number): Tensor {
    return this.#draw('ALog', [nHeads], (u) => log(1 + 15 * u));
  }

  /** A convolution that passes on the current token alone. */
  identityConv(channels: number, dConv: number): Tensor {
    const data = zeros(channels * dConv, this.#like);
    for (let i = dConv - 1; i < data.length; i += dConv) data[i] = 1;
    return { data, shape: [channels, dConv] };
  }

  /** `make` of a number in [0, 1) for every element. */
  #draw(slot: Slot, shape: number[], make: (u: number) => number): Tensor {
    const data = zeros(sizeOf(shape), this.#like);
    for (let i = 0; i < data.length; i += 4) {
      const words = philox4x32([i / 4, SLOTS[slot], this.#layer, PURPOSES.weights], this.#key);
      // beyond the end of a typed array, writing does nothing
      for (let k = 0; k < 4; k++) data[i + k] = make(words[k] / 2 ** 32);
    }
    return { data, shape };
  }
}
