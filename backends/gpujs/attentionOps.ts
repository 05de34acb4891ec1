/** Attention over a whole cache on host arrays. */

import type { Tensor } from '../../reference/tensor.ts';
import * as attention from './attention.ts';
import type { Handle } from './kernel.ts';
import type { ScopedOp } from './rowOps.ts';
import { type Scope, zeros } from './scope.ts';

export const attentionOp: ScopedOp<'attention'> = async (scope, input) => {
  const { q, keys, values, isCausal = true, withWeights = false } = input;
  const [batch, seqlen, nHeads, headDim] = q.shape;
  const [, length, nKvHeads] = keys.shape;
  const tokens = batch * seqlen;
  if (q.data.length === 0 || keys.data.length === 0) return { y: zeros(...q.shape) };
  const scale = input.scale ?? 1 / Math.sqrt(headDim);
  const sizes = {
    tokens,
    slots: batch,
    capacity: length,
    nHeads,
    nKvHeads,
    headDim,
    scale,
    qFrom: 0,
  };
  const seen = (t: number) => (isCausal ? Math.max(t + 1 + length - seqlen, 0) : length);
  const places = Array.from({ length: tokens }, (_, i) => [
    Math.floor(i / seqlen),
    i % seqlen,
    seen(i % seqlen),
  ]);
  const runs = await scope.put(places.flat(), 3, tokens);
  const cache = (t: Tensor) => scope.put(t.data, nKvHeads * headDim, length, batch);
  const queries = await scope.rows(q, nHeads * headDim);
  const scores = await scope.run(
    attention.attentionScores(sizes),
    queries,
    await cache(keys),
    runs,
  );
  const largest = await scope.run(attention.attentionLargest(sizes), scores, runs);
  const exponentials = await scope.run(
    attention.attentionExponentials(sizes),
    scores,
    largest,
    runs,
  );
  const total = await scope.run(attention.attentionTotal(sizes), exponentials, runs);
  const read = attention.attentionRead(sizes);
  const y = await scope.run(read, exponentials, total, await cache(values), runs);
  const shares = { exponentials, total, shape: [batch, nHeads, seqlen, length] };
  return {
    y: await scope.take(y, q.shape),
    ...(withWeights && { weights: await takeWeights(scope, shares) }),
  };
};

/** Weights (batch, nHeads, seqlen, length) from exponentials (batch·seqlen, nHeads, length) and their sums. */
async function takeWeights(
  scope: Scope,
  { exponentials, total, shape }: { exponentials: Handle; total: Handle; shape: number[] },
): Promise<Tensor> {
  const [batch, nHeads, seqlen, length] = shape;
  const [e, sums] = [await scope.read(exponentials), await scope.read(total)];
  const weights = zeros(...shape);
  for (let b = 0; b < batch; b++) {
    for (let i = 0; i < nHeads; i++) {
      for (let t = 0; t < seqlen; t++) {
        const from = (b * seqlen + t) * nHeads + i;
        const to = ((b * nHeads + i) * seqlen + t) * length;
        const sum = sums[from];
        for (let j = 0; j < length && sum > 0; j++)
          weights.data[to + j] = e[from * length + j] / sum;
      }
    }
  }
  return weights;
}

export const attentionStepOp: ScopedOp<'attentionStep'> = async (scope, input) => {
  const { data, shape } = input.q;
  const q = { data, shape: [shape[0], 1, ...shape.slice(1)] };
  const { y, weights } = await attentionOp(scope, { ...input, q, isCausal: true });
  const ofToken = weights && {
    data: weights.data,
    shape: weights.shape.filter((_, axis) => axis !== 2),
  };
  return { y: { data: y.data, shape }, ...(ofToken && { weights: ofToken }) };
};
