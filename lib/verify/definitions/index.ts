/** What every op is, by an independent calculation that knows its own error: the yardstick of all kernels. */

import type { OpName, Ops } from '../../../reference/ops.ts';
import { reshape, type Tensor } from '../../../reference/tensor.ts';
import type { Approx, Calculator } from '../approx.ts';
import { tokenTensors } from '../tokens.ts';
import * as choosing from './choosing.ts';
import * as layers from './layers.ts';
import * as recurrences from './recurrences.ts';

type InputOf<Name extends OpName> = Parameters<Ops[Name]>[0];

/** Outputs of an op by name, element by element. */
export type Defined = Record<string, Approx[]>;
export type Definition<Name extends OpName> = (input: InputOf<Name>, calc: Calculator) => Defined;

/** A step is a sequence of one token. */
function oneToken<Input extends object>(input: Input): Input {
  const sequence = { ...input } as Record<string, unknown>;
  for (const name of tokenTensors(input)) {
    const t = sequence[name] as Tensor;
    sequence[name] = reshape(t, t.shape[0], 1, ...t.shape.slice(1));
  }
  return sequence as Input;
}

/** The definitions. Ops without one choose or count, and have laws of their own. */
export const DEFINITIONS: { readonly [Name in OpName]?: Definition<Name> } = {
  sigmoid: layers.pointwise((calc) => (x) => calc.sigmoid(x)),
  silu: layers.pointwise((calc) => (x) => calc.silu(x)),
  softplus: layers.pointwise((calc) => (x) => calc.softplus(x)),
  softmax: layers.softmax,
  logSoftmax: layers.logSoftmax,
  linear: layers.linear,
  embedding: layers.embedding,
  rmsNorm: layers.rmsNorm,
  layerNorm: layers.layerNorm,
  gatedRmsNorm: layers.gatedRmsNorm,
  swigluMlp: layers.swigluMlp,
  gatedMlp: layers.gatedMlp,
  causalConv1d: layers.causalConv1d,
  causalConv1dStep: (input, calc) => layers.causalConv1d(oneToken(input), calc),
  selectiveScan: (input, calc) => ({ ...recurrences.selectiveScan(input, calc) }),
  selectiveScanStep: (input, calc) => ({
    ...recurrences.selectiveScan(oneToken(input), calc),
  }),
  selectiveScanChunked: (input, calc) => ({ ...recurrences.selectiveScan(input, calc, 'any') }),
  selectiveScanAssociative: (input, calc) => ({ ...recurrences.selectiveScan(input, calc, 'any') }),
  ssd: (input, calc) => ({ ...recurrences.ssd(input, calc) }),
  ssdStep: (input, calc) => ({
    ...recurrences.ssd(oneToken(input), calc),
  }),
  ssdChunked: (input, calc) => ({ ...recurrences.ssd(input, calc, 'any') }),
  ssdAssociative: (input, calc) => ({ ...recurrences.ssd(input, calc, 'any') }),
  discreteSsd: (input, calc) => ({ ...recurrences.discreteSsd(input, calc) }),
  discreteSsdStep: (input, calc) => ({
    ...recurrences.discreteSsd(oneToken(input), calc),
  }),
  discreteSsdChunked: (input, calc) => ({ ...recurrences.discreteSsd(input, calc, 'any') }),
  semiseparableChunked: (input, calc) => ({ ...recurrences.semiseparable(input, calc) }),
  associativeScan: recurrences.associativeScan,
  rope: layers.rope,
  attention: layers.attention,
  attentionStep: (input, calc) => layers.attention({ ...oneToken(input), isCausal: true }, calc),
  filterLogits: choosing.filterLogits,
};
