/** Upstream's causal convolutions in terms of ours, and back. */

import type { CausalConv1dInput } from '../../../reference/causalConv1d.ts';
import { type Tensor, zeros } from '../../../reference/tensor.ts';
import type { Adapter, GoldenCase } from './case.ts';
import { permute, slice, stack, withShape } from './layout.ts';
import type { Translation } from './translation.ts';

function activation(c: GoldenCase): 'silu' | 'identity' {
  const name = c.text('activation');
  return name === 'silu' || name === 'swish' ? 'silu' : 'identity';
}

/** Our input of a case of causal_conv1d: x (B, D, L). */
export function causalConv1dInput(c: GoldenCase): CausalConv1dInput {
  return {
    x: permute(c.tensor('x'), 'bdl', 'bld'),
    weight: c.tensor('weight'),
    bias: c.optional('bias'),
    activation: activation(c),
    convState: c.optional('initial_states'),
  };
}

/** causal_conv1d. */
export const causalConv1d: Adapter = async (c, run) => {
  const { y, convState } = await run('causalConv1d', causalConv1dInput(c));
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

const namesOf = { silu: 'silu', identity: null } as const;

/** Upstream's kernels have filters of 2 to 4 taps. */
const isUpstreams = ({ weight }: { weight: Tensor }) =>
  weight.shape[1] >= 2 && weight.shape[1] <= 4;

/** causalConv1d as causal_conv1d. */
export const causalConv1dCase: Translation<'causalConv1d'> = {
  names: ['causal_conv1d'],
  isUpstreams,
  write: ({ x, weight, bias, activation, convState }) => ({
    op: 'causal_conv1d',
    tensors: { x: permute(x, 'bld', 'bdl'), weight, bias, initial_states: convState },
    attributes: {
      activation: namesOf[activation],
      width: weight.shape[1],
      return_final_states: true,
    },
  }),
  read: async (answer, { x, weight }) => {
    const [batch, seqlen, channels] = x.shape;
    return {
      y: permute(await answer.tensor('out', batch, channels, seqlen), 'bdl', 'bld'),
      convState: await answer.optional('final_states', batch, channels, weight.shape[1] - 1),
    };
  },
};

/** causalConv1dStep as one step of causal_conv1d_update. */
export const causalConv1dStepCase: Translation<'causalConv1dStep'> = {
  names: ['causal_conv1d_update'],
  isUpstreams,
  write: ({ x, weight, bias, activation, convState }) => ({
    op: 'causal_conv1d_update',
    tensors: { x: withShape(x, 1, ...x.shape), weight, bias, conv_state: convState },
    attributes: {
      activation: namesOf[activation],
      width: weight.shape[1],
      state_len: convState.shape[2],
      tokens_per_step: 1,
      circular: false,
    },
  }),
  read: async (answer, { x, convState }) => {
    const state = await answer.optional('conv_states', 1, ...convState.shape);
    return {
      y: withShape(await answer.tensor('out', 1, ...x.shape), ...x.shape),
      convState: state && withShape(state, ...convState.shape),
    };
  },
};
