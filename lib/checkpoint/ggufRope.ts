/** Llama 3's stretched rope in GGUF files: a tensor of factors, from which its parameters are found again. */

import type { ModelConfig, RopeConfig } from '../../reference/config.ts';
import { type RopeScaling, ropeFrequencies } from '../../reference/rope.ts';
import { CheckpointError } from './errors.ts';
import type { GgufFile } from './ggufFile.ts';

/** Llama 3's factors of rope's frequencies, as a tensor. */
export const ROPE_FACTORS = 'rope_freqs.weight';
/** All Llama 3 models so far stretch from 8,192 tokens, between these two factors. */
const PUBLISHED = { lowFreqFactor: 1, highFreqFactor: 4, originalContext: 8192 };
/** Factors are float32, made of float32 frequencies. */
const TOLERANCE = 2 ** -20;

/**
 * The scaling that a file's factors amount to; undefined without any.
 * @param config what the rest of the file says.
 * @throws CheckpointError with code UnsupportedModel for factors that are not Llama 3's.
 */
export async function ropeScalingOf(
  file: GgufFile,
  config: ModelConfig,
): Promise<RopeScaling | undefined> {
  const rope = config.layers.flatMap(({ mixer }) =>
    mixer.kind === 'attention' && mixer.rope ? [mixer.rope] : [],
  )[0];
  if (!rope || !file.header.tensors.has(ROPE_FACTORS)) return undefined;
  const refuse = (problem: string) =>
    new CheckpointError('UnsupportedModel', file.name, `tensor "${ROPE_FACTORS}": ${problem}`);
  const nPairs = rope.rotaryDim / 2;
  const { shape } = file.entry(ROPE_FACTORS);
  if (shape.length !== 1 || shape[0] !== nPairs) {
    throw refuse(
      `expected one factor for each of ${nPairs} pairs, got shape [${shape.join(', ')}]`,
    );
  }
  const { data: factors } = await file.floats(ROPE_FACTORS);
  if (factors.every((factor) => factor === 1)) return undefined;
  const scaling = { kind: 'llama3', factor: Math.max(...factors), ...PUBLISHED } as const;
  const wanted = ropeFactors({ ...rope, scaling });
  const fits = factors.every((factor, i) => Math.abs(factor / wanted[i] - 1) < TOLERANCE);
  if (!fits) throw refuse('expected the factors of a Llama 3, got others');
  return scaling;
}

/** What llama.cpp divides the frequency of each pair by. */
export function ropeFactors({ rotaryDim, theta, scaling }: RopeConfig): Float32Array {
  const plain = ropeFrequencies({ rotaryDim, theta });
  const scaled = ropeFrequencies({ rotaryDim, theta, ...(scaling && { scaling }) });
  return Float32Array.from(plain, (frequency, i) => frequency / scaled[i]);
}
