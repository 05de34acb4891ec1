/**
 * What the ops on host arrays never ask of the gpu.js kernels: runs of several lengths in any order, sequences that
 * take no token, columns that start inside a buffer.
 */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as attention from '../backends/gpujs/attention.ts';
import * as conv from '../backends/gpujs/causalConv1d.ts';
import { Device } from '../backends/gpujs/device.ts';
import * as heads from '../backends/gpujs/heads.ts';
import type { Handle, KernelSpec } from '../backends/gpujs/kernel.ts';
import { swapLast } from '../backends/gpujs/layout.ts';
import { linear } from '../backends/gpujs/linear.ts';
import { rope } from '../backends/gpujs/rope.ts';
import * as scan from '../backends/gpujs/selectiveScan.ts';
import { presentBackends } from '../backends/index.ts';
import { Draws } from '../lib/verify/values.ts';
import { ops } from '../reference/ops.ts';
import { sizeOf, type Tensor, tensor } from '../reference/tensor.ts';
import { SEED } from './support.ts';

const isExpected = (process.env.SELSCAN_EXPECT ?? '').split(',').includes('gpujs:webgpu');
const { absent } = (await presentBackends()).find(({ name }) => name === 'gpujs:webgpu') ?? {};

/** Slot 2 takes 5 tokens, slot 0 then 2, fewer than a convolution looks back, slot 1 none. */
const SPANS = [
  { begin: 5, count: 2, position: 4 },
  { begin: 0, count: 0, position: 2 },
  { begin: 0, count: 5, position: 0 },
];
const SPAN_ROWS = SPANS.flatMap(({ begin, count, position }) => [begin, count, position]);
const SLOTS = SPANS.length;
const TOKENS = 7;
/** In a step slot 1 takes no token. */
const LIVE = [1, 0, 1];
/** Columns before the ones that a kernel is to read; two more follow them. */
const FROM = 3;

const runsOf = () => {
  const runs = new Float32Array(3 * TOKENS);
  SPANS.forEach(({ begin, count, position }, slot) => {
    for (let i = 0; i < count; i++) runs.set([slot, i, position + i + 1], 3 * (begin + i));
  });
  return runs;
};

/** Columns FROM … FROM + width − 1 of some rows of a buffer (rows, FROM + width + 2), as `shape`. */
function inside({ data, shape: [, all] }: Tensor, begin: number, shape: readonly number[]): Tensor {
  const rows = shape[1];
  const width = sizeOf(shape) / rows;
  const part = Array.from({ length: rows }, (_, r) =>
    Array.from(data.subarray((begin + r) * all + FROM, (begin + r) * all + FROM + width)),
  );
  return tensor(shape, part.flat());
}

/** Some rows of a tensor's first axis. */
function rowsFrom({ data, shape }: Tensor, begin: number, count: number): Tensor {
  const size = data.length / shape[0];
  const own = data.slice(begin * size, (begin + count) * size);
  return { data: own, shape: [count, ...shape.slice(1)] };
}

/** Within 1e-5 of the largest; NaN is not. */
function expectNear(got: ArrayLike<number>, want: ArrayLike<number>): void {
  expect(got.length).toBe(want.length);
  const most = Array.from(want).reduce((max, v) => Math.max(max, Math.abs(v)), 1e-30);
  const off = Array.from(want, (v, i) => Math.abs(got[i] - v) / most);
  expect(off.filter((error) => !(error <= 1e-5))).toEqual([]);
}

describe.each(['cpu', 'webasm', 'webgpu'] as const)('kernels of gpujs:%s', (mode) => {
  if (mode === 'webgpu' && absent !== undefined && !isExpected) {
    it.skip(`run (${absent})`, () => {});
    return;
  }
  let device: Device;
  let draws: Draws;
  beforeAll(async () => {
    device = await Device.open(mode);
    draws = new Draws(SEED);
  });
  afterAll(() => device?.dispose());

  const put = (data: ArrayLike<number>, ...dims: number[]) =>
    device.upload(Float32Array.from(data), dims);
  const run = async (spec: KernelSpec, ...args: readonly Handle[]) =>
    device.read(await device.newKernel(spec).run(...args));
  /** A buffer of tokens with columns around the ones that count, and where it lies on the device. */
  const buffer = async (rows: number, width: number) => {
    const all = draws.tensor('usual', rows, FROM + width + 2);
    return { all, handle: await put(all.data, FROM + width + 2, rows) };
  };
  /** A state (SLOTS, channels, depth) of the reference's layout, and where it lies on the device. */
  const stateOf = async (channels: number, depth: number) => {
    const state = draws.tensor('usual', SLOTS, channels, depth);
    const data = swapLast(state.data, SLOTS, channels, depth);
    return { state, handle: await put(data, channels, depth, SLOTS) };
  };
  const backFrom = (data: Float32Array, channels: number, depth: number): Tensor => ({
    data: swapLast(data, SLOTS, depth, channels),
    shape: [SLOTS, channels, depth],
  });
  const layout = async () => ({
    runs: await put(runsOf(), 3, TOKENS),
    spans: await put(SPAN_ROWS, 3, SLOTS),
    live: await put(LIVE, SLOTS),
  });

  /** Compares packed outputs and states with the reference, one slot at a time. */
  const expectSlots = (
    kind: 'run' | 'step',
    { y, after, before }: { y: Float32Array; after: Tensor; before: Tensor },
    want: (slot: number, begin: number, count: number) => { y: Tensor; state: Tensor },
  ) => {
    const width = y.length / (kind === 'run' ? TOKENS : SLOTS);
    for (let slot = 0; slot < SLOTS; slot++) {
      const span = SPANS[slot];
      const [begin, count] = kind === 'run' ? [span.begin, span.count] : [slot, LIVE[slot]];
      const own = rowsFrom(after, slot, 1);
      if (count === 0) {
        expect(Array.from(own.data)).toEqual(Array.from(rowsFrom(before, slot, 1).data));
        continue;
      }
      const one = want(slot, begin, count);
      expectNear(y.subarray(begin * width, (begin + count) * width), one.y.data);
      expectNear(own.data, one.state.data);
    }
  };

  it.each(['run', 'step'] as const)('convolve each %s from the state of its slot', async (kind) => {
    const [channels, dConv] = [5, 4];
    const isRun = kind === 'run';
    const tokens = isRun ? TOKENS : SLOTS;
    const { runs, spans, live } = await layout();
    const x = await buffer(tokens, channels);
    const weight = draws.tensor('usual', channels, dConv);
    const w = await put(swapLast(weight.data, 1, channels, dConv), channels, dConv);
    const before = await stateOf(channels, dConv - 1);
    const shared = { slots: SLOTS, xFrom: FROM, hasBias: false, hasSilu: true };
    const sizes = { ...shared, tokens, channels, dConv };
    const y = isRun
      ? await run(conv.causalConv1d(sizes), x.handle, w, runs, before.handle)
      : await run(conv.causalConv1dStep(sizes), x.handle, w, before.handle);
    const after = isRun
      ? await run(conv.causalConv1dState(sizes), x.handle, before.handle, spans)
      : await run(conv.causalConv1dStepState(sizes), x.handle, before.handle, live);
    const states = { after: backFrom(after, channels, dConv - 1), before: before.state };
    expectSlots(kind, { y, ...states }, (slot, begin, count) => {
      const convState = rowsFrom(before.state, slot, 1);
      const own = inside(x.all, begin, [1, count, channels]);
      const out = ops.causalConv1d({ x: own, weight, activation: 'silu', convState });
      return { y: out.y, state: out.convState };
    });
  });

  it.each(['run', 'step'] as const)('scan each %s from the state of its slot', async (kind) => {
    const [dInner, dState, nGroups] = [6, 3, 2];
    const tokens = kind === 'run' ? TOKENS : SLOTS;
    const { runs, spans, live } = await layout();
    const x = await buffer(tokens, dInner);
    const B = await buffer(tokens, nGroups * dState);
    const C = await buffer(tokens, nGroups * dState);
    const dt = draws.tensorBetween(0.01, 1, tokens, dInner);
    const A = draws.tensorBetween(-2, -0.1, dInner, dState);
    const before = await stateOf(dInner, dState);
    const froms = { xFrom: FROM, BFrom: FROM, CFrom: FROM };
    const sizes = { tokens, slots: SLOTS, dInner, dState, nGroups, ...froms };
    const rates = await put(swapLast(A.data, 1, dInner, dState), dInner, dState);
    const inputs = [await put(dt.data, dInner, tokens), x.handle, rates, B.handle];
    let [y, after]: Float32Array[] = [];
    if (kind === 'run') {
      y = await run(scan.selectiveScan(sizes), ...inputs, C.handle, before.handle, runs);
      after = await run(scan.selectiveScanState(sizes), ...inputs, before.handle, spans);
    } else {
      after = await run(scan.selectiveScanStepState(sizes), ...inputs, before.handle, live);
      y = await run(
        scan.selectiveScanStep(sizes),
        await put(after, dInner, dState, SLOTS),
        C.handle,
      );
    }
    const states = { after: backFrom(after, dInner, dState), before: before.state };
    expectSlots(kind, { y, ...states }, (slot, begin, count) => {
      const own = rowsFrom(dt, begin, count);
      const groups = [1, count, nGroups, dState];
      const out = ops.selectiveScan({
        x: inside(x.all, begin, [1, count, dInner]),
        dtRaw: { data: own.data, shape: [1, count, dInner] },
        dtSoftplus: false,
        A,
        B: inside(B.all, begin, groups),
        C: inside(C.all, begin, groups),
        h: rowsFrom(before.state, slot, 1),
      });
      return { y: out.y, state: out.h };
    });
  });

  it.each(['run', 'step'] as const)('run the heads of each %s from its slot', async (kind) => {
    const [nHeads, headDim, dState, nGroups] = [4, 2, 3, 2];
    const width = nHeads * headDim;
    const tokens = kind === 'run' ? TOKENS : SLOTS;
    const { runs, spans, live } = await layout();
    const x = await buffer(tokens, width);
    const B = await buffer(tokens, nGroups * dState);
    const C = await buffer(tokens, nGroups * dState);
    const a = await buffer(tokens, nHeads);
    const before = await stateOf(width, dState);
    const froms = { xFrom: FROM, BFrom: FROM, CFrom: FROM };
    const sizes = { tokens, slots: SLOTS, nHeads, headDim, dState, nGroups, ...froms };
    const decay = await device.newKernel(heads.discreteDecay(sizes, FROM)).run(a.handle);
    const scale = await device.newKernel(heads.discreteScale(sizes)).run();
    const inputs = [decay, scale, x.handle, B.handle];
    let [y, after]: Float32Array[] = [];
    if (kind === 'run') {
      y = await run(heads.headsRead(sizes), ...inputs, C.handle, before.handle, runs);
      after = await run(heads.headsState(sizes), ...inputs, before.handle, spans);
    } else {
      after = await run(heads.headsStepState(sizes), ...inputs, before.handle, live);
      y = await run(heads.headsStepRead(sizes), await put(after, width, dState, SLOTS), C.handle);
    }
    const states = { after: backFrom(after, width, dState), before: before.state };
    expectSlots(kind, { y, ...states }, (slot, begin, count) => {
      const h = rowsFrom(before.state, slot, 1);
      const groups = [1, count, nGroups, dState];
      const out = ops.discreteSsd({
        x: inside(x.all, begin, [1, count, nHeads, headDim]),
        a: inside(a.all, begin, [1, count, nHeads]),
        B: inside(B.all, begin, groups),
        C: inside(C.all, begin, groups),
        h: { data: h.data, shape: [1, nHeads, headDim, dState] },
      });
      return { y: out.y, state: out.h };
    });
  });

  it('append to each cache and attend to no more than its own tokens', async () => {
    const [nHeads, nKvHeads, headDim, capacity] = [4, 2, 3, 9];
    const width = nKvHeads * headDim;
    const { runs, spans } = await layout();
    const q = await buffer(TOKENS, nHeads * headDim);
    const parts = [await buffer(TOKENS, width), await buffer(TOKENS, width)];
    const caches = [0, 1].map(() => draws.tensor('usual', SLOTS, capacity, width));
    const shared = { tokens: TOKENS, slots: SLOTS, qFrom: FROM, scale: 0.5 };
    const sizes = { ...shared, capacity, nHeads, nKvHeads, headDim };
    const kernel = (spec: KernelSpec, ...args: Handle[]) => device.newKernel(spec).run(...args);
    const grown: Handle[] = [];
    for (const i of [0, 1]) {
      const old = await put(caches[i].data, width, capacity, SLOTS);
      grown.push(await kernel(attention.appendToCache(sizes, FROM), old, parts[i].handle, spans));
    }
    const scores = await kernel(attention.attentionScores(sizes), q.handle, grown[0], runs);
    const largest = await kernel(attention.attentionLargest(sizes), scores, runs);
    const e = await kernel(attention.attentionExponentials(sizes), scores, largest, runs);
    const total = await kernel(attention.attentionTotal(sizes), e, runs);
    const y = await run(attention.attentionRead(sizes), e, total, grown[1], runs);
    const now = [await device.read(grown[0]), await device.read(grown[1])];
    SPANS.forEach(({ begin, count, position }, slot) => {
      const [keys, values] = [0, 1].map((i) => {
        const cache = rowsFrom(caches[i], slot, 1).data;
        cache.set(inside(parts[i].all, begin, [1, count, width]).data, position * width);
        const own = now[i].subarray(slot * cache.length, (slot + 1) * cache.length);
        expect(own).toEqual(Float32Array.from(cache)); // and nothing behind the new rows
        const length = position + count;
        return tensor([1, length, nKvHeads, headDim], cache.slice(0, length * width));
      });
      if (count === 0) return;
      const own = inside(q.all, begin, [1, count, nHeads, headDim]);
      const want = ops.attention({ q: own, keys, values, scale: 0.5 }).y.data;
      const at = nHeads * headDim;
      expectNear(y.subarray(begin * at, (begin + count) * at), want);
    });
  });

  it('read columns from where they start, and leave the others alone', async () => {
    const x = await buffer(TOKENS, 4);
    const residual = draws.tensor('usual', TOKENS, 3);
    const weight = draws.tensor('usual', 3, 4);
    const w = await put(swapLast(weight.data, 1, 3, 4), 3, 4);
    const sizes = { tokens: TOKENS, dIn: 4, dOut: 3, xFrom: FROM, hasBias: false };
    const spec = linear({ ...sizes, hasResidual: true });
    const added = await run(spec, x.handle, w, await put(residual.data, 3, TOKENS));
    const own = inside(x.all, 0, [1, TOKENS, 4]);
    const { y } = ops.linear({ x: { data: own.data, shape: [TOKENS, 4] }, weight });
    expectNear(
      added,
      y.data.map((v, i) => v + residual.data[i]),
    );

    const cos = await put(new Float32Array(TOKENS), 1, TOKENS);
    const sin = await put(new Float32Array(TOKENS).fill(1), 1, TOKENS);
    const turn = { tokens: TOKENS, nHeads: 2, headDim: 2, nPairs: 1, xFrom: FROM };
    const turned = await run(rope({ ...turn, pairing: 'half' }), x.handle, cos, sin);
    expectNear(
      turned,
      own.data.map((_, i) => (i % 2 ? own.data[i - 1] : -own.data[i + 1])),
    );
  });
});
