/** Upstream's convolutions, norms, attention and MLPs in terms of ours. */

import { logSigmoid, mapElements } from '../../../reference/activations.ts';
import { attentionMixer } from '../../../reference/attentionMixer.ts';
import type { AttentionConfig } from '../../../reference/config.ts';
import { cos, exp, sin } from '../../../reference/elementary.ts';
import { ConfigError } from '../../../reference/errors.ts';
import { ropeAngles, ropeFrequencies } from '../../../reference/rope.ts';
import type { LayerState } from '../../../reference/state.ts';
import { type Tensor, zeros } from '../../../reference/tensor.ts';
import { readRope } from '../../checkpoint/families/shared.ts';
import { Fields } from '../../checkpoint/fields.ts';
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

/** A case's attributes in the place of a config file. */
function ropeOf(c: GoldenCase, rotaryDim: number): AttentionConfig['rope'] {
  const object = new Map(
    (['rope_theta', 'rope_scaling'] as const).map((key) => [key, c.attribute(key) ?? null]),
  );
  return readRope(new Fields(object, c.name), rotaryDim);
}

function frequenciesOf(c: GoldenCase): Float64Array {
  const rope = ropeOf(c, c.number('head_dim'));
  if (!rope) throw new ConfigError(`${c.name}: expected rope_theta`, 'CaseInput');
  return ropeFrequencies(rope);
}

/** rope_inv_freq. */
export const ropeInvFreq: Adapter = async (c) => {
  const frequencies = frequenciesOf(c);
  return { inv_freq: { data: frequencies, shape: [frequencies.length] } };
};

/** rope_apply: q (B, H, L, hd), k (B, Hkv, L, hd), positions (B or 1, L). */
export const ropeApply: Adapter = async (c, run) => {
  const q = c.tensor('q');
  const k = c.tensor('k');
  const [batch, , seqlen] = q.shape;
  const positions = c.integers('position_ids');
  const precision = q.data instanceof Float32Array ? 'float32' : 'float64';
  const frequencies = frequenciesOf(c);
  const rows = Array.from({ length: positions.shape[0] }, (_, b) =>
    ropeAngles(positions.data.slice(b * seqlen, (b + 1) * seqlen), frequencies, precision),
  );
  const rotate = async (t: Tensor) => {
    const parts: Tensor[] = [];
    for (let b = 0; b < batch; b++) {
      const x = permute(withShape(slice(t, b), 1, ...t.shape.slice(1)), 'bhld', 'blhd');
      const { y } = await run('rope', { x, angles: rows[rows.length === 1 ? 0 : b] });
      parts.push(slice(permute(y, 'blhd', 'bhld'), 0));
    }
    return stack(parts);
  };
  // upstream's tables repeat the angles for both halves of a head
  const table = (f: (angle: number) => number) =>
    stack(
      rows.map((angles) => {
        const pairs = frequencies.length;
        const data = zeros(seqlen * 2 * pairs, q.data);
        for (let i = 0; i < data.length; i++) {
          data[i] = f(angles.data[Math.floor(i / (2 * pairs)) * pairs + (i % pairs)]);
        }
        return { data, shape: [seqlen, 2 * pairs] };
      }),
    );
  return { cos: table(cos), sin: table(sin), q_rot: await rotate(q), k_rot: await rotate(k) };
};

/** rope_flash: x (B, L, H, hd) and ready-made angles. */
export const ropeFlash: Adapter = async (c, run) => {
  const pairing = c.boolean('interleaved') ? 'interleaved' : 'half';
  const { y } = await run('rope', { x: c.tensor('x'), angles: c.tensor('angles'), pairing });
  return { out: y };
};

/** attention: q (B, H, Lq, hd), k and v (B, Hkv, Lk, hd), out (B, Lq, H, hd). */
export const attention: Adapter = async (c, run) => {
  const { y, weights } = await run('attention', {
    q: permute(c.tensor('q'), 'bhld', 'blhd'),
    keys: permute(c.tensor('k'), 'bhld', 'blhd'),
    values: permute(c.tensor('v'), 'bhld', 'blhd'),
    isCausal: c.boolean('causal', true),
    ...(typeof c.attribute('scale') === 'number' && { scale: c.number('scale') }),
    withWeights: true,
  });
  return { out: y, ...(weights && { weights }) };
};

/** llama_attention: the whole layer, at once and with a cache. */
export const llamaAttention: Adapter = async (c) => {
  const hidden = c.tensor('hidden');
  const [batch, seqlen, dModel] = hidden.shape;
  const nHeads = c.number('num_attention_heads');
  const nKvHeads = c.number('num_key_value_heads', nHeads);
  const headDim = c.number('head_dim', dModel / nHeads);
  const rope = ropeOf(c, headDim);
  const hasBias = c.optional('q_proj.bias') !== undefined;
  const config: AttentionConfig = {
    kind: 'attention',
    nHeads,
    nKvHeads,
    headDim,
    rope,
    hasQkvBias: hasBias,
    hasOutBias: hasBias,
  };
  const weights = {
    inProj: joinRows(['q', 'k', 'v'].map((name) => c.tensor(`${name}_proj.weight`))),
    ...(hasBias && {
      inProjBias: joinRows(['q', 'k', 'v'].map((name) => c.tensor(`${name}_proj.bias`))),
    }),
    outProj: c.tensor('o_proj.weight'),
    outProjBias: c.optional('o_proj.bias'),
  };
  const frequencies = rope && ropeFrequencies(rope);
  const newLayerState = (): LayerState => {
    const cache = () => ({ data: zeros(0, hidden.data), length: 0, width: nKvHeads * headDim });
    return { keys: cache(), values: cache() };
  };
  /** Runs row b in calls of the given lengths. */
  const runRow = (b: number, lengths: readonly number[]) => {
    const state = newLayerState();
    const rows = slice(hidden, b);
    const outs = zeros(seqlen * dModel, hidden.data);
    let position = 0;
    for (const length of lengths) {
      const from = position * dModel;
      const u = { data: rows.data.slice(from, from + length * dModel), shape: [length, dModel] };
      outs.set(attentionMixer({ u, weights, config, state, position, frequencies }).data, from);
      position += length;
    }
    return { out: { data: outs, shape: [seqlen, dModel] }, state };
  };
  const prefillLen = c.number('prefill_len', seqlen);
  const inSteps = [prefillLen, ...Array.from({ length: seqlen - prefillLen }, () => 1)];
  const rows = Array.from({ length: batch }, (_, b) => b);
  const cached = rows.map((b) => runRow(b, inSteps));
  const cache = (name: 'keys' | 'values') =>
    stack(
      cached.map(({ state }) => {
        const data = (state[name] as NonNullable<LayerState['keys']>).data.slice(
          0,
          seqlen * nKvHeads * headDim,
        );
        return slice(permute({ data, shape: [1, seqlen, nKvHeads, headDim] }, 'blhd', 'bhld'), 0);
      }),
    );
  return {
    out_full: stack(rows.map((b) => runRow(b, [seqlen]).out)),
    out_cached: stack(cached.map(({ out }) => out)),
    cache_k: cache('keys'),
    cache_v: cache('values'),
  };
};

/** Puts matrices (or vectors) of one width below each other. */
function joinRows(parts: readonly Tensor[]): Tensor {
  const rows = parts.reduce((sum, t) => sum + t.shape[0], 0);
  const data = zeros(
    parts.reduce((sum, t) => sum + t.data.length, 0),
    parts[0].data,
  );
  let at = 0;
  for (const part of parts) {
    data.set(part.data, at);
    at += part.data.length;
  }
  return { data, shape: [rows, ...parts[0].shape.slice(1)] };
}

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
