/** Models written as GGUF and read back: the same model, to the bit where the format holds the numbers. */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { GgufDtype } from '../lib/checkpoint/gguf.ts';
import { writeGguf } from '../lib/checkpoint/ggufWriter.ts';
import { decodeQ4, encodeQ4 } from '../lib/checkpoint/q4.ts';
import { decodeQ8, encodeQ8 } from '../lib/checkpoint/q8.ts';
import { inspect } from '../lib/inspect.ts';
import { loadModel } from '../lib/loadModel.ts';
import { namedWeights, weightNamed } from '../lib/plan/weights.ts';
import { modelOf } from '../lib/verify/index.ts';
import type { AttentionConfig } from '../reference/config.ts';
import { exp, log } from '../reference/elementary.ts';
import { createModel, type Model, prefill } from '../reference/model.ts';
import type { RopeScaling } from '../reference/rope.ts';
import { newState } from '../reference/state.ts';
import type { Tensor } from '../reference/tensor.ts';
import { GGUF_MODELS } from './ggufModels.ts';
import { path, selscan, temporaryFolder } from './support.ts';

const TOKENS = [1, 7, 30, 2, 39, 0, 11];
const DTYPES: GgufDtype[] = ['F32', 'F16', 'BF16', 'Q8_0', 'Q4_0'];

const sourceOf = (model: Model) => ({
  config: model.config,
  weight: (name: string) => weightNamed(model, name),
});

function logitsOf(model: Model): number[] {
  const state = newState(model.config, model.precision);
  return [...prefill({ model, state, tokens: TOKENS }).logits.data];
}

/** A number in a format and back, by means that the reader does not share. */
const THROUGH: Record<GgufDtype, (data: Float32Array) => Float32Array> = {
  F32: (data) => data,
  F16: (data) => data.map(half),
  BF16: (data) => data.map(brain),
  Q8_0: (data) => decodeQ8(encodeQ8(data) as Uint8Array),
  Q4_0: (data) => decodeQ4(encodeQ4(data) as Uint8Array),
};

/** To 11 bits of mantissa, or to multiples of 2⁻²⁴; halves to even. */
function half(x: number): number {
  const exponent = Math.max(Math.floor(Math.log2(Math.abs(x) || 1)), -14);
  return roundEven(x / 2 ** (exponent - 10)) * 2 ** (exponent - 10);
}

function brain(x: number): number {
  const exponent = Math.floor(Math.log2(Math.abs(x) || 1));
  return roundEven(x / 2 ** (exponent - 7)) * 2 ** (exponent - 7);
}

function roundEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 !== 0) ? floor + 1 : floor;
}

const MATRIX = /^(embedding|head|layers\.\d+\.(mlp\.|mixer\.(inProj|outProj|xProj|dtProj)$))/;

/** The model that a file of a format holds: its matrices through the format, A = −exp(ALog) in single precision. */
function heldIn(model: Model, dtype: GgufDtype): Model {
  const held = new Map<string, Tensor>();
  for (const [name, { data, shape }] of namedWeights(model)) {
    const isBlocks = dtype === 'Q8_0' || dtype === 'Q4_0';
    const fits = !isBlocks || shape[1] % 32 === 0;
    const single = Float32Array.from(data);
    if (name.endsWith('.ALog')) {
      const A = Float64Array.from(single, (a) => Math.fround(exp(a)));
      held.set(name, { data: A.map((a) => log(a)), shape });
    } else if (MATRIX.test(name) && fits) held.set(name, { data: THROUGH[dtype](single), shape });
    else held.set(name, { data: single, shape });
  }
  return createModel(model.config, held);
}

describe.each(Object.keys(GGUF_MODELS))('a %s', (architecture) => {
  const model = modelOf({ config: GGUF_MODELS[architecture], seed: 5 }, 'float32');
  const hasA = architecture !== 'llama';

  it.each(DTYPES)(
    'in %s reads back as the model that the file holds, logits and all',
    async (dtype) => {
      const file = join(temporaryFolder(), 'model.gguf');
      await writeGguf(file, sourceOf(model), { dtype });
      const read = await loadModel(file);
      expect(read.family).toBe(architecture);
      const { contextLength: _, ...config } = read.config;
      expect(config).toEqual(model.config);
      const want = heldIn(model, dtype);
      for (const [name, { data, shape }] of namedWeights(read.model)) {
        const wanted = weightNamed(want, name);
        expect(shape, name).toEqual(wanted.shape);
        expect(
          [...data].map((x) => x + 0),
          name,
        ).toEqual([...wanted.data].map((x) => x + 0));
      }
      expect(logitsOf(read.model)).toEqual(logitsOf(want));
      // and without A, F32 is the original itself
      if (dtype === 'F32' && !hasA) {
        const original = createModel(model.config, namedWeights(model));
        expect(logitsOf(read.model)).toEqual(logitsOf(original));
      }
    },
  );

  it('reads the same in single precision, from memory, and from a folder that it is alone in', async () => {
    const folder = temporaryFolder();
    const file = join(folder, 'some name.gguf');
    await writeGguf(file, sourceOf(model), { dtype: 'Q8_0' });
    const want = logitsOf((await loadModel(file, { precision: 'float32' })).model);
    const single = { precision: 'float32' } as const;
    expect(want.every(Number.isFinite)).toBe(true);
    expect(logitsOf((await loadModel(folder, single)).model)).toEqual(want);
    const blob = { 'model.gguf': new Blob([readFileSync(file)]) };
    expect(logitsOf((await loadModel(blob, single)).model)).toEqual(want);
    // File is a global of browsers, and of Node from 20 on
    const lone = new File([readFileSync(file)], 'chosen.gguf');
    expect(logitsOf((await loadModel(lone, single)).model)).toEqual(want);
    expect(await inspect([lone])).toMatchObject({ kind: 'model', family: architecture });
  });

  it('is inspected from its header: family, layers, parameters, bytes by dtype', async () => {
    const file = join(temporaryFolder(), 'model.gguf');
    await writeGguf(file, sourceOf(model), { dtype: 'Q8_0' });
    const plain = await inspect(file);
    const size = [...namedWeights(model).values()].reduce((sum, { data }) => sum + data.length, 0);
    expect(plain).toMatchObject({ kind: 'model', family: architecture, parameters: size });
    expect(plain).toMatchObject({ dModel: 32, vocabSize: 40 });
    expect(Object.values(plain.layers ?? {}).reduce((a, b) => a + b)).toBe(
      model.config.layers.length,
    );
    expect(Object.keys(plain.bytesByDtype ?? {}).sort()).toEqual(['F32', 'Q8_0']);
    // the words that the writer makes up are no tokenizer
    expect(plain.tokenizerSize).toBeUndefined();
    expect(plain.warnings.join()).toMatch(/lacks \d+ of the letters/);
    expect(await inspect(file, { load: true })).toEqual(plain);
  });
});

describe('stretched rope', () => {
  const published = { lowFreqFactor: 1, highFreqFactor: 4, originalContext: 8192 };
  const stretched = (scaling: RopeScaling) => ({
    ...GGUF_MODELS.llama,
    layers: GGUF_MODELS.llama.layers.map((layer) => ({
      ...layer,
      mixer: {
        ...(layer.mixer as AttentionConfig),
        rope: { rotaryDim: 8, theta: 500_000, pairing: 'half' as const, scaling },
      },
    })),
  });

  it.each<RopeScaling>([
    { kind: 'linear', factor: 4 },
    { kind: 'llama3', factor: 8, ...published },
    { kind: 'llama3', factor: 32, ...published },
  ])('%o comes back', async (scaling) => {
    const model = modelOf({ config: stretched(scaling), seed: 5 }, 'float32');
    const file = join(temporaryFolder(), 'model.gguf');
    await writeGguf(file, sourceOf(model));
    const read = await loadModel(file);
    expect(read.config.layers).toEqual(model.config.layers);
    expect(logitsOf(read.model)).toEqual(logitsOf(createModel(model.config, namedWeights(model))));
    expect(await inspect(file)).toMatchObject({ kind: 'model', family: 'llama' });
  });

  it('factors that are not those of a Llama 3 are refused', async () => {
    const scaling = { kind: 'llama3', factor: 8, ...published, originalContext: 100 } as const;
    const model = modelOf({ config: stretched(scaling), seed: 5 }, 'float32');
    const file = join(temporaryFolder(), 'model.gguf');
    await writeGguf(file, sourceOf(model));
    await expect(loadModel(file)).rejects.toMatchObject({
      code: 'UnsupportedModel',
      message: expect.stringMatching(
        /^model\.gguf: tensor "rope_freqs\.weight": expected the factors/,
      ),
    });
  });
});

describe('the bundled base-teacher', () => {
  it('as a GGUF file writes what its folder writes', async () => {
    const folder = path('fixtures/models/base-teacher');
    const loaded = await loadModel(folder);
    const file = join(temporaryFolder(), 'teacher.gguf');
    const { config, bosToken, eosTokens } = loaded;
    const weight = (name: string) => weightNamed(loaded.model, name);
    await writeGguf(file, { config, weight }, { bosToken, eosTokens });
    const read = await loadModel(file);
    expect(read).toMatchObject({ bosToken, eosTokens });
    expect(read.config).toEqual(loaded.config);
    expect(logitsOf(read.model)).toEqual(logitsOf(loaded.model));
    const prompts = join(temporaryFolder(), 'prompts.jsonl');
    writeFileSync(prompts, '{"tokens":[1,25,35,8,9,36]}\n');
    const tokens = async (model: string) => {
      const flags = ['--prompts', prompts, '--temperature', '0', '--max-tokens', '12', '--json'];
      const { code, out } = await selscan(['generate', '--model', model, ...flags]);
      expect(code).toBe(0);
      return (JSON.parse(out.split('\n')[0]) as { tokens: number[] }).tokens;
    };
    expect(await tokens(folder)).not.toHaveLength(0);
    expect(await tokens(file)).toEqual(await tokens(folder));
  });
});
