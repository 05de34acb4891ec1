/** Models written in their published layouts: what is read back, and what is left when writing fails. */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeFloats, encodeFloats } from '../lib/checkpoint/dtypes.ts';
import { writeGguf } from '../lib/checkpoint/ggufWriter.ts';
import { type ModelToWrite, modelFiles, writeModelFolder } from '../lib/checkpoint/modelWriter.ts';
import { filesFromFolder } from '../lib/checkpoint/nodeFiles.ts';
import { TensorSet } from '../lib/checkpoint/shards.ts';
import { initFromAttention } from '../lib/distil/initFromAttention.ts';
import { STUDENT_KINDS } from '../lib/distil/studentConfig.ts';
import { type LoadedModel, loadModel } from '../lib/loadModel.ts';
import { namedWeights, weightNamed } from '../lib/plan/weights.ts';
import { step } from '../reference/model.ts';
import { newState } from '../reference/state.ts';
import type { Tensor } from '../reference/tensor.ts';
import { path, SEED, TINY_STORIES, temporaryFolder } from './support.ts';
import { expectSameModel, FAMILIES } from './writableModels.ts';

const RUNS = { seed: SEED, numRuns: 25 };
/** What was loaded, to be written again. */
function toWrite({ model, config, bosToken, eosTokens }: LoadedModel): ModelToWrite {
  return { config, weights: namedWeights(model), bosToken, eosTokens };
}

async function inMemory(model: ModelToWrite): Promise<Record<string, Uint8Array>> {
  const files = await modelFiles(model);
  return Object.fromEntries(files.map(({ name, pieces }) => [name, Buffer.concat([...pieces()])]));
}

describe.each(Object.keys(FAMILIES))('a random model of %s', (family) => {
  it('is read back as it was, to the last bit', async () => {
    await fc.assert(
      fc.asyncProperty(FAMILIES[family], async ({ input }) => {
        const files = await inMemory(input);
        const loaded = await loadModel(files);
        expect(loaded.family).toBe(family);
        expect(loaded.warnings).toEqual([]);
        expectSameModel(loaded, input);
      }),
      RUNS,
    );
  });

  it('in BF16 is read back as the nearest numbers', async () => {
    await fc.assert(
      fc.asyncProperty(FAMILIES[family], async ({ input }) => {
        const loaded = await loadModel(await inMemory({ ...input, dtype: 'BF16' }));
        expect(loaded.config).toEqual(input.config);
        for (const [name, { data }] of namedWeights(loaded.model)) {
          const want = (input.weights.get(name) as Tensor).data;
          data.forEach((x, i) => {
            expect(Object.is(x, nearestBfloat(want[i])), `${name}[${i}]`).toBe(true);
          });
        }
      }),
      { ...RUNS, numRuns: 10 },
    );
  });
});

/** The bfloat16 nearest to x, of two the one that ends in 0, by exact comparison in doubles. */
function nearestBfloat(x: number): number {
  const floor = (words: Uint32Array) => new Float32Array(words.buffer)[0];
  const bits = new Uint32Array(Float32Array.of(x).buffer)[0];
  const around = [-1, 0, 1].flatMap((more) => {
    const upper = (bits >>> 16) + more;
    const value = floor(Uint32Array.of(upper << 16));
    return Number.isFinite(value) ? [{ value, isEven: upper % 2 === 0 }] : [];
  });
  const off = ({ value }: { value: number }) => Math.abs(x - value);
  const best = around.sort((a, b) => off(a) - off(b) || Number(b.isEven) - Number(a.isEven))[0];
  return best.value;
}

describe('numbers in BF16', () => {
  const rounded = (x: number) => decodeFloats(encodeFloats(Float64Array.of(x), 'BF16'), 'BF16')[0];

  it('are the nearest there are, halves to even, of doubles as well', () => {
    const near = (mantissa: number, tail: number, exponent: number) =>
      (1 + mantissa / 256 + tail) * 2 ** exponent;
    const awkward = fc
      .tuple(
        fc.nat(255),
        fc.constantFrom(0, 2 ** -40, -(2 ** -40), 2 ** -23),
        fc.integer({ min: -130, max: 120 }),
      )
      .map(([mantissa, tail, exponent]) => near(mantissa, tail, exponent));
    const any = fc.oneof(
      awkward,
      fc.float({ noNaN: true, noDefaultInfinity: true, max: 2 ** 127, min: -(2 ** 127) }),
    );
    fc.assert(
      fc.property(any, fc.boolean(), (x, isNegative) => {
        const value = isNegative ? -x : x;
        expect(Object.is(rounded(value), nearestBfloat(value))).toBe(true);
      }),
      { seed: SEED, numRuns: 3000 },
    );
    // a half as a float32, more than a half as what it was
    expect(rounded(1 + 2 ** -8 + 2 ** -40)).toBe(1 + 2 ** -7);
    expect(rounded(1 + 2 ** -8)).toBe(1);
    expect(rounded(1 + 3 * 2 ** -8)).toBe(1 + 2 ** -6);
    expect(Object.is(rounded(-0), -0)).toBe(true);
    expect(rounded(3.4e38)).toBe(Number.POSITIVE_INFINITY);
    expect(rounded(Number.NaN)).toBeNaN();
  });
});

describe('published layouts', () => {
  const MODELS = ['llama_a', 'llamba_a', 'mambainllama_mamba1_a', 'mambainllama_mamba2_a'];

  it.each(MODELS)('of %s: the same tensors under the same names, the same fields', async (name) => {
    const folder = path('fixtures/golden/models', name);
    const loaded = await loadModel(folder);
    const copy = join(temporaryFolder(), name);
    await writeModelFolder(copy, toWrite(loaded));
    for (const file of ['config.json', 'mamba_config.json']) {
      expect(existsSync(join(copy, file)), file).toBe(existsSync(join(folder, file)));
      if (!existsSync(join(folder, file))) continue;
      const [was, is] = [folder, copy].map((at) =>
        JSON.parse(readFileSync(join(at, file), 'utf8')),
      );
      const { chunk_size: _, ...ssm } = was.ssm_cfg ?? {}; // which changes nothing that is computed
      expect(is).toMatchObject(was.ssm_cfg ? { ...was, ssm_cfg: ssm } : was);
    }
    const [was, is] = await Promise.all(
      [folder, copy].map(async (at) => {
        const set = await TensorSet.open(await filesFromFolder(at));
        const entries = [...set.names()].map((tensor) => {
          const { dtype, shape } = set.entry(tensor);
          return [tensor, dtype, shape.join()].join(' ');
        });
        await set.close();
        return entries.sort();
      }),
    );
    expect(is).toEqual(was);
    expectSameModel(await loadModel(copy), toWrite(loaded));
  });
});

describe('TinyStories', () => {
  const files = (name: string) => readFileSync(join(TINY_STORIES, name));

  it('is written with its tokenizer, and read back whole; as GGUF it is the same file', async () => {
    const folder = temporaryFolder();
    const original = await loadModel(TINY_STORIES);
    const copy = join(folder, 'deep/copy');
    const bytes = await writeModelFolder(copy, {
      ...toWrite(original),
      tokenizer: files('tokenizer.json'),
      tokenizerConfig: files('tokenizer_config.json'),
      card: '# A copy\n',
    });
    const names = ['README.md', 'config.json', 'generation_config.json', 'model.safetensors'];
    expect(readdirSync(copy).sort()).toEqual([...names, 'tokenizer.json', 'tokenizer_config.json']);
    expect(readdirSync(join(folder, 'deep'))).toEqual(['copy']);
    const sizes = readdirSync(copy).map((name) => readFileSync(join(copy, name)).length);
    expect(bytes).toBe(sizes.reduce((sum, size) => sum + size));
    expect(readFileSync(join(copy, 'README.md'), 'utf8')).toBe('# A copy\n');
    const again = await loadModel(copy);
    expectSameModel(again, toWrite(original));
    expect(again.tokenizer?.encode('Once upon')).toEqual(original.tokenizer?.encode('Once upon'));
    const [was, is] = await Promise.all(
      [original, again].map(async ({ model, config }, i) => {
        const file = join(folder, `${i}.gguf`);
        await writeGguf(file, { config, weight: (name) => weightNamed(model, name) });
        return readFileSync(file);
      }),
    );
    expect(Buffer.compare(is, was)).toBe(0);
  });

  it.each(STUDENT_KINDS)(
    'has students of kind %s that are read back with the same logits',
    async (kind) => {
      const { model, config } = await loadModel(TINY_STORIES);
      const teacher = { config, weights: namedWeights(model) };
      for (const keptAttention of kind === 'llamba' ? [[]] : [[], [1, 3]]) {
        const student = initFromAttention(teacher, { kind, keptAttention, seed: 2 });
        const loaded = await loadModel(await inMemory(student));
        expectSameModel(loaded, student);
        const logits = step(loaded.model, newState(loaded.config), 1);
        expect(logits.every(Number.isFinite)).toBe(true);
      }
    },
  );
});
