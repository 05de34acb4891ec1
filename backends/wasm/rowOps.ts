/** Ops without a sequence on host arrays, each with the input and output of the reference's op. */

import { ConfigError, SelscanError } from '../../reference/errors.ts';
import type { Ops } from '../../reference/ops.ts';
import type { Tensor } from '../../reference/tensor.ts';
import * as abi from './abi.ts';
import { packPanels, panelsSize } from './packing.ts';
import type { Parameter } from './program.ts';
import type { Rows, Scope } from './scope.ts';
import { choiceScratch, linearScratch } from './scratch.ts';

/** An op in a scope. */
export type ScopedOp<Name extends keyof Ops> = (
  scope: Scope,
  input: Parameters<Ops[Name]>[0],
) => ReturnType<Ops[Name]>;

const real = (value: number): Parameter => ({ real: value });

const pointwiseOp =
  (kind: number): ScopedOp<'silu'> =>
  (scope, { x }) => {
    const count = x.data.length;
    const y = scope.output('y', 1, count);
    scope.run({}, [abi.POINTWISE, kind, scope.put('x', x.data), y.at[0], count]);
    return { y: scope.take(y, x.shape) };
  };
export const siluOp = pointwiseOp(abi.POINTWISE_SILU);
export const sigmoidOp = pointwiseOp(abi.POINTWISE_SIGMOID);
export const softplusOp = pointwiseOp(abi.POINTWISE_SOFTPLUS);

const softmaxOpOf =
  (isLog: boolean): ScopedOp<'softmax'> =>
  (scope, { x }) => {
    const width = x.shape.at(-1) ?? 1;
    const own = scope.rows('x', x, width);
    const y = scope.output('y', own.rows, width);
    scope.run({ tokens: own.rows }, [abi.SOFTMAX, Number(isLog), ...own.at, width, ...y.at]);
    return { y: scope.take(y, x.shape) };
  };
export const softmaxOp = softmaxOpOf(false);
export const logSoftmaxOp = softmaxOpOf(true);

/** A matrix in panels. */
function panels(scope: Scope, name: string, { data, shape: [dOut, dIn] }: Tensor): number {
  return scope.packed(name, panelsSize(dOut, dIn), (to) => packPanels(to, data, dOut, dIn));
}

/** W·x + b of rows that are in memory already. */
function affine(scope: Scope, name: string, x: Rows, weight: Tensor, bias?: Tensor): Rows {
  const [dOut, dIn] = weight.shape;
  const y = scope.output(name, x.rows, dOut);
  const b = scope.vector(`${name}'s bias`, bias);
  const w = panels(scope, `${name}'s weight`, weight);
  const scratch = scope.scratch(linearScratch(x.rows, dIn));
  scope.run({ tokens: x.rows }, [abi.LINEAR, ...x.at, dIn, w, dOut, b, 0, 0, ...y.at, ...scratch]);
  return y;
}

export const linearOp: ScopedOp<'linear'> = (scope, { x, weight, bias }) => {
  const y = affine(scope, 'y', scope.rows('x', x, x.shape[1]), weight, bias);
  return { y: scope.take(y, [x.shape[0], weight.shape[0]]) };
};

export const embeddingOp: ScopedOp<'embedding'> = (scope, { tokens, weight }) => {
  const [vocabRows, dModel] = weight.shape;
  const wrong = Array.from(tokens).find((id) => !Number.isInteger(id) || id < 0 || id >= vocabRows);
  if (wrong !== undefined) {
    throw new ConfigError(`token: expected an id in [0, ${vocabRows}), got ${wrong}`, 'TokenRange');
  }
  const y = scope.output('y', tokens.length, dModel);
  const table = panels(scope, 'weight', weight);
  const call = { tokens: tokens.length, ids: tokens };
  scope.run(call, [abi.EMBEDDING, table, dModel, ...y.at]);
  return { y: scope.take(y, [tokens.length, dModel]) };
};

export const layerNormOp: ScopedOp<'layerNorm'> = (scope, { x, weight, bias, eps }) => {
  const width = x.shape[1];
  const own = scope.rows('x', x, width);
  const y = scope.output('y', own.rows, width);
  const [w, b] = [scope.vector('weight', weight), scope.vector('bias', bias)];
  scope.run({ tokens: own.rows }, [abi.LAYER_NORM, ...own.at, w, b, width, real(eps), ...y.at]);
  return { y: scope.take(y, x.shape) };
};

export const rmsNormOp: ScopedOp<'rmsNorm'> = (scope, input) => {
  const { x, weight, bias, eps } = input;
  if (bias) return gatedRmsNormOp(scope, input); // models' norms have none, nor has their kernel
  const width = x.shape[1];
  const own = scope.rows('x', x, width);
  const y = scope.output('y', own.rows, width);
  const w = scope.vector('weight', weight);
  scope.run({ tokens: own.rows }, [abi.RMS_NORM, ...own.at, w, width, real(eps), ...y.at]);
  return { y: scope.take(y, x.shape) };
};

export const gatedRmsNormOp: ScopedOp<'gatedRmsNorm'> = (scope, input) => {
  const { x, z, weight, bias, eps, normBeforeGate = false } = input;
  const width = x.shape[1];
  const own = scope.rows('x', x, width);
  const gate = z ? scope.rows('z', z, width).at : [0, 0];
  const y = scope.output('y', own.rows, width);
  const sizes = [width, input.groupSize ?? width, real(eps), Number(normBeforeGate)];
  scope.run({ tokens: own.rows }, [
    ...([abi.GATED_RMS_NORM, ...own.at, ...gate, scope.vector('weight', weight)] as const),
    ...[...sizes, ...y.at, scope.vector('bias', bias)],
  ]);
  return { y: scope.take(y, x.shape) };
};

/** value·silu(gate) of columns that are in memory already. */
function gated(scope: Scope, value: Rows, gate: Rows, width: number, gateFrom = 0): Rows {
  const y = scope.output('hidden', value.rows, width);
  const [address, stride] = gate.at;
  const gateAt = [address + 4 * gateFrom, stride];
  scope.run({ tokens: value.rows }, [abi.GATE, ...value.at, ...gateAt, 0, width, ...y.at]);
  return y;
}

export const swigluMlpOp: ScopedOp<'swigluMlp'> = (scope, input) => {
  const { x, gateWeight, gateBias, upWeight, upBias, downWeight, downBias } = input;
  const own = scope.rows('x', x, x.shape[1]);
  const open = affine(scope, 'gate', own, gateWeight, gateBias);
  const up = affine(scope, 'up', own, upWeight, upBias);
  const hidden = gated(scope, up, open, gateWeight.shape[0]);
  const y = affine(scope, 'y', hidden, downWeight, downBias);
  return { y: scope.take(y, [x.shape[0], downWeight.shape[0]]) };
};

export const gatedMlpOp: ScopedOp<'gatedMlp'> = (scope, input) => {
  const { x, fc1Weight, fc1Bias, fc2Weight, fc2Bias } = input;
  const both = affine(scope, 'fc1', scope.rows('x', x, x.shape[1]), fc1Weight, fc1Bias);
  const width = fc1Weight.shape[0] / 2;
  const hidden = gated(scope, both, both, width, width);
  const y = affine(scope, 'y', hidden, fc2Weight, fc2Bias);
  return { y: scope.take(y, [x.shape[0], fc2Weight.shape[0]]) };
};

/** What CHOOSE writes for each row. @throws SelscanError with code NonFiniteLogits. */
function choose(
  scope: Scope,
  logits: Tensor,
  temperature: number,
  u: (row: number) => number,
): Float64Array[] {
  const vocabSize = logits.shape[1];
  const own = scope.rows('logits', logits, vocabSize);
  const draws = scope.room('draws', 2 * abi.DRAW_NUMBERS * own.rows);
  const scratch = scope.scratch(choiceScratch(vocabSize));
  const size = abi.DRAW_NUMBERS;
  const asked = scope.view64(draws, size * own.rows);
  for (let row = 0; row < own.rows; row++) {
    asked[size * row + abi.DRAW_TEMPERATURE] = temperature;
    asked[size * row + abi.DRAW_U] = u(row);
  }
  const sizes = [vocabSize, vocabSize];
  scope.run({ tokens: own.rows }, [abi.CHOOSE, ...own.at, ...sizes, draws, ...scratch, 1]);
  const drawn = scope.view64(draws, size * own.rows).slice();
  return Array.from({ length: own.rows }, (_, row) => {
    const draw = drawn.subarray(size * row, size * (row + 1));
    if (draw[abi.DRAW_TOKEN] >= 0) return draw;
    throw new SelscanError(
      'NonFiniteLogits',
      `logits: expected numbers, −Infinity for removed tokens, and one that is left, in row ${row}`,
    );
  });
}

export const greedyTokenOp: ScopedOp<'greedyToken'> = (scope, { logits }) => {
  const tokens = choose(scope, logits, 0, () => 0).map((draw) => draw[abi.DRAW_TOKEN]);
  return { tokens, logprobs: tokens.map(() => 0) };
};

export const chooseTokenOp: ScopedOp<'chooseToken'> = (scope, { logits, u }) => {
  const [rows] = logits.shape;
  const wrong = Array.from({ length: rows }, (_, r) => u[r]).findIndex((x) => !(x >= 0 && x < 1));
  if (wrong >= 0) {
    throw new ConfigError(
      `chooseToken: u: expected a number in [0, 1) for row ${wrong}, got ${u[wrong]}`,
    );
  }
  const draws = choose(scope, logits, 1, (row) => u[row]);
  return {
    tokens: draws.map((draw) => draw[abi.DRAW_TOKEN]),
    logprobs: draws.map(
      (draw) => draw[abi.DRAW_LOGIT] - draw[abi.DRAW_BEST] - Math.log(draw[abi.DRAW_WEIGHT]),
    ),
  };
};
