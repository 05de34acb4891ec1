/** Ops over sequences on host arrays, on the same kernels over packed tokens as the executor's. */

import type { Tensor } from '../../reference/tensor.ts';
import { perChannel } from '../perChannel.ts';
import * as conv from './causalConv1d.ts';
import * as heads from './heads.ts';
import type { Handle } from './kernel.ts';
import { swapLast } from './layout.ts';
import type { ScopedOp } from './rowOps.ts';
import { type Scope, zeros } from './scope.ts';
import * as scan from './selectiveScan.ts';
import { type FinishSizes, type StepSizes, skipAndGate, stepSize } from './stepSize.ts';

/** Tokens of each sequence that are taken in at a time: a thread replays its block from the start. */
const BLOCK = 32;

/** How long the blocks of an op are: its own choice, or its input's chunkLen. */
export type LengthOf = (input: object) => number;

/** Part of a sequence op's work: as many neighbouring tokens of every sequence. */
interface Block {
  readonly scope: Scope;
  readonly tokens: number;
  readonly runs: Handle;
  readonly spans: Handle;
  /** The block's rows of an input (batch, seqlen, width). */
  rows(t: Tensor, width: number): Promise<Handle>;
}

interface Sizes {
  readonly batch: number;
  readonly seqlen: number;
  readonly width: number;
}

/**
 * Runs blocks one after another; the state goes from one to the next on the device.
 * @returns y of all tokens, shape (batch, seqlen, width), and the state after them.
 */
async function inBlocks(
  scope: Scope,
  { batch, seqlen, width }: Sizes,
  blockLen: number,
  state: Handle,
  run: (block: Block, state: Handle, place: string) => Promise<{ y: Handle; state: Handle }>,
): Promise<{ y: Float32Array; state: Handle }> {
  const y = new Float32Array(batch * seqlen * width);
  let now = state;
  for (let from = 0, k = 0; from < seqlen; from += blockLen, k++) {
    const count = Math.min(blockLen, seqlen - from);
    const tokens = batch * count;
    const places = Array.from({ length: tokens }, (_, t) => [Math.floor(t / count), t % count, 1]);
    const starts = Array.from({ length: batch }, (_, b) => [b * count, count, from]);
    /** Copies between (batch, seqlen, …) and the block's rows. */
    const eachRow = (copy: (all: number, own: number) => void) => {
      for (let b = 0; b < batch; b++) copy(b * seqlen + from, b * count);
    };
    const block: Block = {
      scope,
      tokens,
      runs: await scope.put(places.flat(), 3, tokens),
      spans: await scope.put(starts.flat(), 3, batch),
      rows: (t, columns) => {
        const rows = new Float32Array(tokens * columns);
        eachRow((all, own) => {
          rows.set(t.data.subarray(all * columns, (all + count) * columns), own * columns);
        });
        return scope.put(rows, columns, tokens);
      },
    };
    const out = await run(block, now, `${k % 2}`); // a kernel cannot write the state that it reads
    const rows = await scope.read(out.y);
    eachRow((all, own) => {
      y.set(rows.subarray(own * width, (own + count) * width), all * width);
    });
    now = out.state;
  }
  return { y, state: now };
}

/** State (batch, rows, columns) of the reference's layout on the device. */
export function putState(scope: Scope, t: Tensor, batch: number, rows: number, columns: number) {
  return scope.put(swapLast(t.data, batch, rows, columns), rows, columns, batch);
}

export async function takeState(
  scope: Scope,
  handle: Handle,
  shape: readonly number[],
): Promise<Tensor> {
  const [rows, columns, batch] = handle.dims;
  return { data: swapLast(await scope.read(handle), batch, columns, rows), shape };
}

export const causalConv1dOp: ScopedOp<'causalConv1d'> = async (scope, input) => {
  const { x, weight, bias, activation } = input;
  const [batch, seqlen, channels] = x.shape;
  const dConv = weight.shape[1];
  const stateShape = [batch, channels, dConv - 1];
  const convState = input.convState ?? zeros(...stateShape);
  if (seqlen === 0) return { y: x, convState };
  const hasState = dConv > 1;
  const w = await scope.transposed(weight);
  const b = await scope.vectors(bias);
  const before = hasState
    ? await putState(scope, convState, batch, channels, dConv - 1)
    : await scope.put([0], 1);
  const hasSilu = activation === 'silu';
  const fixed = { slots: batch, channels, dConv, xFrom: 0, hasBias: b.length > 0, hasSilu };
  const all = await inBlocks(
    ...([scope, { batch, seqlen, width: channels }, BLOCK, before] as const),
    async ({ tokens, rows, runs, spans }, state, place) => {
      const sizes = { ...fixed, tokens };
      const own = await rows(x, channels);
      const past = hasState ? [runs, state] : [];
      const y = await scope.run(conv.causalConv1d(sizes), own, w, ...past, ...b);
      if (!hasState) return { y, state };
      const next = conv.causalConv1dState(sizes);
      return { y, state: await scope.runIn(place, next, own, state, spans) };
    },
  );
  return {
    y: { data: all.y, shape: x.shape },
    convState: hasState ? await takeState(scope, all.state, stateShape) : convState,
  };
};

/** Δ of a block. */
async function steps(
  { scope, rows, tokens }: Block,
  dtRaw: Tensor,
  dtBias: Tensor | undefined,
  sizes: Omit<StepSizes, 'tokens' | 'from' | 'hasBias'>,
): Promise<Handle> {
  const spec = stepSize({ ...sizes, tokens, from: 0, hasBias: dtBias !== undefined });
  return scope.run(spec, await rows(dtRaw, sizes.width), ...(await scope.vectors(dtBias)));
}

/** (y + D·x)·silu(z) of a block. */
async function finish(
  { scope, rows, tokens }: Block,
  y: Handle,
  x: Handle,
  { D, z }: { D?: Tensor; z?: Tensor },
): Promise<Handle> {
  const [width] = y.dims;
  const sizes: FinishSizes = { tokens, width, xFrom: 0, zFrom: 0, hasD: !!D, hasZ: !!z };
  const skip = D ? [x, await scope.put(perChannel(D.data, width), width)] : [];
  const gate = z ? [await rows(z, width)] : [];
  return scope.run(skipAndGate(sizes), y, ...skip, ...gate);
}

/** Mamba-1's scan in blocks of any length: `selectiveScan` and its chunked form. */
export const selectiveScanOp =
  (lengthOf: LengthOf = () => BLOCK): ScopedOp<'selectiveScan'> =>
  async (scope, input) => {
    const { x, dtRaw, dtBias, dtSoftplus = true, B, C, D, z } = input;
    const [batch, seqlen, dInner] = x.shape;
    const [, , nGroups, dState] = B.shape;
    const stateShape = [batch, dInner, dState];
    const h = input.h ?? zeros(...stateShape);
    if (seqlen === 0) return { y: x, h };
    const A = await scope.transposed(input.A);
    const froms = { xFrom: 0, BFrom: 0, CFrom: 0 };
    const all = await inBlocks(
      ...([scope, { batch, seqlen, width: dInner }, lengthOf(input)] as const),
      await putState(scope, h, batch, dInner, dState),
      async (block, state, place) => {
        const { tokens, rows, runs, spans } = block;
        const sizes = { tokens, slots: batch, dInner, dState, nGroups, ...froms };
        const dt = await steps(block, dtRaw, dtBias, { width: dInner, hasSoftplus: dtSoftplus });
        const own = await rows(x, dInner);
        const inputs = [dt, own, A, await rows(B, nGroups * dState)];
        const read = await rows(C, nGroups * dState);
        const y = await scope.run(scan.selectiveScan(sizes), ...inputs, read, state, runs);
        const next = scan.selectiveScanState(sizes);
        const after = await scope.runIn(place, next, ...inputs, state, spans);
        return { y: await finish(block, y, own, { D, z }), state: after };
      },
    );
    return {
      y: { data: all.y, shape: x.shape },
      h: await takeState(scope, all.state, stateShape),
    };
  };

type HeadInput = Parameters<ScopedOp<'ssd'>>[1] & Parameters<ScopedOp<'discreteSsd'>>[1];

/** The recurrence over heads in blocks; decay and scale of a block are what the two ops differ in. */
const headsOp =
  (rates: (block: Block, sizes: heads.HeadSizes, input: HeadInput) => Promise<[Handle, Handle]>) =>
  (lengthOf: LengthOf = () => BLOCK) =>
  async (scope: Scope, whole: object) => {
    const input = whole as HeadInput;
    const { x, B, C, D, z } = input;
    const [batch, seqlen, nHeads, headDim] = x.shape;
    const [, , nGroups, dState] = B.shape;
    const width = nHeads * headDim;
    const stateShape = [batch, nHeads, headDim, dState];
    const h = input.h ?? zeros(...stateShape);
    if (seqlen === 0) return { y: x, h };
    const froms = { xFrom: 0, BFrom: 0, CFrom: 0 };
    const all = await inBlocks(
      ...([scope, { batch, seqlen, width }, lengthOf(input)] as const),
      await putState(scope, h, batch, width, dState),
      async (block, state, place) => {
        const { tokens, rows, runs, spans } = block;
        const sizes = { tokens, slots: batch, nHeads, headDim, dState, nGroups, ...froms };
        const own = await rows(x, width);
        const inputs = [
          ...(await rates(block, sizes, input)),
          own,
          await rows(B, nGroups * dState),
        ];
        const read = await rows(C, nGroups * dState);
        const y = await scope.run(heads.headsRead(sizes), ...inputs, read, state, runs);
        const after = await scope.runIn(place, heads.headsState(sizes), ...inputs, state, spans);
        return { y: await finish(block, y, own, { D, z }), state: after };
      },
    );
    return {
      y: { data: all.y, shape: x.shape },
      h: await takeState(scope, all.state, stateShape),
    };
  };

export const ssdOp = headsOp(
  async (block, sizes, { dtRaw, dtBias, dtSoftplus = true, dtLimit, A }) => {
    const { scope } = block;
    const stepSizes = { width: sizes.nHeads, hasSoftplus: dtSoftplus, limit: dtLimit };
    const dt = await steps(block, dtRaw, dtBias, stepSizes);
    const decay = await scope.run(heads.ssdDecay(sizes), dt, ...(await scope.vectors(A)));
    return [decay, dt];
  },
);

export const discreteSsdOp = headsOp(async ({ scope, rows }, sizes, { a }) => [
  await scope.run(heads.discreteDecay(sizes, 0), await rows(a, sizes.nHeads)),
  await scope.run(heads.discreteScale(sizes)),
]);
