/** Ops without a sequence on host arrays, each with the input and output of the reference's op. */

import { ConfigError, SelscanError } from '../../reference/errors.ts';
import type { Ops } from '../../reference/ops.ts';
import type { Tensor } from '../../reference/tensor.ts';
import * as choosing from './choosing.ts';
import { gate } from './columns.ts';
import { embedding } from './embedding.ts';
import type { Handle } from './kernel.ts';
import { linear } from './linear.ts';
import * as norms from './norms.ts';
import * as pointwise from './pointwise.ts';
import { rope } from './rope.ts';
import { isEmpty, type Scope } from './scope.ts';

/** An op in a scope. */
export type ScopedOp<Name extends keyof Ops> = Scoped<
  Parameters<Ops[Name]>[0],
  ReturnType<Ops[Name]>
>;
type Scoped<Input, Output> = (scope: Scope, input: Input) => Promise<Output>;

/** Rows along the last axis. */
function rowSizes({ data, shape }: Tensor): pointwise.RowSizes {
  const width = shape[shape.length - 1] ?? 1;
  return { rows: data.length / width, width };
}

/** silu, sigmoid or softplus. */
export const pointwiseOp =
  (name: 'silu' | 'sigmoid' | 'softplus'): ScopedOp<'silu'> =>
  async (scope, { x }) => {
    if (isEmpty(x)) return { y: x };
    const sizes = rowSizes(x);
    const y = await scope.run(pointwise.pointwise(name, sizes), await scope.rows(x, sizes.width));
    return { y: await scope.take(y, x.shape) };
  };

export const softmaxOp =
  (isLog: boolean): ScopedOp<'softmax'> =>
  async (scope, { x }) => {
    if (isEmpty(x)) return { y: x };
    const sizes = rowSizes(x);
    const rows = await scope.rows(x, sizes.width);
    const largest = await scope.run(pointwise.rowLargest(sizes), rows);
    const total = await scope.run(pointwise.rowTotal(sizes), rows, largest);
    const y = await scope.run(pointwise.softmax(sizes, isLog), rows, largest, total);
    return { y: await scope.take(y, x.shape) };
  };

/** W·x + b of rows that are on the device already. */
async function affine(
  scope: Scope,
  place: string,
  x: Handle,
  { weight, bias, xFrom = 0 }: { weight: Tensor; bias?: Tensor; xFrom?: number },
): Promise<Handle> {
  const [dOut, dIn] = weight.shape;
  const tokens = x.dims[1];
  const hasBias = bias !== undefined;
  const spec = linear({ tokens, dIn, dOut, xFrom, hasBias, hasResidual: false });
  return scope.runIn(
    place,
    spec,
    x,
    await scope.transposed(weight),
    ...(await scope.vectors(bias)),
  );
}

export const linearOp: ScopedOp<'linear'> = async (scope, { x, weight, bias }) => {
  const shape = [x.shape[0], weight.shape[0]];
  const y = await affine(scope, 'y', await scope.rows(x, x.shape[1]), { weight, bias });
  return { y: await scope.take(y, shape) };
};

export const embeddingOp: ScopedOp<'embedding'> = async (scope, { tokens, weight }) => {
  const [vocabRows, dModel] = weight.shape;
  const wrong = Array.from(tokens).find((id) => !Number.isInteger(id) || id < 0 || id >= vocabRows);
  if (wrong !== undefined) {
    throw new ConfigError(`token: expected an id in [0, ${vocabRows}), got ${wrong}`, 'TokenRange');
  }
  const shape = [tokens.length, dModel];
  if (tokens.length === 0) return { y: { data: new Float32Array(0), shape } };
  const ids = await scope.put(Float32Array.from(tokens), tokens.length);
  const spec = embedding({ tokens: tokens.length, dModel });
  return { y: await scope.take(await scope.run(spec, ids, await scope.transposed(weight)), shape) };
};

const normOp =
  (isLayer: boolean): ScopedOp<'rmsNorm'> =>
  async (scope, { x, weight, bias, eps }) => {
    const [tokens, width] = x.shape;
    const sizes = { tokens, width, xFrom: 0, eps };
    const rows = await scope.rows(x, width);
    const mean = isLayer ? [await scope.run(norms.mean(sizes), rows)] : [];
    const reduce = isLayer ? norms.inverseDeviation(sizes) : norms.inverseRms(sizes);
    const scale = await scope.run(reduce, rows, ...mean);
    const spec = norms.scaled(sizes, { hasMean: isLayer, hasBias: bias !== undefined });
    const rest = [...(await scope.vectors(weight)), ...mean, ...(await scope.vectors(bias))];
    return { y: await scope.take(await scope.run(spec, rows, scale, ...rest), x.shape) };
  };
export const rmsNormOp = normOp(false);
export const layerNormOp = normOp(true);

export const gatedRmsNormOp: ScopedOp<'gatedRmsNorm'> = async (scope, input) => {
  const { x, z, weight, bias, eps, normBeforeGate = false } = input;
  const [tokens, width] = x.shape;
  const gateSizes = { tokens, width, valueFrom: 0, gateFrom: 0, hasBias: false };
  const zRows = z ? [await scope.rows(z, width)] : [];
  let rows = await scope.rows(x, width);
  if (z && !normBeforeGate) rows = await scope.run(gate(gateSizes), rows, ...zRows);
  const groupSize = input.groupSize ?? width;
  const sizes = { tokens, width, xFrom: 0, zFrom: 0, eps, groupSize, normBeforeGate };
  const scale = await scope.run(norms.groupInverseRms(sizes), rows);
  const hasZ = z !== undefined && normBeforeGate;
  const spec = norms.groupScaled(sizes, { hasZ, hasBias: bias !== undefined });
  const late = hasZ ? zRows : [];
  const [w, ...b] = await scope.vectors(weight, bias);
  return { y: await scope.take(await scope.run(spec, rows, scale, w, ...late, ...b), x.shape) };
};

export const swigluMlpOp: ScopedOp<'swigluMlp'> = async (scope, input) => {
  const { x, gateWeight, gateBias, upWeight, upBias, downWeight, downBias } = input;
  const rows = await scope.rows(x, x.shape[1]);
  const open = await affine(scope, 'gate', rows, { weight: gateWeight, bias: gateBias });
  const up = await affine(scope, 'up', rows, { weight: upWeight, bias: upBias });
  const [tokens, width] = [x.shape[0], gateWeight.shape[0]];
  const sizes = { tokens, width, valueFrom: 0, gateFrom: 0, hasBias: false };
  const hidden = await scope.run(gate(sizes), up, open);
  const y = await affine(scope, 'down', hidden, { weight: downWeight, bias: downBias });
  return { y: await scope.take(y, [tokens, downWeight.shape[0]]) };
};

export const gatedMlpOp: ScopedOp<'gatedMlp'> = async (scope, input) => {
  const { x, fc1Weight, fc1Bias, fc2Weight, fc2Bias } = input;
  const rows = await scope.rows(x, x.shape[1]);
  const both = await affine(scope, 'fc1', rows, { weight: fc1Weight, bias: fc1Bias });
  const [tokens, width] = [x.shape[0], fc1Weight.shape[0] / 2];
  const sizes = { tokens, width, valueFrom: 0, gateFrom: width, hasBias: false };
  const hidden = await scope.run(gate(sizes), both, both);
  const y = await affine(scope, 'fc2', hidden, { weight: fc2Weight, bias: fc2Bias });
  return { y: await scope.take(y, [tokens, fc2Weight.shape[0]]) };
};

export const ropeOp: ScopedOp<'rope'> = async (scope, { x, angles, pairing = 'half' }) => {
  const [batch, seqlen, nHeads, headDim] = x.shape;
  const nPairs = angles.shape[1];
  if (isEmpty(x)) return { y: x };
  const tokens = batch * seqlen;
  const ofEvery = (f: (angle: number) => number) =>
    scope.put(
      Float32Array.from({ length: tokens * nPairs }, (_, i) =>
        f(angles.data[i % angles.data.length]),
      ),
      nPairs,
      tokens,
    );
  const spec = rope({ tokens, nHeads, headDim, nPairs, xFrom: 0, pairing });
  const rows = await scope.rows(x, nHeads * headDim);
  const y = await scope.run(spec, rows, await ofEvery(Math.cos), await ofEvery(Math.sin));
  return { y: await scope.take(y, x.shape) };
};

/** Logits on the device, with −1e30 for −∞, which WGSL may take not to exist. */
async function putLogits(scope: Scope, logits: Tensor): Promise<Handle> {
  const [rows, vocabSize] = logits.shape;
  for (let r = 0; r < rows; r++) {
    const row = logits.data.subarray(r * vocabSize, (r + 1) * vocabSize);
    const isBad = row.some((x) => Number.isNaN(x) || x === Number.POSITIVE_INFINITY);
    if (isBad || !row.some((x) => x > Number.NEGATIVE_INFINITY)) {
      throw new SelscanError(
        'NonFiniteLogits',
        `logits: expected numbers, −Infinity for removed tokens, and one that is left, in row ${r}`,
      );
    }
  }
  const finite = Float32Array.from(logits.data, (x) => Math.max(x, -1e30));
  return scope.put(finite, vocabSize, rows);
}

async function likeliest(scope: Scope, logits: Handle, sizes: choosing.LogitSizes) {
  const chunks = await scope.run(choosing.chunkArgmax(sizes), logits);
  return scope.run(choosing.argmax(sizes), logits, chunks);
}

export const greedyTokenOp: ScopedOp<'greedyToken'> = async (scope, { logits }) => {
  const [rows, vocabSize] = logits.shape;
  const best = await likeliest(scope, await putLogits(scope, logits), { rows, vocabSize });
  const tokens = Array.from(await scope.read(best));
  return { tokens, logprobs: tokens.map(() => 0) };
};

export const chooseTokenOp: ScopedOp<'chooseToken'> = async (scope, { logits, u }) => {
  const [rows, vocabSize] = logits.shape;
  const wrong = Array.from({ length: rows }, (_, r) => u[r]).findIndex((x) => !(x >= 0 && x < 1));
  if (wrong >= 0) {
    throw new ConfigError(
      `chooseToken: u: expected a number in [0, 1) for row ${wrong}, got ${u[wrong]}`,
    );
  }
  const sizes = { rows, vocabSize };
  const device = await putLogits(scope, logits);
  const best = await likeliest(scope, device, sizes);
  const weights = await scope.run(choosing.chunkWeights(sizes, 1), device, best);
  const total = await scope.run(choosing.totalWeight(sizes), weights);
  const uniforms = await scope.put(u, rows);
  const chosen = await scope.run(
    choosing.chooseToken(sizes, 1),
    ...[device, best, weights, total, uniforms],
  );
  const tokens = Array.from(await scope.read(chosen));
  const [bests, totals] = [await scope.read(best), await scope.read(total)];
  const logprobs = tokens.map((token, r) => {
    const at = r * vocabSize;
    return logits.data[at + token] - logits.data[at + bests[r]] - Math.log(totals[r]);
  });
  return { tokens, logprobs };
};
