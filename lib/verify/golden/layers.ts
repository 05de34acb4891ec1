/** Upstream's convolutions, norms, attention and MLPs in terms of ours. */

import { logSigmoid, mapElements } from '../../../reference/activations.ts';
import { exp } from '../../../reference/elementary.ts';
import { type Tensor, zeros } from '../../../reference/tensor.ts';
import type { Adapter, GoldenCase, Outputs } from './case.ts';
import { permute, slice, stack, withShape } from './layout.ts';

function activation(c: GoldenCase): 'silu' | 'identity' {
  const name = c.text('activation');
  return name === 'silu' || name === 'swish' ? 'silu' : 'identity';
}

/** causal_conv1d: x (B, D, L). */
export const causalConv1d: Adapter = async (c, run) => {
  const { y, convState } = await run('causalConv1d', {
    x: permute(c.tensor('x'), 'bdl', 'bld'),
    weight: c.tensor('weight'),
    bias: c.optional('bias'),
    activation: activation(c),
    convState: c.optional('initial_states'),
  });
  return { out: permute(y, 'bld', 'bdl'), final_states: convState };
};

/**
 * causal_conv1d_update: one or several tokens a step; upstream's cache holds stateLen ≥ dConv − 1 columns,
 * in order or as a ring that begins where cache_seqlens says.
 */
export const causalConv1dUpdate: Adapter = async (c, run) => {
  const x = c.tensor('x');
  const weight = c.tensor('weight');
  const kept = weight.shape[1] - 1;
  const cache = { data: c.tensor('conv_state').data.slice(), shape: c.tensor('conv_state').shape };
  const [batch, channels, stateLen] = cache.shape;
  const [steps] = x.shape;
  const tokens = x.shape.length === 4 ? x.shape[3] : 1;
  const lengths = c.optionalIntegers('cache_seqlens')?.data.slice();
  /** Column of the cache that holds the input `ago` tokens before the next one, ago ≥ 1. */
  const column = (b: number, ago: number) =>
    lengths ? (((lengths[b] - ago) % stateLen) + stateLen) % stateLen : stateLen - ago;
  const outs: Tensor[] = [];
  const states: Tensor[] = [];
  for (let step = 0; step < steps; step++) {
    const xStep = permute(withShape(slice(x, step), batch, channels, tokens), 'bdl', 'bld');
    const before = { data: zeros(batch * channels * kept, x.data), shape: [batch, channels, kept] };
    for (let row = 0; row < batch * channels; row++) {
      for (let k = 0; k < kept; k++) {
        const from = column(Math.floor(row / channels), kept - k);
        before.data[row * kept + k] = cache.data[row * stateLen + from];
      }
    }
    const { y } = await run('causalConv1d', {
      x: xStep,
      weight,
      bias: c.optional('bias'),
      activation: activation(c),
      convState: before,
    });
    for (let t = 0; t < tokens; t++) {
      for (let b = 0; b < batch; b++) {
        for (let d = 0; d < channels; d++) {
          const row = cache.data.subarray(
            (b * channels + d) * stateLen,
            (b * channels + d + 1) * stateLen,
          );
          const value = xStep.data[(b * tokens + t) * channels + d];
          if (lengths) row[(lengths[b] + t) % stateLen] = value;
          else {
            row.copyWithin(0, 1);
            row[stateLen - 1] = value;
          }
        }
      }
    }
    lengths?.forEach((length, b) => {
      lengths[b] = length + tokens;
    });
    outs.push(withShape(permute(y, 'bld', 'bdl'), ...x.shape.slice(1)));
    states.push({ data: cache.data.slice(), shape: cache.shape });
  }
  return { out: stack(outs), conv_states: stack(states) };
};

/** causal_conv1d_varlen_states: the last inputs of sequences packed one after another. */
export const causalConv1dVarlenStates: Adapter = async (c, run) => {
  const x = c.tensor('x');
  const channels = x.shape[1];
  const ends = c.integers('cu_seqlens').data;
  const stateLen = c.number('state_len');
  const states: Tensor[] = [];
  for (let i = 0; i + 1 < ends.length; i++) {
    const rows = x.data.subarray(ends[i] * channels, ends[i + 1] * channels);
    const { convState } = await run('causalConv1d', {
      x: { data: rows, shape: [1, ends[i + 1] - ends[i], channels] },
      // any filter one wider than the state that is wanted
      weight: { data: zeros(channels * (stateLen + 1), x.data), shape: [channels, stateLen + 1] },
      activation: 'identity',
    });
    states.push(slice(convState, 0));
  }
  return { states: stack(states) };
};

function asRows(t: Tensor): Tensor {
  const width = t.shape[t.shape.length - 1];
  return withShape(t, t.data.length / width, width);
}

function like(t: Tensor, shape: readonly number[]): Tensor {
  return withShape(t, ...shape);
}

/** rmsnorm and layernorm, with upstream's optional residual added before. */
const norm =
  (op: 'rmsNorm' | 'layerNorm'): Adapter =>
  async (c, run) => {
    const x = c.tensor('x');
    const residual = c.optional('residual');
    const sum = residual ? { data: x.data.map((v, i) => v + residual.data[i]), shape: x.shape } : x;
    const eps = c.number('eps', 1e-5);
    const { y } = await run(op, {
      x: asRows(sum),
      weight: c.tensor('weight'),
      bias: c.optional('bias'),
      eps,
    });
    return { out: like(y, x.shape), residual_out: sum };
  };
export const rmsNorm = norm('rmsNorm');
export const layerNorm = norm('layerNorm');

/** rmsnorm_gated: (…, width), grouped, gate before or after. */
export const gatedRmsNorm: Adapter = async (c, run) => {
  const x = c.tensor('x');
  const z = c.optional('z');
  const { y } = await run('gatedRmsNorm', {
    x: asRows(x),
    z: z && asRows(z),
    weight: c.tensor('weight'),
    bias: c.optional('bias'),
    eps: c.number('eps', 1e-5),
    groupSize: typeof c.attribute('group_size') === 'number' ? c.number('group_size') : undefined,
    normBeforeGate: c.boolean('norm_before_gate', true),
  });
  return { out: like(y, x.shape) };
};

/** swiglu_mlp. */
export const swigluMlp: Adapter = async (c, run) => {
  const x = c.tensor('x');
  const { y } = await run('swigluMlp', {
    x: asRows(x),
    gateWeight: c.tensor('gate_proj.weight'),
    gateBias: c.optional('gate_proj.bias'),
    upWeight: c.tensor('up_proj.weight'),
    upBias: c.optional('up_proj.bias'),
    downWeight: c.tensor('down_proj.weight'),
    downBias: c.optional('down_proj.bias'),
  });
  return { out: like(y, [...x.shape.slice(0, -1), y.shape[1]]) };
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
