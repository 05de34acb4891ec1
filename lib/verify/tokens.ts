/** Cutting and changing sequences: inputs of sequence ops have their tokens along the second axis. */

import { isTensor, sizeOf, type Tensor, zeros } from '../../reference/tensor.ts';

/** Inputs and outputs with one entry per token, wherever they occur. */
const PER_TOKEN: ReadonlySet<string> = new Set([
  'x',
  'dtRaw',
  'a',
  'B',
  'C',
  'z',
  'y',
  'logDecay',
  'q',
]);

/** Names of an input's tensors that have tokens. */
export function tokenTensors(input: object): string[] {
  return Object.entries(input)
    .filter(([name, value]) => PER_TOKEN.has(name) && isTensor(value))
    .map(([name]) => name);
}

/** The tokens in [from, to) of everything that has tokens; `step` drops the token axis of a single one. */
export function takeTokens<T extends object>(
  input: T,
  from: number,
  to: number,
  as: 'sequence' | 'step' = 'sequence',
): T {
  const copy = { ...input } as Record<string, unknown>;
  for (const name of tokenTensors(input)) {
    const { data, shape } = copy[name] as Tensor;
    const [batch, seqlen, ...rest] = shape;
    const width = rest.reduce((product, n) => product * n, 1);
    const taken = data.slice(0, batch * (to - from) * width);
    for (let b = 0; b < batch; b++) {
      const source = data.subarray((b * seqlen + from) * width, (b * seqlen + to) * width);
      taken.set(source, b * (to - from) * width);
    }
    const tokens = as === 'step' ? [] : [to - from];
    copy[name] = { data: taken, shape: [batch, ...tokens, ...rest] };
  }
  return copy as T;
}

/** One token's tensor as a sequence of one. */
export function withTokenAxis({ data, shape }: Tensor): Tensor {
  return { data, shape: [shape[0], 1, ...shape.slice(1)] };
}

/** Sequences one after the other: the inverse of {@link takeTokens}. */
export function joinTokens(parts: readonly Tensor[]): Tensor {
  const [batch, , ...rest] = parts[0].shape;
  const seqlen = parts.reduce((sum, { shape }) => sum + shape[1], 0);
  const width = sizeOf(rest);
  const data = zeros(batch * seqlen * width, parts[0].data);
  for (let b = 0; b < batch; b++) {
    let at = b * seqlen * width;
    for (const part of parts) {
      const size = part.shape[1] * width;
      data.set(part.data.subarray(b * size, (b + 1) * size), at);
      at += size;
    }
  }
  return { data, shape: [batch, seqlen, ...rest] };
}

/** The input with everything from token `from` on changed in the named tensors. */
export function changed<T extends object>(input: T, names: readonly string[], from: number): T {
  const copy = { ...input } as Record<string, unknown>;
  for (const name of names) {
    const { data, shape } = copy[name] as Tensor;
    const [batch, seqlen] = shape;
    const width = data.length / (batch * seqlen);
    const other = data.slice();
    for (let i = 0; i < other.length; i++) {
      if (Math.trunc(i / width) % seqlen >= from) other[i] = 1 - other[i];
    }
    copy[name] = { data: other, shape };
  }
  return copy as T;
}
