/** Ops over sequences, and for one token of each, on host arrays: the same kernels serve both. */

import type { Tensor } from '../../reference/tensor.ts';
import { perChannel } from '../perChannel.ts';
import * as abi from './abi.ts';
import * as packing from './packing.ts';
import type { Parameter } from './program.ts';
import type { ScopedOp } from './rowOps.ts';
import type { Rows, Scope, Segment } from './scope.ts';

/** States of all sequences in memory, each of `size` numbers. */
interface States {
  readonly address: number;
  readonly size: number;
}

function putStates(
  scope: Scope,
  state: Tensor | undefined,
  batch: number,
  size: number,
  pack: (to: Float32Array, data: ArrayLike<number>) => void,
): States {
  const address = scope.packed('state', batch * size, (to) => {
    if (!state) return;
    const own = state.data.length / batch;
    for (let b = 0; b < batch; b++) {
      pack(to.subarray(b * size), state.data.subarray(b * own, (b + 1) * own));
    }
  });
  return { address, size };
}

function takeStates(
  scope: Scope,
  { address, size }: States,
  shape: readonly number[],
  unpack: (from: Float32Array) => Float32Array,
): Tensor {
  const batch = shape[0];
  const all = scope.view(address, batch * size);
  const parts = Array.from({ length: batch }, (_, b) => unpack(all.subarray(b * size)));
  const data = new Float32Array(shape.reduce((product, n) => product * n, 1));
  for (const [b, part] of parts.entries()) data.set(part, b * part.length);
  return { data, shape };
}

/** Runs a step on all tokens of all sequences, up to `chunkLen` of each at a time. */
function runSequences(
  scope: Scope,
  { batch, seqlen, chunkLen = seqlen }: { batch: number; seqlen: number; chunkLen?: number },
  { address, size }: States,
  step: [kernel: number, ...parameters: Parameter[]],
): void {
  for (let from = 0; from < seqlen; from += chunkLen) {
    const segments = Array.from(
      { length: batch },
      (_, b): Segment => ({
        begin: b * seqlen + from,
        count: Math.min(chunkLen, seqlen - from),
        state: address + 4 * b * size,
      }),
    );
    scope.run({ segments }, step);
  }
}

export const causalConv1dOp: ScopedOp<'causalConv1d'> = (scope, input) => {
  const { x, weight, bias, activation, convState } = input;
  const [batch, seqlen, channels] = x.shape;
  const dConv = weight.shape[1];
  const kept = Math.max(dConv - 1, 0);
  const stride = packing.channelsStride(channels);
  const states = putStates(scope, convState, batch, kept * stride, (to, data) =>
    packing.packTaps(to, data, channels, kept),
  );
  const taps = scope.packed('weight', dConv * stride, (to) =>
    packing.packTaps(to, weight.data, channels, dConv),
  );
  const own = scope.rows('x', x, channels);
  const y = scope.output('y', own.rows, channels);
  runSequences(scope, { batch, seqlen }, states, [
    ...([abi.CAUSAL_CONV, ...own.at, taps, scope.vector('bias', bias), channels, dConv] as const),
    ...[Number(activation === 'silu'), 0, ...y.at],
  ]);
  return {
    y: scope.take(y, x.shape),
    convState: takeStates(scope, states, [batch, channels, kept], (from) =>
      packing.unpackTaps(from, channels, kept),
    ),
  };
};

/** A tensor of one token of every sequence as one of sequences of length 1, and back. */
const lengthen = ({ data, shape: [batch, ...rest] }: Tensor): Tensor => ({
  data,
  shape: [batch, 1, ...rest],
});
const maybe = (t: Tensor | undefined) => t && lengthen(t);

export const causalConv1dStepOp: ScopedOp<'causalConv1dStep'> = (scope, input) => {
  const { y, convState } = causalConv1dOp(scope, { ...input, x: lengthen(input.x) });
  return { y: { data: y.data, shape: input.x.shape }, convState };
};

export const selectiveScanChunkedOp: ScopedOp<'selectiveScanChunked'> = (scope, input) =>
  selectiveScan(scope, input, input.chunkLen);

export const selectiveScanOp: ScopedOp<'selectiveScan'> = (scope, input) =>
  selectiveScan(scope, input);

export const selectiveScanStepOp: ScopedOp<'selectiveScanStep'> = (scope, input) => {
  const [x, dtRaw, B, C] = [input.x, input.dtRaw, input.B, input.C].map(lengthen);
  const { y, h } = selectiveScan(scope, { ...input, x, dtRaw, B, C, z: maybe(input.z) });
  return { y: { data: y.data, shape: input.x.shape }, h };
};

function selectiveScan(
  scope: Scope,
  input: Parameters<ScopedOp<'selectiveScan'>>[1],
  chunkLen?: number,
): ReturnType<ScopedOp<'selectiveScan'>> {
  const { x, dtRaw, dtBias, dtSoftplus = true, A, B, C, D, z } = input;
  const [batch, seqlen, dInner] = x.shape;
  const [, , nGroups, dState] = B.shape;
  const perGroup = dInner / nGroups;
  const size = packing.lanesSize(nGroups, perGroup, dState);
  const pack = (to: Float32Array, data: ArrayLike<number>) =>
    packing.packLanes(to, data, nGroups, perGroup, dState);
  const states = putStates(scope, input.h, batch, size, pack);
  const rates = scope.packed('A', size, (to) => pack(to, packing.inTwos(A.data)));
  const own = scope.rows('x', x, dInner);
  const y = scope.output('y', own.rows, dInner);
  const [write, read] = readWrite(scope, B, C, nGroups * dState);
  const steps = [...scope.rows('dtRaw', dtRaw, dInner).at, scope.vector('dtBias', dtBias), rates];
  const gate = z ? scope.rows('z', z, dInner).at : [0, 0];
  runSequences(scope, { batch, seqlen, chunkLen }, states, [
    ...([abi.SELECTIVE_SCAN, ...own.at, ...steps, ...write.at, ...read.at] as const),
    ...[scope.vector('D', D), ...gate, nGroups, perGroup, dState, 0, Number(dtSoftplus), ...y.at],
  ]);
  return {
    y: scope.take(y, x.shape),
    h: takeStates(scope, states, [batch, dInner, dState], (from) =>
      packing.unpackLanes(from, nGroups, perGroup, dState),
    ),
  };
}

const readWrite = (scope: Scope, B: Tensor, C: Tensor, width: number): [Rows, Rows] => [
  scope.rows('B', B, width),
  scope.rows('C', C, width),
];

export const ssdChunkedOp: ScopedOp<'ssdChunked'> = (scope, input) =>
  ssd(scope, input, input.chunkLen);

export const ssdOp: ScopedOp<'ssd'> = (scope, input) => ssd(scope, input);

export const ssdStepOp: ScopedOp<'ssdStep'> = (scope, input) => {
  const [x, dtRaw, B, C] = [input.x, input.dtRaw, input.B, input.C].map(lengthen);
  const { y, h } = ssd(scope, { ...input, x, dtRaw, B, C, z: maybe(input.z) });
  return { y: { data: y.data, shape: input.x.shape }, h };
};

function ssd(
  scope: Scope,
  input: Parameters<ScopedOp<'ssd'>>[1],
  chunkLen?: number,
): ReturnType<ScopedOp<'ssd'>> {
  const { dtRaw, dtBias, dtSoftplus = true, dtLimit = [-Infinity, Infinity], A } = input;
  const rates = [scope.vector('dtBias', dtBias), scope.vector('A', A)];
  const flags = dtSoftplus ? abi.HEADS_SOFTPLUS : 0;
  return heads(scope, input, { dt: dtRaw, rates, flags, limits: dtLimit, chunkLen });
}

export const discreteSsdChunkedOp: ScopedOp<'discreteSsdChunked'> = (scope, input) =>
  discreteSsd(scope, input, input.chunkLen);

export const discreteSsdOp: ScopedOp<'discreteSsd'> = (scope, input) => discreteSsd(scope, input);

export const discreteSsdStepOp: ScopedOp<'discreteSsdStep'> = (scope, input) => {
  const [x, a, B, C] = [input.x, input.a, input.B, input.C].map(lengthen);
  const { y, h } = discreteSsd(scope, { ...input, x, a, B, C });
  return { y: { data: y.data, shape: input.x.shape }, h };
};

function discreteSsd(
  scope: Scope,
  input: Parameters<ScopedOp<'discreteSsd'>>[1],
  chunkLen?: number,
): ReturnType<ScopedOp<'discreteSsd'>> {
  const flags = abi.HEADS_DISCRETE;
  return heads(scope, input, { dt: input.a, rates: [0, 0], flags, limits: [0, 0], chunkLen });
}

/** What the recurrences over heads differ in. */
interface HeadSteps {
  /** Shape (batch, seqlen, nHeads). */
  readonly dt: Tensor;
  /** Addresses of dtBias and A. */
  readonly rates: readonly number[];
  readonly flags: number;
  readonly limits: readonly [least: number, most: number];
  readonly chunkLen?: number;
}

function heads(
  scope: Scope,
  { x, B, C, D, z, h }: Pick<Parameters<ScopedOp<'ssd'>>[1], 'x' | 'B' | 'C' | 'D' | 'z' | 'h'>,
  { dt, rates, flags, limits: [least, most], chunkLen }: HeadSteps,
): { y: Tensor; h: Tensor } {
  const [batch, seqlen, nHeads, headDim] = x.shape;
  const [, , nGroups, dState] = B.shape;
  const width = nHeads * headDim;
  const size = packing.lanesSize(nHeads, headDim, dState);
  const states = putStates(scope, h, batch, size, (to, data) =>
    packing.packLanes(to, data, nHeads, headDim, dState),
  );
  const own = scope.rows('x', x, width);
  const y = scope.output('y', own.rows, width);
  const [write, read] = readWrite(scope, B, C, nGroups * dState);
  const skip = D ? scope.put('D', perChannel(D.data, width)) : 0;
  const gate = z ? scope.rows('z', z, width).at : [0, 0];
  runSequences(scope, { batch, seqlen, chunkLen }, states, [
    ...([abi.HEADS, ...own.at, ...scope.rows('dt', dt, nHeads).at, ...rates] as const),
    ...[...write.at, ...read.at, skip, ...gate, nHeads, headDim, nGroups, dState],
    ...[0, flags, { real: least }, { real: most }, ...y.at],
  ]);
  return {
    y: scope.take(y, x.shape),
    h: takeStates(scope, states, [batch, nHeads, headDim, dState], (from) =>
      packing.unpackLanes(from, nHeads, headDim, dState),
    ),
  };
}
