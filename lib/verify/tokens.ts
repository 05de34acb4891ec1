/** Cutting and changing sequences: inputs of sequence ops have their tokens along the second axis. */

import { isTensor, type Tensor } from '../../reference/tensor.ts';

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
