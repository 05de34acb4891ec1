/** The random numbers of a stand-in, some at a time: the same for the same seed, whatever is made before them. */

import { encodeFloats } from '../../lib/checkpoint/dtypes.ts';
import { signedHalfBits } from '../../lib/checkpoint/halves.ts';
import type { ModelConfig } from '../../reference/config.ts';
import { sizeOf } from '../../reference/tensor.ts';
import { generator, weightNumbers } from '../realModels.ts';
import type { StandinShard, StandinTensor } from './layout.ts';

/** Numbers that are made at a time. */
const PIECE = 2 ** 20;
/** Llamba's z_bias to begin with, where silu is 1 (goombalab/mohawk, init_z). */
const SILU_IS_ONE = 1.278464542761;

/** A whole file, never more than a million numbers of it in memory. */
export function* shardPieces(
  { header, tensors }: StandinShard,
  config: ModelConfig,
  seed: number,
): Generator<Uint8Array> {
  yield header;
  for (const tensor of tensors) yield* tensorPieces(tensor, config, seed);
}

function* tensorPieces(
  { name, weight, shape, dtype }: StandinTensor,
  config: ModelConfig,
  seed: number,
): Generator<Uint8Array> {
  const uniform = generator(seed, name);
  const numberAt = initial(weight, shape) ?? weightNumbers(weight, shape, config);
  const size = sizeOf(shape);
  const numbers = new Float32Array(Math.min(size, PIECE));
  for (let from = 0; from < size; from += PIECE) {
    const piece = numbers.subarray(0, Math.min(PIECE, size - from));
    for (let i = 0; i < piece.length; i++) piece[i] = numberAt(uniform(), from + i);
    yield dtype === 'F16' ? halvesOf(piece) : encodeFloats(piece, dtype);
  }
}

/** What the official code begins with, where that is no accident; other weights are as bench/realModels.ts makes them. */
function initial(
  weight: string,
  shape: readonly number[],
): ((u: number, i: number) => number) | undefined {
  if (weight.endsWith('.D')) return () => 1;
  if (weight.endsWith('.zBias')) return () => SILU_IS_ONE;
  if (weight.endsWith('.ALog') && shape.length === 2) {
    return (_, i) => Math.log((i % shape[1]) + 1);
  }
  return undefined;
}

function halvesOf(numbers: Float32Array): Uint8Array {
  const halves = Uint16Array.from(numbers, (x) => {
    const bits = signedHalfBits(x);
    if (bits === undefined) throw new Error(`expected a number that float16 holds, got ${x}`);
    return bits;
  });
  return new Uint8Array(halves.buffer);
}
