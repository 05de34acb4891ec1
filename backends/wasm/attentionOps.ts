/** Attention and rotations on host arrays: keys and values go through the paged cache of the executor. */

import type { Tensor } from '../../reference/tensor.ts';
import * as abi from './abi.ts';
import { cachePart } from './cache.ts';
import type { ScopedOp } from './rowOps.ts';
import type { Rows, Scope, Segment } from './scope.ts';
import { attentionScratch } from './scratch.ts';

export const ropeOp: ScopedOp<'rope'> = (scope, { x, angles, pairing = 'half' }) => {
  const [, seqlen, nHeads, headDim] = x.shape;
  const nPairs = angles.shape[1];
  const own = scope.rows('x', x, nHeads * headDim);
  const y = scope.output('y', own.rows, nHeads * headDim);
  const table = scope.packed('angles', 2 * seqlen * nPairs, (to) => {
    angles.data.forEach((angle, i) => {
      const at = Math.floor(i / nPairs) * 2 * nPairs + (i % nPairs);
      to[at] = Math.cos(angle);
      to[at + nPairs] = Math.sin(angle);
    });
  });
  const positions = Array.from({ length: own.rows }, (_, token) => token % seqlen);
  const sizes = [nHeads, headDim, nPairs, Number(pairing === 'interleaved')];
  scope.run({ tokens: own.rows, positions }, [abi.ROPE, ...own.at, table, ...sizes, ...y.at]);
  return { y: scope.take(y, x.shape) };
};

/** Keys and values of all sequences in pages. */
interface Cache {
  readonly length: number;
  /** Address of each sequence's list of pages. */
  readonly tables: readonly number[];
  /** Bytes from the beginning of a page to its values. */
  readonly valuesOffset: number;
}

function fillCache(scope: Scope, keys: Tensor, values: Tensor): Cache {
  const [batch, length, nKvHeads, headDim] = keys.shape;
  const nPages = Math.ceil(length / abi.PAGE_TOKENS);
  const [keysSize, valuesSize] = (['keys', 'values'] as const).map(
    (part) => cachePart(part, nKvHeads, headDim).size,
  );
  // what no token has is NaN, and must not matter
  const pageSize = keysSize + valuesSize;
  const pages = scope.room('pages', batch * nPages * pageSize);
  const tables = Array.from({ length: batch }, (_, b) =>
    scope.words(
      'table of pages',
      Array.from({ length: nPages }, (_, i) => pages + 4 * (b * nPages + i) * pageSize),
    ),
  );
  const segments = tables.map(
    (table, b): Segment => ({
      begin: b * length,
      count: length,
      pages: table,
    }),
  );
  const positions = Array.from({ length: batch * length }, (_, token) => token % length);
  const [k, v] = [keys, values].map((t) => scope.rows('a key or value', t, nKvHeads * headDim));
  const sizes = [nKvHeads, headDim, 0, 4 * keysSize];
  scope.run({ segments, positions }, [abi.APPEND_TO_CACHE, ...k.at, ...v.at, ...sizes]);
  return { length, tables, valuesOffset: 4 * keysSize };
}

export const attentionOp: ScopedOp<'attention'> = (scope, input) => {
  const { q, keys, values, isCausal = true, withWeights = false } = input;
  const [batch, seqlen, nHeads, headDim] = q.shape;
  const [, length, nKvHeads] = keys.shape;
  const cache = fillCache(scope, keys, values);
  const own = scope.rows('q', q, nHeads * headDim);
  const y = scope.output('y', own.rows, nHeads * headDim);
  const scale = input.scale ?? 1 / Math.sqrt(headDim);
  /** The last key that a token sees, −1 for none. */
  const last = (t: number) => (isCausal ? Math.max(t + length - seqlen, -1) : length - 1);
  const segments = cache.tables.map(
    (table, b): Segment => ({
      begin: b * seqlen,
      count: seqlen,
      pages: table,
    }),
  );
  const positions = Array.from({ length: own.rows }, (_, token) => last(token % seqlen));
  const scratch = scope.scratch(attentionScratch({ nHeads, nKvHeads, headDim }, length));
  const sizes = [nHeads, nKvHeads, headDim, { real: scale }, 0, cache.valuesOffset];
  scope.run({ segments, positions }, [abi.ATTENTION, ...own.at, ...sizes, ...scratch, ...y.at]);
  const shape = [batch, nHeads, seqlen, length];
  return {
    y: scope.take(y, q.shape),
    ...(withWeights && {
      weights: weightsOf(scope, { q: own, scale, shape, nKvHeads, headDim, cache, last }),
    }),
  };
};

/** What each query takes from each key: left in scratch by a call for one token and one key/value head. */
function weightsOf(
  scope: Scope,
  of: {
    readonly q: Rows;
    readonly scale: number;
    readonly shape: readonly number[];
    readonly nKvHeads: number;
    readonly headDim: number;
    readonly cache: Cache;
    last(t: number): number;
  },
): Tensor {
  const { q, scale, shape, nKvHeads, headDim, cache } = of;
  const [batch, nHeads, seqlen, length] = shape;
  const group = nHeads / nKvHeads;
  const data = new Float32Array(batch * nHeads * seqlen * length);
  const y = scope.output('y of a head', 1, group * headDim);
  const sizes = { nHeads: group, nKvHeads: 1, headDim };
  const [scratch, perThread] = scope.scratch(attentionScratch(sizes, length));
  for (let token = 0; token < batch * seqlen; token++) {
    const [b, t] = [Math.floor(token / seqlen), token % seqlen];
    const position = of.last(t);
    const padded = Math.ceil((position + 1) / abi.PAGE_TOKENS) * abi.PAGE_TOKENS;
    for (let head = 0; head < nKvHeads; head++) {
      const [address, stride] = q.at;
      const from = address + 4 * (token * stride + head * group * headDim);
      const keys = cachePart('keys', head, headDim).size; // those of the heads before it
      const offsets = [4 * keys, cache.valuesOffset + 4 * cachePart('values', head, headDim).size];
      const segments = [{ begin: 0, count: 1, pages: cache.tables[b] }];
      scope.run({ segments, positions: [position] }, [
        ...([abi.ATTENTION, from, stride, group, 1, headDim, { real: scale }] as const),
        ...[...offsets, scratch, perThread, ...y.at],
      ]);
      for (let i = 0; i < group; i++) {
        const row = (b * nHeads + head * group + i) * seqlen + t;
        const weights = scope.view(scratch + 4 * i * padded, position + 1);
        data.set(weights, row * length);
      }
    }
  }
  return { data, shape };
}

export const attentionStepOp: ScopedOp<'attentionStep'> = (scope, input) => {
  const { data, shape } = input.q;
  const q = { data, shape: [shape[0], 1, ...shape.slice(1)] };
  const { y, weights } = attentionOp(scope, { ...input, q, isCausal: true });
  const ofToken = weights && {
    data: weights.data,
    shape: weights.shape.filter((_, axis) => axis !== 2),
  };
  return { y: { data: y.data, shape }, ...(ofToken && { weights: ofToken }) };
};
