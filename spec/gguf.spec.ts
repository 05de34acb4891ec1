/** GGUF files: read back by a reader that knows nothing of the writer. */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ggufModel } from '../lib/checkpoint/ggufModel.ts';
import { writeGguf } from '../lib/checkpoint/ggufWriter.ts';
import { halfBits } from '../lib/checkpoint/halves.ts';
import { encodeQ8 } from '../lib/checkpoint/q8.ts';
import { weightNamed } from '../lib/plan/weights.ts';
import { modelOf } from '../lib/verify/index.ts';
import type { LayerConfig, ModelConfig } from '../reference/config.ts';
import { createModel, type Model, prefill } from '../reference/model.ts';
import { newState } from '../reference/state.ts';
import type { Tensor } from '../reference/tensor.ts';
import { attention, config, GGUF_MODELS, mamba, mamba2, mlp, norm, rope } from './ggufModels.ts';
import { temporaryFolder } from './support.ts';

const sourceOf = (model: Model) => ({
  config: model.config,
  weight: (name: string) => weightNamed(model, name),
});

describe.each(Object.keys(GGUF_MODELS))('a %s file', (architecture) => {
  const model = modelOf({ config: GGUF_MODELS[architecture], seed: 3 }, 'float32');

  it('says what the model is, and decodes as the model that it was made of', async () => {
    const path = join(temporaryFolder(), 'model.gguf');
    const bytes = await writeGguf(path, sourceOf(model), { name: 'little' });
    const file = readFileSync(path);
    expect(file.length).toBe(bytes);
    const { metadata, tensors } = readGguf(file);
    expect(metadata.get('general.architecture')).toBe(architecture);
    expect(metadata.get('general.name')).toBe('little');
    expect(metadata.get(`${architecture}.embedding_length`)).toBe(32);
    expect(metadata.get(`${architecture}.vocab_size`)).toBe(40);
    expect(new Set(metadata.get('tokenizer.ggml.tokens') as string[]).size).toBe(40);
    if (architecture === 'granitehybrid') {
      expect(metadata.get('granitehybrid.attention.head_count_kv')).toEqual([0, 2]);
      expect(metadata.get('granitehybrid.rope.scaling.finetuned')).toBe(false);
    }
    const again = fromLlama(model.config, tensors);
    const [got, want] = [again, model].map(
      (one) =>
        prefill({ model: one, state: newState(one.config, one.precision), tokens: [1, 7, 30, 2] })
          .logits,
    );
    const largest = Math.max(...want.data.map(Math.abs));
    got.data.forEach((x, i) => {
      expect(Math.abs(x - want.data[i])).toBeLessThan(1e-5 * largest);
    });
  });

  it('in Q8_0 keeps every number within half a step, and small tensors exactly', async () => {
    const path = join(temporaryFolder(), 'model.gguf');
    await writeGguf(path, sourceOf(model), { dtype: 'Q8_0' });
    const { tensors } = readGguf(readFileSync(path));
    const exact = new Map(ggufModel(sourceOf(model), 'F32').tensors.map((t) => [t.name, t]));
    expect([...tensors.keys()]).toEqual([...exact.keys()]);
    for (const [name, { dtype, data, steps }] of tensors) {
      const want = Float32Array.from((await exact.get(name)?.data()) ?? []);
      const isMatrix =
        /^(token_embd|output|blk\.\d\.(attn_(q|k|v|output)|ffn_(gate|up|down)|ssm_(in|x|out)))\.weight$/;
      expect(dtype, name).toBe(isMatrix.test(name) ? 'Q8_0' : 'F32');
      data.forEach((x, i) => {
        // a scale is rounded to 11 bits, which moves 127 steps by up to 1/16 of one
        const most = dtype === 'F32' ? 0 : 0.563 * steps[i];
        expect(Math.abs(x - want[i]), `${name}[${i}]`).toBeLessThanOrEqual(most);
      });
    }
  });
});

describe('what cannot be written', () => {
  const biased = { ...attention, hasQkvBias: true, rope };
  it.each([
    ['a mixer that llama.cpp lacks', config([{ norm, mixer: { ...mamba, hasBias: true } }])],
    ['biases of attention', config([{ norm, mixer: biased, mlp }])],
    ['a norm before the gate', config([{ norm, mixer: withNorm({ normBeforeGate: true }) }])],
    ['a norm over all groups', config([{ norm, mixer: withNorm({ groupSize: 64 }) }])],
    [
      'an MLP in some layers only',
      config([
        { norm, mixer: mamba2, mlp },
        { norm, mixer: mamba2 },
      ]),
    ],
    [
      'Mamba and Mamba-2 in one',
      config([
        { norm, mixer: mamba },
        { norm, mixer: mamba2 },
      ]),
    ],
  ])('%s is refused with a code, in one line', (_, refused) => {
    const model = modelOf({ config: refused, seed: 1 }, 'float32');
    expect(() => ggufModel(sourceOf(model), 'F32')).toThrow(
      expect.objectContaining({
        code: 'UnsupportedModel',
        message: expect.not.stringMatching('\n'),
      }),
    );
  });

  it('numbers that 8 bits cannot hold leave no file behind', async () => {
    const folder = temporaryFolder();
    const model = modelOf({ config: GGUF_MODELS.mamba, seed: 3 }, 'float32');
    model.weights.embedding.data[5] = Number.NaN;
    const written = writeGguf(join(folder, 'x.gguf'), sourceOf(model), { dtype: 'Q8_0' });
    await expect(written).rejects.toMatchObject({ code: 'NonFinite' });
    expect(readdirSync(folder)).toEqual([]);
  });

  function withNorm(changes: object): LayerConfig['mixer'] {
    const { gatedNorm } = mamba2 as { gatedNorm: object };
    return { ...mamba2, gatedNorm: { ...gatedNorm, ...changes } } as LayerConfig['mixer'];
  }
});

describe('blocks of Q8_0', () => {
  it('are a half-precision scale and 32 signed bytes', () => {
    const values = Float32Array.from({ length: 32 }, (_, i) => (i === 0 ? -127 : i * 0.5));
    const bytes = encodeQ8(values) as Uint8Array;
    expect(bytes.length).toBe(34);
    expect([bytes[0], bytes[1]]).toEqual([0x00, 0x3c]); // 1.0
    const q = new Int8Array(bytes.buffer, 2);
    expect([...q.slice(0, 6)]).toEqual([-127, 1, 1, 2, 2, 3]); // halves away from zero
    expect(encodeQ8(new Float32Array(32))).toEqual(new Uint8Array(34));
  });

  it.each([
    ...([
      [0, 0],
      [1, 0x3c00],
      [65_504, 0x7bff],
      [65_520, 0x7c00],
      [2 ** -24, 1],
    ] as const),
    ...([
      [2 ** -25, 0],
      [2 ** -14, 0x400],
      [1 + 2 ** -11, 0x3c00],
      [1 + 3 * 2 ** -11, 0x3c02],
    ] as const),
  ])('%d in half precision', (x, bits) => {
    expect(halfBits(x)).toBe(bits);
  });
});

interface ReadTensor {
  dtype: 'F32' | 'Q8_0';
  shape: number[];
  data: number[];
  /** The scale of each number, where there is one. */
  steps: number[];
}

/** A reader written from the specification of GGUF alone. */
function readGguf(file: Buffer): {
  metadata: Map<string, unknown>;
  tensors: Map<string, ReadTensor>;
} {
  let at = 0;
  const take = (bytes: number) => {
    at += bytes;
    return at - bytes;
  };
  const u32 = () => file.readUInt32LE(take(4));
  const u64 = () => Number(file.readBigUInt64LE(take(8)));
  const string = () => {
    const length = u64();
    return file.toString('utf8', at, take(length) + length);
  };
  const value = (type: number): unknown => {
    if (type === 4) return u32();
    if (type === 5) return file.readInt32LE(take(4));
    if (type === 6) return file.readFloatLE(take(4));
    if (type === 7) return file.readUInt8(take(1)) === 1;
    if (type === 8) return string();
    if (type !== 9) throw new Error(`unknown type ${type}`);
    const element = u32();
    return Array.from({ length: u64() }, () => value(element));
  };
  expect(file.toString('latin1', 0, take(4) + 4)).toBe('GGUF');
  expect(u32()).toBe(3);
  const [nTensors, nKeys] = [u64(), u64()];
  const metadata = new Map<string, unknown>();
  for (let i = 0; i < nKeys; i++) metadata.set(string(), value(u32()));
  const table = Array.from({ length: nTensors }, () => {
    const name = string();
    const shape = Array.from({ length: u32() }, u64).reverse();
    return { name, shape, type: u32(), offset: u64() };
  });
  const start = Math.ceil(at / 32) * 32;
  const tensors = new Map<string, ReadTensor>();
  for (const { name, shape, type, offset } of table) {
    expect(offset % 32, name).toBe(0);
    const size = shape.reduce((product, n) => product * n, 1);
    const from = start + offset;
    const block = (i: number) => from + 34 * Math.floor(i / 32);
    const steps = Array.from({ length: size }, (_, i) =>
      type === 8 ? halfValue(file.readUInt16LE(block(i))) : 0,
    );
    const data = steps.map((step, i) =>
      type === 8 ? step * file.readInt8(block(i) + 2 + (i % 32)) : file.readFloatLE(from + 4 * i),
    );
    expect([0, 8]).toContain(type);
    tensors.set(name, { dtype: type === 8 ? 'Q8_0' : 'F32', shape, data, steps });
  }
  return { metadata, tensors };
}

function halfValue(bits: number): number {
  const [exponent, mantissa] = [bits >> 10, bits & 0x3ff];
  return exponent === 0 ? mantissa * 2 ** -24 : (1 + mantissa / 1024) * 2 ** (exponent - 15);
}

/** The model that llama.cpp makes of a file's tensors: it rotates neighbours, and has A instead of its logarithm. */
function fromLlama(config: ModelConfig, tensors: ReadonlyMap<string, ReadTensor>): Model {
  const names: Record<string, string> = {
    ...{ attn_norm: 'mixerNorm.weight', ffn_norm: 'mlpNorm.weight', ssm_norm: 'mixer.normWeight' },
    ...{ ffn_gate: 'mlp.gate', ffn_up: 'mlp.up', ffn_down: 'mlp.down' },
    ...{ ssm_in: 'mixer.inProj', ssm_out: 'mixer.outProj', attn_output: 'mixer.outProj' },
    ...{ ssm_x: 'mixer.xProj', ssm_dt: 'mixer.dtProj', ssm_conv1d: 'mixer.convWeight' },
    ...{ token_embd: 'embedding', output_norm: 'finalNorm.weight', output: 'head' },
  };
  const weights = new Map<string, Tensor>();
  for (const [full, { data, shape }] of tensors) {
    const [, layer = '', name, kind = ''] = /^(?:blk\.(\d+)\.)?(\w+)(?:\.(\w+))?$/.exec(full) ?? [];
    const at = layer && `layers.${layer}.`;
    const flat =
      shape.length === 2 && (shape[1] === 1 || name === 'ssm_norm') ? [data.length] : shape;
    const put = (weight: string, numbers = data, as = flat) =>
      weights.set(at + weight, { data: Float64Array.from(numbers), shape: as });
    if (name === 'ssm_a')
      put(
        'mixer.ALog',
        data.map((a) => Math.log(-a)),
      );
    else if (name === 'ssm_d') put('mixer.D');
    else if (kind === 'bias') put(name === 'ssm_dt' ? 'mixer.dtBias' : 'mixer.convBias');
    else if (name === 'attn_k' || name === 'attn_v') {
      const before = weights.get(`${at}mixer.inProj`) as Tensor;
      put('mixer.inProj', [...before.data, ...data], [before.shape[0] + shape[0], shape[1]]);
    } else put(name === 'attn_q' ? 'mixer.inProj' : names[name]);
  }
  const layers = config.layers.map((layer) =>
    layer.mixer.kind === 'attention' && layer.mixer.rope
      ? {
          ...layer,
          mixer: { ...layer.mixer, rope: { ...layer.mixer.rope, pairing: 'interleaved' as const } },
        }
      : layer,
  );
  return createModel({ ...config, layers }, weights);
}
