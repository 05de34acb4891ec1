/**
 * All recurrences as one plain loop with interchangeable parts, so that a mistake is the one part that differs.
 * In Float64, without care for speed: it only has to be wrong in the right way.
 */

import type { OpName } from '../../../reference/ops.ts';
import { reshape, type Tensor } from '../../../reference/tensor.ts';
import { tokenTensors } from '../tokens.ts';

/** The small decisions of a recurrence, each by itself. */
export interface ScanParts {
  /** Which group of B and C a head (a channel of Mamba-1) takes. */
  group(head: number, nHeads: number, nGroups: number): number;
  /** Δ; for Discrete Mamba-2, whose decay is not computed from it, 1. */
  dt(raw: number, bias: number, token: Token): number;
  /** What the state is multiplied by. */
  decay(dt: number, A: number, token: Token): number;
  /** What is added to it. */
  write(dt: number, B: number, x: number, A: number, token: Token): number;
  /** The state before the first token. */
  start(h: number): number;
  /** What happens to the carried state before token t is taken in. */
  carry(h: number, t: number, decay: number): number;
  /** What is left of the state that is read at token t, where the one that is handed on is right. */
  leftToRead?(h: number, t: number, decay: number): number;
  /** Whether token t, and with it all that follow, is left out: its y is 0. */
  skips(t: number): boolean;
  /** Whether D·x is added and gated even there. */
  keepsSkip: boolean;
  /** How a state is stored after each token. */
  store(h: number): number;
  /** What is read: the state after the token, or the one before it. */
  read(after: number, before: number): number;
  /** From C·h to y. */
  finish(read: number, skip: number, z: number | undefined, token: Token): number;
  /** The state that is returned, from those after and before the last token. */
  last(after: number, before: number, decayOfPadding: number): number;
  /** Whether B and C change places. */
  swapsBAndC: boolean;
}

/** What a part may want to know about the token. */
export interface Token {
  t: number;
  seqlen: number;
  hasSoftplus: boolean;
  limit?: readonly [number, number];
  isDiscrete: boolean;
}

export const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
export const silu = (x: number) => x * sigmoid(x);
export const softplus = (x: number) => (x > 20 ? x : Math.log1p(Math.exp(x)));
export const clamp = (x: number, limit: Token['limit']) =>
  limit ? Math.min(Math.max(x, limit[0]), limit[1]) : x;

/** The right parts. */
export const RIGHT: ScanParts = {
  group: (head, nHeads, nGroups) => Math.floor((head * nGroups) / nHeads),
  dt: (raw, bias, { hasSoftplus, limit, isDiscrete }) =>
    isDiscrete ? raw : clamp(hasSoftplus ? softplus(raw + bias) : raw + bias, limit),
  decay: (dt, A, { isDiscrete }) => (isDiscrete ? sigmoid(-dt) : Math.exp(dt * A)),
  write: (dt, B, x, _A, { isDiscrete }) => (isDiscrete ? B * x : dt * B * x),
  start: (h) => h,
  carry: (h) => h,
  skips: () => false,
  keepsSkip: false,
  store: (h) => h,
  read: (after) => after,
  finish: (read, skip, z) => (z === undefined ? read + skip : (read + skip) * silu(z)),
  last: (after) => after,
  swapsBAndC: false,
};

interface ScanInput {
  x: Tensor;
  dtRaw?: Tensor;
  a?: Tensor;
  dtBias?: Tensor;
  dtSoftplus?: boolean;
  dtLimit?: readonly [number, number];
  A?: Tensor;
  B: Tensor;
  C: Tensor;
  D?: Tensor;
  z?: Tensor;
  h?: Tensor;
}

/** Runs a recurrence, or one token of it, with some parts of its own. */
export function scanWith(op: OpName, given: object, own: Partial<ScanParts>): object {
  const isStep = op.endsWith('Step');
  const input = (isStep ? asSequence(given) : given) as ScanInput;
  const parts = { ...RIGHT, ...own };
  const { x, dtBias, D, z, dtSoftplus = true, dtLimit } = input;
  const [B, C] = parts.swapsBAndC ? [input.C, input.B] : [input.B, input.C];
  const isDiscrete = input.a !== undefined;
  const steps = (input.a ?? input.dtRaw) as Tensor;
  const [batch, seqlen, nHeads, headDim = 1] = x.shape;
  const [, , nGroups, dState] = B.shape;
  const width = nHeads * headDim;
  const y = new Float64Array(x.data.length);
  const h = new Float64Array(batch * width * dState);
  const states = new Float64Array(dState);
  // read in place of them where a mistake spares what is handed on
  const shown = new Float64Array(dState);
  for (let b = 0; b < batch; b++) {
    for (let c = 0; c < width; c++) {
      const head = Math.floor(c / headDim);
      const group = parts.group(head, nHeads, nGroups);
      const skipOf = D === undefined ? 0 : D.data[D.data.length === nHeads ? head : c];
      const rate = (n: number) =>
        input.A ? input.A.data[input.A.shape.length === 2 ? c * dState + n : head] : 0;
      const stateAt = (b * width + c) * dState;
      for (let n = 0; n < dState; n++) {
        states[n] = parts.start(input.h?.data[stateAt + n] ?? 0);
        h[stateAt + n] = states[n];
      }
      for (let t = 0; t < seqlen; t++) {
        const row = b * seqlen + t;
        const at = row * width + c;
        const token: Token = { t, seqlen, hasSoftplus: dtSoftplus, limit: dtLimit, isDiscrete };
        if (parts.skips(t)) {
          if (parts.keepsSkip) y[at] = parts.finish(0, skipOf * x.data[at], z?.data[at], token);
          continue;
        }
        const bias = dtBias?.data[head] ?? 0;
        const dt = parts.dt(steps.data[row * nHeads + head], bias, token);
        const padded = parts.dt(0, bias, token);
        let read = 0;
        for (let n = 0; n < dState; n++) {
          const from = (row * nGroups + group) * dState + n;
          const decay = parts.decay(dt, rate(n), token);
          const before = states[n];
          const written = parts.write(dt, B.data[from], x.data[at], rate(n), token);
          const after = parts.store(decay * parts.carry(before, t, decay) + written);
          states[n] = after;
          const seen = t === 0 ? before : shown[n];
          shown[n] = parts.leftToRead ? parts.leftToRead(seen, t, decay) + written : after;
          read += C.data[from] * parts.read(shown[n], before);
          if (t === seqlen - 1 || parts.skips(t + 1)) {
            h[stateAt + n] = parts.last(after, before, parts.decay(padded, rate(n), token));
          }
        }
        y[at] = parts.finish(read, skipOf * x.data[at], z?.data[at], token);
      }
    }
  }
  const shape = isStep ? [batch, ...x.shape.slice(2)] : x.shape;
  const stateShape = [batch, ...x.shape.slice(2), dState];
  return { y: { data: y, shape }, h: { data: h, shape: stateShape } };
}

/** A step's input as a sequence of one token. */
function asSequence<T extends object>(input: T): T {
  const sequence = { ...input } as Record<string, unknown>;
  for (const name of tokenTensors(input)) {
    const t = sequence[name] as Tensor;
    sequence[name] = reshape(t, t.shape[0], 1, ...t.shape.slice(1));
  }
  return sequence as T;
}
