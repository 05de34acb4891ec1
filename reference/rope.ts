/** Rotary position embedding: attention's sense of where a token stands. */

import { cos, pow, sin } from './elementary.ts';
import { ConfigError, ShapeError } from './errors.ts';
import {
  axisOf,
  mainInput,
  type Precision,
  rounding,
  type Tensor,
  tensor,
  zeros,
} from './tensor.ts';

/** How a long-context model stretches its frequencies. */
export type RopeScaling =
  | { readonly kind: 'linear'; readonly factor: number }
  | {
      readonly kind: 'llama3';
      readonly factor: number;
      readonly lowFreqFactor: number;
      readonly highFreqFactor: number;
      /** Context length of the model before stretching, in tokens. */
      readonly originalContext: number;
    };

export interface RopeFrequenciesInput {
  /** Channels of a head that are rotated, even. */
  rotaryDim: number;
  /** Base of the geometric progression, 10,000 originally, 500,000 in Llama 3. */
  theta: number;
  /** Default: none. */
  scaling?: RopeScaling;
}

/**
 * Radians per token of each pair of channels: θ^(−2i/rotaryDim) for i = 0 … rotaryDim/2 − 1, then scaled.
 *
 * `linear` divides all of them by the factor. `llama3` divides those with a wavelength above
 * originalContext/lowFreqFactor, leaves those below originalContext/highFreqFactor, and goes smoothly
 * between (Su et al. 2021, arXiv 2104.09864; Llama 3.1's config).
 * @throws ConfigError when rotaryDim is not a positive even number.
 */
export function ropeFrequencies({ rotaryDim, theta, scaling }: RopeFrequenciesInput): Float64Array {
  if (!Number.isInteger(rotaryDim) || rotaryDim < 2 || rotaryDim % 2 !== 0) {
    throw new ConfigError(
      `ropeFrequencies: rotaryDim: expected an even number ≥ 2, got ${rotaryDim}`,
    );
  }
  const frequencies = new Float64Array(rotaryDim / 2);
  for (let i = 0; i < frequencies.length; i++) {
    const frequency = 1 / pow(theta, (2 * i) / rotaryDim);
    frequencies[i] = scaling ? stretch(frequency, scaling) : frequency;
  }
  return frequencies;
}

function stretch(frequency: number, scaling: RopeScaling): number {
  if (scaling.kind === 'linear') return frequency / scaling.factor;
  const wavelength = (2 * Math.PI) / frequency;
  const { factor, lowFreqFactor, highFreqFactor, originalContext } = scaling;
  if (wavelength > originalContext / lowFreqFactor) return frequency / factor;
  if (wavelength < originalContext / highFreqFactor) return frequency;
  const smooth = (originalContext / wavelength - lowFreqFactor) / (highFreqFactor - lowFreqFactor);
  return ((1 - smooth) * frequency) / factor + smooth * frequency;
}

/** Angles of tokens at the given positions, in radians. Shape (positions.length, frequencies.length). */
export function ropeAngles(
  positions: readonly number[],
  frequencies: Float64Array,
  precision: Precision = 'float64',
): Tensor {
  const shape = [positions.length, frequencies.length];
  const angles = positions.flatMap((position) => Array.from(frequencies, (f) => position * f));
  return tensor(shape, precision === 'float32' ? Float32Array.from(angles) : angles);
}

export interface RopeInput {
  /** Queries or keys. Shape (batch, seqlen, nHeads, headDim). */
  x: Tensor;
  /** Angle of each token and pair, from {@link ropeAngles}; the same for every row. Shape (seqlen, rotaryDim/2). */
  angles: Tensor;
  /**
   * Which channels make a pair: i and i + rotaryDim/2 (`half`, as Llama checkpoints in Hugging Face layout),
   * or 2i and 2i + 1 (`interleaved`, as Meta's own files). Default `half`.
   */
  pairing?: 'half' | 'interleaved';
}

export interface RopeOutput {
  /** Shape (batch, seqlen, nHeads, headDim). */
  y: Tensor;
}

/**
 * Rotates each pair of channels (u, v) of a token by its angle φ:
 *
 *   u' = u·cos φ − v·sin φ,   v' = v·cos φ + u·sin φ
 *
 * Channels from rotaryDim on pass through. q·k then depends on the distance of the two tokens only.
 * @throws ShapeError when the inputs' shapes do not fit, or rotaryDim exceeds headDim.
 */
export function rope({ x, angles, pairing = 'half' }: RopeInput): RopeOutput {
  const { sizes, check } = mainInput('rope', 'x', x, ['batch', 'seqlen', 'nHeads', 'headDim']);
  const [batch, seqlen, nHeads, headDim] = sizes;
  const nPairs = axisOf(angles, 1);
  check('angles', angles, { seqlen, 'rotaryDim/2': nPairs });
  if (2 * nPairs > headDim) {
    throw new ShapeError(
      `rope: rotaryDim must not exceed headDim, got headDim = ${headDim}, rotaryDim = ${2 * nPairs}`,
    );
  }

  const fl = rounding(x.data);
  const y = x.data.slice();
  const cosines = zeros(angles.data.length, x.data);
  const sines = zeros(angles.data.length, x.data);
  for (let i = 0; i < angles.data.length; i++) {
    cosines[i] = cos(angles.data[i]);
    sines[i] = sin(angles.data[i]);
  }
  for (let head = 0; head < batch * seqlen * nHeads; head++) {
    const t = Math.floor(head / nHeads) % seqlen;
    for (let i = 0; i < nPairs; i++) {
      const u = head * headDim + (pairing === 'half' ? i : 2 * i);
      const v = pairing === 'half' ? u + nPairs : u + 1;
      const c = cosines[t * nPairs + i];
      const s = sines[t * nPairs + i];
      y[u] = fl(fl(x.data[u] * c) - fl(x.data[v] * s));
      y[v] = fl(fl(x.data[v] * c) + fl(x.data[u] * s));
    }
  }
  return { y: { data: y, shape: x.shape } };
}
