/** Inputs that single kernels are timed on: the shapes of the small models, large batches, long sequences. */

import { Draws, type InputOf } from '../lib/verify/index.ts';
import type { OpName } from '../reference/ops.ts';
import { sizeOf, type Tensor } from '../reference/tensor.ts';
import { SMALL } from './shapes.ts';

const { dModel, dInner, dConv, dState, nHeads, nKvHeads, headDim, dStateOfMamba2 } = SMALL;
const CHUNK = 64;
/** Length of the caches that a single token attends to. */
const CACHED = 512;

/** Makes tensors of float32 numbers; large ones repeat themselves, so that making them takes no time. */
class Source {
  readonly #pool = new Draws(1).tensorBetween(-1, 1, 65_521).data; // a prime: no period of any shape

  tensor(...shape: number[]): Tensor {
    const data = new Float32Array(sizeOf(shape));
    for (let at = 0; at < data.length; at += this.#pool.length) {
      data.set(this.#pool.subarray(0, data.length - at), at);
    }
    return { data, shape };
  }

  /** Decay rates from −1 to −16. */
  rates(...shape: number[]): Tensor {
    const { data } = this.tensor(...shape);
    return { data: data.map((x) => -8.5 + 7.5 * x), shape };
  }
}

const source = new Source();
const drawn = (...shape: number[]) => source.tensor(...shape);

/** Two ways in which an op can be large. */
type Kind = 'step' | 'sequence';

export interface KernelCase<Name extends OpName = OpName> {
  op: Name;
  kind: Kind;
  /** What a shape is called in tables. */
  shape: string;
  /** Whether its work grows with the square of the sequence. */
  isQuadratic?: boolean;
  make(batch: number, seqlen: number): InputOf<Name>;
}

/** The same op with its own input type, among all others. */
const entry = <Name extends OpName>(one: KernelCase<Name>) => one as unknown as KernelCase;

const ssdInput = (...lead: number[]) => ({
  x: drawn(...lead, nHeads, headDim),
  dtRaw: drawn(...lead, nHeads),
  A: source.rates(nHeads),
  B: drawn(...lead, 1, dStateOfMamba2),
  C: drawn(...lead, 1, dStateOfMamba2),
  D: drawn(nHeads, 1),
});

const scanInput = (...lead: number[]) => ({
  x: drawn(...lead, dInner),
  dtRaw: drawn(...lead, dInner),
  dtBias: drawn(dInner),
  A: source.rates(dInner, dState),
  B: drawn(...lead, 1, dState),
  C: drawn(...lead, 1, dState),
  D: drawn(dInner),
  z: drawn(...lead, dInner),
});

const convInput = (...lead: number[]) => ({
  x: drawn(...lead, dInner),
  weight: drawn(dInner, dConv),
  bias: drawn(dInner),
  activation: 'silu' as const,
});

const headState = (batch: number) => drawn(batch, nHeads, headDim, dStateOfMamba2);
const attentionHeads = dModel / headDim;
const scanShape = `dInner ${dInner}, dState ${dState}`;
const headShape = `${nHeads} heads of ${headDim}, dState ${dStateOfMamba2}`;
const attentionShape = `${attentionHeads} heads of ${headDim}, ${nKvHeads} KV`;

export const KERNEL_CASES: readonly KernelCase[] = [
  entry<'linear'>({
    op: 'linear',
    kind: 'step',
    shape: `${dModel} → ${2 * dInner}`,
    make: (batch) => ({ x: drawn(batch, dModel), weight: drawn(2 * dInner, dModel) }),
  }),
  entry<'rmsNorm'>({
    op: 'rmsNorm',
    kind: 'step',
    shape: `width ${dModel}`,
    make: (batch) => ({ x: drawn(batch, dModel), weight: drawn(dModel), eps: 1e-5 }),
  }),
  entry<'causalConv1dStep'>({
    op: 'causalConv1dStep',
    kind: 'step',
    shape: `dInner ${dInner}, dConv ${dConv}`,
    make: (batch) => ({ ...convInput(batch), convState: drawn(batch, dInner, dConv - 1) }),
  }),
  entry<'selectiveScanStep'>({
    op: 'selectiveScanStep',
    kind: 'step',
    shape: scanShape,
    make: (batch) => ({ ...scanInput(batch), h: drawn(batch, dInner, dState) }),
  }),
  entry<'ssdStep'>({
    op: 'ssdStep',
    kind: 'step',
    shape: headShape,
    make: (batch) => ({ ...ssdInput(batch), h: headState(batch) }),
  }),
  entry<'discreteSsdStep'>({
    op: 'discreteSsdStep',
    kind: 'step',
    shape: headShape,
    make: (batch) => {
      const { x, dtRaw: a, B, C, D } = ssdInput(batch);
      return { x, a, B, C, D, h: headState(batch) };
    },
  }),
  entry<'attentionStep'>({
    op: 'attentionStep',
    kind: 'step',
    shape: `${attentionShape}, ${CACHED} cached`,
    make: (batch) => ({
      q: drawn(batch, attentionHeads, headDim),
      keys: drawn(batch, CACHED, nKvHeads, headDim),
      values: drawn(batch, CACHED, nKvHeads, headDim),
    }),
  }),
  entry<'causalConv1d'>({
    op: 'causalConv1d',
    kind: 'sequence',
    shape: `dInner ${dInner}, dConv ${dConv}`,
    make: (batch, seqlen) => convInput(batch, seqlen),
  }),
  entry<'selectiveScanChunked'>({
    op: 'selectiveScanChunked',
    kind: 'sequence',
    shape: `${scanShape}, chunks of ${CHUNK}`,
    make: (batch, seqlen) => ({ ...scanInput(batch, seqlen), chunkLen: CHUNK }),
  }),
  entry<'ssdChunked'>({
    op: 'ssdChunked',
    kind: 'sequence',
    shape: `${headShape}, chunks of ${CHUNK}`,
    make: (batch, seqlen) => ({ ...ssdInput(batch, seqlen), chunkLen: CHUNK }),
  }),
  entry<'attention'>({
    op: 'attention',
    kind: 'sequence',
    shape: attentionShape,
    isQuadratic: true,
    make: (batch, seqlen) => ({
      q: drawn(batch, seqlen, attentionHeads, headDim),
      keys: drawn(batch, seqlen, nKvHeads, headDim),
      values: drawn(batch, seqlen, nKvHeads, headDim),
    }),
  }),
];
