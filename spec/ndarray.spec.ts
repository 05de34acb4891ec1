import ndarray from 'ndarray';
import { expect, it } from 'vitest';
import { type FloatArray, fromNdarray, ops, toNdarray } from '../lib/ndarray.ts';
import { expectSameBits } from '../lib/verify/compare.ts';
import { Draws } from '../lib/verify/values.ts';
import { ops as reference } from '../reference/ops.ts';
import { type Tensor, toPrecision } from '../reference/tensor.ts';
import { SEED } from './support.ts';

const draws = new Draws(SEED);
const drawn = (...shape: number[]) => draws.tensor('usual', ...shape);

/** A view of the same numbers whose axes lie in memory in reverse order, spread out, and off the start. */
function scattered(t: Tensor): FloatArray {
  const stride: number[] = [];
  let width = 2;
  for (const n of t.shape) {
    stride.push(width);
    width *= n;
  }
  const isSingle = t.data instanceof Float32Array;
  const data = isSingle ? new Float32Array(width + 3) : new Float64Array(width + 3);
  data.fill(Number.NaN);
  const view = ndarray(data as Float64Array, [...t.shape], stride, 3);
  const index = t.shape.map(() => 0);
  for (const x of t.data) {
    view.set(...index, x);
    for (let axis = index.length - 1; axis >= 0 && ++index[axis] === t.shape[axis]; axis--) {
      index[axis] = 0;
    }
  }
  return view;
}

function expectSame(got: FloatArray, want: Tensor): void {
  expect(typeof got.get).toBe('function');
  expect(got.data.constructor).toBe(want.data.constructor);
  expectSameBits('y', fromNdarray(got), want);
}

it.each(['float64', 'float32'] as const)(
  'a scattered view of any rank is compacted to the tensor that it shows, in %s',
  (precision) => {
    for (const shape of [[5], [3, 4], [2, 3, 4], [2, 1, 3, 2], [3, 0, 2]]) {
      const t = toPrecision(drawn(...shape), precision);
      const compact = fromNdarray(scattered(t));
      expect(compact.data.constructor).toBe(t.data.constructor);
      expectSameBits('t', compact, t);
    }
  },
);

it('linear takes a transposed matrix for the matrix that it shows', () => {
  const [x, weight] = [drawn(3, 4), drawn(5, 4)];
  const transposed = ndarray(x.data as Float64Array, [3, 4]).transpose(1, 0);
  const [square, other] = [fromNdarray(transposed), drawn(2, 3)];
  expectSame(
    ops.linear({ x: transposed, weight: other }).y,
    reference.linear({ x: square, weight: other }).y,
  );
  expectSame(
    ops.linear({ x: scattered(x), weight: scattered(weight) }).y,
    reference.linear({ x, weight }).y,
  );
});

it('linear takes rows that are stepped over, reversed or cut off', () => {
  const weight = drawn(2, 3);
  const base = ndarray(drawn(6, 5).data as Float64Array, [6, 5]);
  for (const view of [
    base.step(-1, 2).hi(6, 3),
    base.lo(2, 1).hi(3, 3),
    base.hi(4, 3).step(2, -1),
  ]) {
    const x = fromNdarray(view);
    for (let i = 0; i < view.shape[0]; i++) expect(x.data[3 * i + 1]).toBe(view.get(i, 1));
    expectSame(ops.linear({ x: view, weight }).y, reference.linear({ x, weight }).y);
  }
});

it('ssdStep takes scattered inputs of every rank, and gives every tensor of its output as an ndarray', () => {
  const plain = {
    x: drawn(2, 4, 3),
    dtRaw: drawn(2, 4),
    A: draws.tensorBetween(-2, -0.1, 4),
    B: drawn(2, 2, 5),
    C: drawn(2, 2, 5),
    D: drawn(4, 3),
    h: drawn(2, 4, 3, 5),
  };
  const views = {
    x: scattered(plain.x),
    dtRaw: scattered(plain.dtRaw),
    A: scattered(plain.A),
    B: scattered(plain.B),
    C: scattered(plain.C),
    D: scattered(plain.D),
    h: scattered(plain.h),
  };
  const [got, want] = [ops.ssdStep(views), reference.ssdStep(plain)];
  expectSame(got.y, want.y);
  expectSame(got.h, want.h);
});

it('one ndarray among tensors is enough for ndarrays to come out', () => {
  const [x, weight] = [drawn(3, 4), drawn(2, 4)];
  const want = reference.linear({ x, weight }).y;
  expectSame(ops.linear({ x, weight: toNdarray(weight) }).y, want);
  expectSame(ops.linear({ x: toNdarray(x), weight }).y, want);
});

it('tensors alone give tensors, not ndarrays', () => {
  const [x, weight] = [drawn(3, 4), drawn(2, 4)];
  const { y } = ops.linear({ x, weight });
  expect(Object.keys(y).sort()).toEqual(['data', 'shape']);
  expectSameBits('y', y, reference.linear({ x, weight }).y);
});

it('outputs that are no tensors stay as they are', () => {
  const logits = drawn(3, 6);
  const view = { logits: scattered(logits), u: [0.1, 0.5, 0.9] };
  expect(ops.chooseToken(view)).toEqual(reference.chooseToken({ ...view, logits }));
});

it('an ndarray of the wrong shape is refused like a tensor of that shape', () => {
  const view = scattered(drawn(3, 4));
  expect(() => ops.linear({ x: view, weight: drawn(2, 3) })).toThrow(
    /^linear: weight: expected shape .* got \[2, 3\]/,
  );
});
