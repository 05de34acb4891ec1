/** Moving tensors between upstream's layouts and ours. */

import { ConfigError } from '../../../reference/errors.ts';
import { sizeOf, type Tensor, zeros } from '../../../reference/tensor.ts';

/**
 * Reorders axes: `permute(t, 'bdl', 'bld')` turns (batch, channel, token) into (batch, token, channel).
 * @throws ConfigError when the tensor does not have as many axes as `from` has letters.
 */
export function permute(t: Tensor, from: string, to: string): Tensor {
  if (t.shape.length !== from.length) {
    throw new ConfigError(
      `expected axes ${[...from].join(', ')}, got shape [${t.shape.join(', ')}]`,
      'CaseShape',
    );
  }
  const strides = from.split('').map((_, axis) => sizeOf(t.shape.slice(axis + 1)));
  const order = [...to].map((letter) => from.indexOf(letter));
  const shape = order.map((axis) => t.shape[axis]);
  const data = t.data.slice();
  const index = shape.map(() => 0);
  for (let i = 0; i < data.length; i++) {
    let source = 0;
    for (let axis = 0; axis < shape.length; axis++) source += index[axis] * strides[order[axis]];
    data[i] = t.data[source];
    // count up, last axis first
    for (let axis = shape.length - 1; axis >= 0 && ++index[axis] === shape[axis]; axis--)
      index[axis] = 0;
  }
  return { data, shape };
}

/** The same numbers under another shape. */
export function withShape(t: Tensor, ...shape: number[]): Tensor {
  if (sizeOf(shape) !== t.data.length) {
    throw new ConfigError(
      `expected ${sizeOf(shape)} elements for [${shape.join(', ')}], got shape [${t.shape.join(', ')}]`,
      'CaseShape',
    );
  }
  return { data: t.data, shape };
}

/** Puts tensors of one shape along a new first axis. */
export function stack(parts: readonly Tensor[]): Tensor {
  const size = parts[0].data.length;
  const data = zeros(size * parts.length, parts[0].data);
  parts.forEach((part, i) => {
    data.set(part.data, i * size);
  });
  return { data, shape: [parts.length, ...parts[0].shape] };
}

/** Entry i along the first axis, a view. */
export function slice(t: Tensor, i: number): Tensor {
  const shape = t.shape.slice(1);
  const size = sizeOf(shape);
  return { data: t.data.subarray(i * size, (i + 1) * size), shape };
}

/** A tensor of one value, in the precision of another. */
export function filled(like: Tensor, value: number, ...shape: number[]): Tensor {
  return { data: zeros(sizeOf(shape), like.data).fill(value), shape };
}

/** (…, nGroups, dState) with every group repeated for the channels that share it. */
export function repeatGroups(t: Tensor, channels: number): Tensor {
  const [batch, seqlen, nGroups, dState] = t.shape;
  const data = zeros(batch * seqlen * channels * dState, t.data);
  for (let row = 0; row < batch * seqlen * channels; row++) {
    const token = Math.trunc(row / channels);
    const group = token * nGroups + Math.trunc(((row % channels) * nGroups) / channels);
    data.set(t.data.subarray(group * dState, (group + 1) * dState), row * dState);
  }
  return { data, shape: [batch, seqlen, channels, dState] };
}

/** (…, channels, dState) with the channels that share a group added up: back through {@link repeatGroups}. */
export function sumOverChannels(t: Tensor, nGroups: number): Tensor {
  const [batch, seqlen, channels, dState] = t.shape;
  const data = zeros(batch * seqlen * nGroups * dState, t.data);
  for (let row = 0; row < batch * seqlen * channels; row++) {
    const token = Math.trunc(row / channels);
    const group = token * nGroups + Math.trunc(((row % channels) * nGroups) / channels);
    for (let n = 0; n < dState; n++) data[group * dState + n] += t.data[row * dState + n];
  }
  return { data, shape: [batch, seqlen, nGroups, dState] };
}

/** D as (nHeads, 1) or (nHeads, headDim), from upstream's (nHeads) or (nHeads, headDim). */
export function skip(D: Tensor | undefined): Tensor | undefined {
  return D && (D.shape.length === 1 ? withShape(D, D.shape[0], 1) : D);
}

/** D in upstream's form: (nHeads) where it is one number per head. */
export function skipCase(D: Tensor | undefined): Tensor | undefined {
  return D && (D.shape[1] === 1 ? withShape(D, D.shape[0]) : D);
}

/** The inputs that have one entry per token, of ours that are steps. */
const PER_TOKEN = ['x', 'dtRaw', 'a', 'B', 'C', 'z'] as const;

/** The input of a step as that of a sequence of one token: (batch, …) becomes (batch, 1, …). */
export function asSequence<Input extends object>(input: Input): Input {
  const copy = { ...input } as Record<string, unknown>;
  for (const name of PER_TOKEN) {
    const t = copy[name] as Tensor | undefined;
    if (t) copy[name] = withShape(t, t.shape[0], 1, ...t.shape.slice(1));
  }
  return copy as Input;
}
