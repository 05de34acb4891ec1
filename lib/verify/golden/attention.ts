/** Upstream's attention and rotary embeddings in terms of ours, and back. */

import { attentionMixer } from '../../../reference/attentionMixer.ts';
import type { AttentionConfig } from '../../../reference/config.ts';
import { cos, sin } from '../../../reference/elementary.ts';
import { ConfigError } from '../../../reference/errors.ts';
import type { Ops } from '../../../reference/ops.ts';
import { ropeAngles, ropeFrequencies } from '../../../reference/rope.ts';
import type { LayerState } from '../../../reference/state.ts';
import { type Tensor, zeros } from '../../../reference/tensor.ts';
import { readRope } from '../../checkpoint/families/shared.ts';
import { Fields } from '../../checkpoint/fields.ts';
import type { Adapter, GoldenCase } from './case.ts';
import { permute, slice, stack, withShape } from './layout.ts';
import type { Translation, WrittenCase } from './translation.ts';

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

/** rope as rope_flash. */
export const ropeCase: Translation<'rope'> = {
  names: ['rope_flash'],
  write: ({ x, angles, pairing = 'half' }) => ({
    op: 'rope_flash',
    tensors: { x, angles },
    attributes: { interleaved: pairing === 'interleaved', rotary_dim: 2 * angles.shape[1] },
  }),
  read: async (answer, { x }) => ({ y: await answer.tensor('out', ...x.shape) }),
};

/** The input of attention: q (B, H, Lq, hd), k and v (B, Hkv, Lk, hd). */
export function attentionInput(c: GoldenCase): Parameters<Ops['attention']>[0] {
  return {
    q: permute(c.tensor('q'), 'bhld', 'blhd'),
    keys: permute(c.tensor('k'), 'bhld', 'blhd'),
    values: permute(c.tensor('v'), 'bhld', 'blhd'),
    isCausal: c.boolean('causal', true),
    ...(typeof c.attribute('scale') === 'number' && { scale: c.number('scale') }),
  };
}

/** attention, with out (B, Lq, H, hd). */
export const attention: Adapter = async (c, run) => {
  const { y, weights } = await run('attention', { ...attentionInput(c), withWeights: true });
  return { out: y, ...(weights && { weights }) };
};

/** One case for queries (batch, seqlen, nHeads, headDim), of many tokens or of one. */
function writeAttention(input: Parameters<Ops['attention']>[0]): WrittenCase {
  const { q, keys, values, isCausal = true, scale = 1 / Math.sqrt(q.shape[3]) } = input;
  return {
    op: 'attention',
    tensors: {
      q: permute(q, 'blhd', 'bhld'),
      k: permute(keys, 'blhd', 'bhld'),
      v: permute(values, 'blhd', 'bhld'),
    },
    attributes: {
      causal: isCausal,
      causal_alignment: 'bottom-right (query i sees keys j <= i + Lk - Lq)',
      scale,
    },
  };
}

/** attention of ours as upstream's. */
export const attentionCase: Translation<'attention'> = {
  names: ['attention'],
  write: writeAttention,
  read: async (answer, { q, keys, withWeights }) => {
    const [batch, seqlen, nHeads] = q.shape;
    const weights = withWeights
      ? await answer.optional('weights', batch, nHeads, seqlen, keys.shape[1])
      : undefined;
    return { y: await answer.tensor('out', ...q.shape), ...(weights && { weights }) };
  },
};

/** attentionStep as attention of one query. */
export const attentionStepCase: Translation<'attentionStep'> = {
  names: [],
  write: (input) => writeAttention({ ...input, q: oneToken(input.q) }),
  read: async (answer, { q, keys, withWeights }) => {
    const [batch, nHeads] = q.shape;
    const weights = withWeights
      ? await answer.optional('weights', batch, nHeads, 1, keys.shape[1])
      : undefined;
    return {
      y: withShape(await answer.tensor('out', ...oneToken(q).shape), ...q.shape),
      ...(weights && { weights: withShape(weights, batch, nHeads, keys.shape[1]) }),
    };
  },
};

const oneToken = (q: Tensor) => withShape(q, q.shape[0], 1, ...q.shape.slice(1));

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
