/** Upstream's norms, MLPs and activations in terms of ours, and back. */

import { logSigmoid, mapElements } from '../../../reference/activations.ts';
import { exp } from '../../../reference/elementary.ts';
import type { OpName, Ops } from '../../../reference/ops.ts';
import type { Tensor } from '../../../reference/tensor.ts';
import type { Adapter, GoldenCase, Outputs } from './case.ts';
import { withShape } from './layout.ts';
import type { Answer, Translation } from './translation.ts';

type InputOf<Name extends OpName> = Parameters<Ops[Name]>[0];

/** (…, width) as (rows, width). */
export function asRows(t: Tensor): Tensor {
  const width = t.shape[t.shape.length - 1];
  return withShape(t, t.data.length / width, width);
}

function like(t: Tensor, shape: readonly number[]): Tensor {
  return withShape(t, ...shape);
}

/** The input of rmsnorm and layernorm, with upstream's optional residual added before. */
export function normInput(c: GoldenCase): InputOf<'rmsNorm'> {
  const x = c.tensor('x');
  const residual = c.optional('residual');
  const sum = residual ? { data: x.data.map((v, i) => v + residual.data[i]), shape: x.shape } : x;
  const [weight, bias, eps] = [c.tensor('weight'), c.optional('bias'), c.number('eps', 1e-5)];
  return { x: asRows(sum), weight, bias, eps };
}

/** rmsnorm and layernorm. */
const norm =
  (op: 'rmsNorm' | 'layerNorm'): Adapter =>
  async (c, run) => {
    const { shape } = c.tensor('x');
    const input = normInput(c);
    const { y } = await run(op, input);
    return { out: like(y, shape), residual_out: like(input.x, shape) };
  };
export const rmsNorm = norm('rmsNorm');
export const layerNorm = norm('layerNorm');

/** An op whose one output has the shape of its main input. */
const readLikeX = async (answer: Answer, { x }: { x: Tensor }) => ({
  y: await answer.tensor('out', ...x.shape),
});

/** rmsNorm and layerNorm as rmsnorm and layernorm, without a residual. */
const normCase = (op: 'rmsnorm' | 'layernorm'): Translation<'rmsNorm' | 'layerNorm'> => ({
  names: [op],
  write: ({ x, weight, bias, eps }) => ({
    op,
    tensors: { x, weight, bias },
    attributes: { eps, prenorm_residual: false },
  }),
  read: readLikeX,
});
export const rmsNormCase = normCase('rmsnorm');
export const layerNormCase = normCase('layernorm');

/** The input of rmsnorm_gated: (…, width), grouped, gate before or after. */
export function gatedRmsNormInput(c: GoldenCase): InputOf<'gatedRmsNorm'> {
  const z = c.optional('z');
  return {
    x: asRows(c.tensor('x')),
    z: z && asRows(z),
    weight: c.tensor('weight'),
    bias: c.optional('bias'),
    eps: c.number('eps', 1e-5),
    groupSize: typeof c.attribute('group_size') === 'number' ? c.number('group_size') : undefined,
    normBeforeGate: c.boolean('norm_before_gate', true),
  };
}

/** rmsnorm_gated. */
export const gatedRmsNorm: Adapter = async (c, run) => {
  const { y } = await run('gatedRmsNorm', gatedRmsNormInput(c));
  return { out: like(y, c.tensor('x').shape) };
};

/** gatedRmsNorm as rmsnorm_gated. */
export const gatedRmsNormCase: Translation<'gatedRmsNorm'> = {
  names: ['rmsnorm_gated'],
  write: ({ x, z, weight, bias, eps, groupSize, normBeforeGate = false }) => ({
    op: 'rmsnorm_gated',
    tensors: { x, weight, bias, z },
    attributes: { eps, group_size: groupSize ?? null, norm_before_gate: normBeforeGate },
  }),
  read: readLikeX,
};

/** The input of swiglu_mlp. */
export function swigluMlpInput(c: GoldenCase): InputOf<'swigluMlp'> {
  return {
    x: asRows(c.tensor('x')),
    gateWeight: c.tensor('gate_proj.weight'),
    gateBias: c.optional('gate_proj.bias'),
    upWeight: c.tensor('up_proj.weight'),
    upBias: c.optional('up_proj.bias'),
    downWeight: c.tensor('down_proj.weight'),
    downBias: c.optional('down_proj.bias'),
  };
}

/** swiglu_mlp. */
export const swigluMlp: Adapter = async (c, run) => {
  const { y } = await run('swigluMlp', swigluMlpInput(c));
  return { out: like(y, [...c.tensor('x').shape.slice(0, -1), y.shape[1]]) };
};

/** Rows as (1, rows, width): upstream's MLPs take sequences. */
const asTokens = (x: Tensor) => withShape(x, 1, ...x.shape);

const readTokens = async (answer: Answer, rows: number, dModel: number) => ({
  y: withShape(await answer.tensor('out', 1, rows, dModel), rows, dModel),
});

/** swigluMlp as swiglu_mlp. */
export const swigluMlpCase: Translation<'swigluMlp'> = {
  names: ['swiglu_mlp'],
  write: ({ x, gateWeight, gateBias, upWeight, upBias, downWeight, downBias }) => ({
    op: 'swiglu_mlp',
    tensors: {
      x: asTokens(x),
      'gate_proj.weight': gateWeight,
      'gate_proj.bias': gateBias,
      'up_proj.weight': upWeight,
      'up_proj.bias': upBias,
      'down_proj.weight': downWeight,
      'down_proj.bias': downBias,
    },
    attributes: {},
  }),
  read: (answer, { x, downWeight }) => readTokens(answer, x.shape[0], downWeight.shape[0]),
};

/** gated_mlp_mamba. */
export const gatedMlp: Adapter = async (c, run) => {
  const x = c.tensor('x');
  const { y } = await run('gatedMlp', {
    x: asRows(x),
    fc1Weight: c.tensor('fc1.weight'),
    fc1Bias: c.optional('fc1.bias'),
    fc2Weight: c.tensor('fc2.weight'),
    fc2Bias: c.optional('fc2.bias'),
  });
  return { out: like(y, [...x.shape.slice(0, -1), y.shape[1]]) };
};

/** gatedMlp as gated_mlp_mamba. */
export const gatedMlpCase: Translation<'gatedMlp'> = {
  names: ['gated_mlp_mamba'],
  write: ({ x, fc1Weight, fc1Bias, fc2Weight, fc2Bias }) => ({
    op: 'gated_mlp_mamba',
    tensors: {
      x: asTokens(x),
      'fc1.weight': fc1Weight,
      'fc1.bias': fc1Bias,
      'fc2.weight': fc2Weight,
      'fc2.bias': fc2Bias,
    },
    attributes: { hidden_features_rounded: fc2Weight.shape[1], multiple_of: 1 },
  }),
  read: (answer, { x, fc2Weight }) => readTokens(answer, x.shape[0], fc2Weight.shape[0]),
};

/** activations. */
export const activations: Adapter = async (c, run): Promise<Outputs> => {
  const x = c.tensor('x');
  const { y: softplus } = await run('softplus', { x });
  return {
    softplus,
    silu: (await run('silu', { x })).y,
    sigmoid: (await run('sigmoid', { x })).y,
    exp_neg_softplus: { data: softplus.data.map((v) => exp(-v)), shape: x.shape },
    logsigmoid: { data: mapElements(x.data, logSigmoid), shape: x.shape },
  };
};

/** A pointwise op of ours as activations, of whose outputs it reads its own. */
const activationCase = (name: 'softplus' | 'silu' | 'sigmoid'): Translation<typeof name> => ({
  names: ['activations'],
  write: ({ x }) => ({
    op: 'activations',
    tensors: { x: withShape(x, x.data.length) },
    attributes: { softplus: 'beta=1, threshold=20 (x>20 -> x)' },
  }),
  read: async (answer, { x }) => ({
    y: withShape(await answer.tensor(name, x.data.length), ...x.shape),
  }),
});
export const softplusCase = activationCase('softplus');
export const siluCase = activationCase('silu');
export const sigmoidCase = activationCase('sigmoid');
