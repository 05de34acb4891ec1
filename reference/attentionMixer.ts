/** The attention mixer: projections, rotary positions, cache, and mamba_ssm's optional extras. */

import { attention } from './attention.ts';
import { causalConv1d } from './causalConv1d.ts';
import { type AttentionConfig, convChannels } from './config.ts';
import { ConfigError } from './errors.ts';
import { linear } from './linear.ts';
import type { MixerInput, ShapesOf } from './mixer.ts';
import { rope, ropeAngles } from './rope.ts';
import { appendRows, cacheTensor } from './state.ts';
import { gateProduct } from './swigluMlp.ts';
import { joinColumns, reshape, splitColumns, type Tensor } from './tensor.ts';

export interface AttentionWeights {
  /** Rows [q | k | v], then [value | gate] of a parallel MLP where there is one. */
  inProj: Tensor;
  inProjBias?: Tensor;
  /** Convolution over the channels [q | k | v]. Shape (channels, dConv). */
  convWeight?: Tensor;
  /** Shape (channels). */
  convBias?: Tensor;
  /** Columns [heads | parallel MLP]. Shape (dModel, nHeads·headDim + dParallelMlp). */
  outProj: Tensor;
  /** Shape (dModel). */
  outProjBias?: Tensor;
}

export function attentionShapes(
  config: AttentionConfig,
  dModel: number,
): ShapesOf<AttentionWeights> {
  const { nHeads, headDim, dConv, dParallelMlp = 0, hasQkvBias, hasOutBias } = config;
  const channels = convChannels(config);
  const dInProj = channels + 2 * dParallelMlp;
  return {
    inProj: [dInProj, dModel],
    inProjBias: hasQkvBias ? [dInProj] : undefined,
    convWeight: dConv ? [channels, dConv] : undefined,
    convBias: dConv ? [channels] : undefined,
    outProj: [dModel, nHeads * headDim + dParallelMlp],
    outProjBias: hasOutBias ? [dModel] : undefined,
  };
}

export interface AttentionMixerInput extends MixerInput<AttentionWeights, AttentionConfig> {
  /** Position of the first token of u. */
  position: number;
  /** From ropeFrequencies; needed where the config has rope. */
  frequencies?: Float64Array;
}

/**
 *   [q | k | v] = W_in·u (convolved without activation where the config says so), q and k rotated
 *   y = W_out·attention(q, all keys so far, all values so far)
 *
 * Keys are cached rotated. Returns shape (seqlen, dModel).
 */
export function attentionMixer(input: AttentionMixerInput): Tensor {
  const { u, weights, config, state, position, trace } = input;
  const seqlen = u.shape[0];
  const { nHeads, nKvHeads, headDim, dParallelMlp = 0 } = config;
  const [qWidth, kvWidth] = [nHeads * headDim, nKvHeads * headDim];
  if (!state.keys || !state.values) {
    throw new ConfigError('attentionMixer: state: expected keys and values; make it with newState');
  }

  const projected = linear({ x: u, weight: weights.inProj, bias: weights.inProjBias }).y;
  const [qkvIn, value, gate] = splitColumns(projected, [
    qWidth + 2 * kvWidth,
    dParallelMlp,
    dParallelMlp,
  ]);
  let qkv = qkvIn;
  if (weights.convWeight) {
    const conv = causalConv1d({
      x: reshape(qkvIn, 1, seqlen, qkvIn.shape[1]),
      weight: weights.convWeight,
      bias: weights.convBias,
      activation: 'identity',
      convState: state.convState,
    });
    qkv = reshape(conv.y, seqlen, qkvIn.shape[1]);
    state.convState = conv.convState;
  }
  const [q, k, v] = splitColumns(qkv, [qWidth, kvWidth, kvWidth]);
  const rotate = rotation(input, seqlen, position);
  appendRows(state.keys, rotate(reshape(k, 1, seqlen, nKvHeads, headDim)).data);
  appendRows(state.values, v.data);
  const attended = attention({
    q: rotate(reshape(q, 1, seqlen, nHeads, headDim)),
    keys: cacheTensor(state.keys, nKvHeads),
    values: cacheTensor(state.values, nKvHeads),
    scale: config.scale,
    withWeights: trace !== undefined && seqlen === 1,
  });
  const heads = reshape(attended.y, seqlen, qWidth);
  const joined = dParallelMlp > 0 ? joinColumns([heads, gateProduct(value, gate)]) : heads;
  const y = linear({ x: joined, weight: weights.outProj, bias: weights.outProjBias }).y;
  if (trace && attended.weights) {
    trace({ kind: 'attention', weights: reshape(attended.weights, nHeads, state.keys.length), y });
  }
  return y;
}

/** The rotation of queries and keys at their positions, or none. */
function rotation(
  { u, config, frequencies }: AttentionMixerInput,
  seqlen: number,
  position: number,
): (x: Tensor) => Tensor {
  if (!config.rope || !frequencies) return (x) => x;
  const positions = Array.from({ length: seqlen }, (_, t) => position + t);
  const precision = u.data instanceof Float32Array ? 'float32' : 'float64';
  const angles = ropeAngles(positions, frequencies, precision);
  const { pairing } = config.rope;
  return (x) => rope({ x, angles, pairing }).y;
}
