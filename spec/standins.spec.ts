/** Stand-ins of the published models are what is published, apart from their numbers. */

import { describe, expect, it } from 'vitest';
import { STANDINS, type Standin } from '../bench/standins/catalogue.ts';
import { layOut } from '../bench/standins/layout.ts';
import { shardPieces } from '../bench/standins/numbers.ts';
import type { ModelFiles } from '../lib/checkpoint/files.ts';
import { filesFromBlobs, sourceFromBytes } from '../lib/checkpoint/files.ts';
import { inspectFiles } from '../lib/inspect.ts';
import { loadModel } from '../lib/loadModel.ts';
import { step } from '../reference/model.ts';
import { newState } from '../reference/state.ts';

/** What the hub's pages show: bytes of texts, and of weights to three digits. */
const PUBLISHED: Record<string, { texts: Record<string, number>; shards?: string[] }> = {
  'mamba-130m': { texts: { 'config.json': 199 }, shards: ['517 MB'] },
  'mamba-1.4b': { texts: { 'config.json': 200 }, shards: ['5.49 GB'] },
  'mamba-2.8b': { texts: { 'config.json': 200 }, shards: ['11.1 GB'] },
  'mamba2-130m': { texts: { 'config.json': 330 }, shards: ['258 MB'] },
  'mamba2-1.3b': { texts: { 'config.json': 331 }, shards: ['2.69 GB'] },
  'mamba2-2.7b': { texts: { 'config.json': 331 }, shards: ['5.41 GB'] },
  'llamba-3b': { texts: { 'config.json': 480 }, shards: ['14.6 GB'] },
  'mambainllama-1b': { texts: { 'mamba_config.json': 305 }, shards: ['2.59 GB'] },
  'mambainllama-3b': {
    texts: { 'mamba_config.json': 330, 'model.safetensors.index.json': 34_200 },
    shards: ['4.99 GB', '1.91 GB'],
  },
  'm1-3b': {
    texts: { 'mamba_config.json': 330, 'model.safetensors.index.json': 26_000 },
    shards: ['4.99 GB', '1.91 GB'],
  },
  'llama-3.2-1b': { texts: {}, shards: ['2.47 GB'] },
  'llama-3.2-3b': {
    texts: {
      'config.json': 878,
      'generation_config.json': 189,
      'model.safetensors.index.json': 20_900,
    },
    shards: ['4.97 GB', '1.46 GB'],
  },
};

/** As the hub writes sizes. */
function shown(bytes: number): string {
  const [unit, name] = bytes < 1e9 ? [1e6, 'MB'] : [1e9, 'GB'];
  return `${Number((bytes / unit).toPrecision(3))} ${name}`;
}

describe.each(Object.entries(PUBLISHED))('%s', (name, { texts, shards }) => {
  it('has files of the published sizes', async () => {
    const layout = await layOut(STANDINS[name]);
    for (const [file, bytes] of Object.entries(texts)) {
      const length = layout.texts.get(file)?.length ?? 0;
      // sizes of a thousand bytes and more are published to three digits
      expect(length < 1000 ? length : Number(length.toPrecision(3)), file).toBe(bytes);
    }
    if (shards) expect(layout.shards.map(({ size }) => shown(size))).toEqual(shards);
  });
});

/** A folder whose weights' files have a header and a size; reading more of them is an error. */
async function headersOf(standin: Standin): Promise<ModelFiles> {
  const { texts, shards } = await layOut(standin);
  const files = new Map([
    ...[...texts].map(([name, bytes]) => [name, { bytes, size: bytes.length }] as const),
    ...shards.map(({ name, header, size }) => [name, { bytes: header, size }] as const),
  ]);
  return {
    name: standin.repository,
    list: async () => [...files.keys()],
    open: async (name) => {
      const { bytes, size } = files.get(name) ?? { bytes: new Uint8Array(), size: 0 };
      const { read, close } = sourceFromBytes(bytes, name);
      const readHeader = (offset: number, length: number) =>
        read(offset, offset === 0 ? Math.min(length, bytes.length) : length);
      return { name, size, read: readHeader, close };
    },
  };
}

/** Parameters in millions by the papers and the pages; layers by kind. */
const FACTS: Record<string, [family: string, millions: number, layers: Record<string, number>]> = {
  'mamba-130m': ['mamba', 129, { mamba: 24 }],
  'mamba-370m': ['mamba', 372, { mamba: 48 }],
  'mamba-790m': ['mamba', 793, { mamba: 48 }],
  'mamba-1.4b': ['mamba', 1372, { mamba: 48 }],
  'mamba-2.8b': ['mamba', 2768, { mamba: 64 }],
  'mamba2-130m': ['mamba2', 129, { mamba2: 24 }],
  'mamba2-370m': ['mamba2', 368, { mamba2: 48 }],
  'mamba2-780m': ['mamba2', 780, { mamba2: 48 }],
  'mamba2-1.3b': ['mamba2', 1344, { mamba2: 48 }],
  'mamba2-2.7b': ['mamba2', 2703, { mamba2: 64 }],
  'llamba-1b': ['llamba', 1405, { discreteMamba2: 16 }],
  'llamba-3b': ['llamba', 3657, { discreteMamba2: 28 }],
  'mambainllama-1b': ['mambainllama', 1293, { mambaInLlama: 12, attention: 4 }],
  'mambainllama-3b': ['mambainllama', 3448, { mambaInLlama: 22, attention: 6 }],
  'm1-3b': ['mambainllama', 3448, { mambaInLlama: 22, attention: 6 }],
  'llama-3.2-1b': ['llama', 1236, { attention: 16 }],
  'llama-3.2-3b': ['llama', 3213, { attention: 28 }],
};

describe('inspect', () => {
  it('accepts every stand-in by its headers alone', async () => {
    expect(Object.keys(FACTS)).toEqual(Object.keys(STANDINS));
    for (const [name, [family, millions, layers]] of Object.entries(FACTS)) {
      const memory = { freeBytes: 16e9, bytesPerSecond: 1e10 };
      const inspection = await inspectFiles(await headersOf(STANDINS[name]), { memory });
      expect(inspection, name).toMatchObject({ kind: 'model', family, layers });
      expect(inspection.capacity, name).toMatchObject({ limitedBy: 'wasm' });
      const [f32, int8] = inspection.capacity?.stored ?? [];
      // vectors, and matrices in panels of eight outputs: nothing to speak of beside the parameters
      expect(f32.bytes / (4 * (inspection.parameters ?? 0)), name).toBeCloseTo(1, 2);
      // a byte a number and four for the scale of 32; what is no whole block stays float32
      const each = int8.bytes / (inspection.parameters ?? 0);
      expect(each, name).toBeGreaterThan(1.12);
      expect(each, name).toBeLessThan(1.3);
      expect(Math.round((inspection.parameters ?? 0) / 1e6), name).toBe(millions);
    }
  });
});

/** The same wiring at a width that fits a test, by the fields that say sizes. */
function narrowed(standin: Standin): Standin {
  const small: Record<string, number> = {
    ...{ d_model: 64, hidden_size: 64, vocab_size: 48, n_layer: 4, num_hidden_layers: 4 },
    ...{ intermediate_size: 96, num_attention_heads: 4, num_key_value_heads: 2, head_dim: 16 },
    ...{ d_xb: 32, n_v_heads: 4, n_qk_heads: 4, d_state: 16, bos_token_id: 0 },
  };
  const narrow = (key: string, value: unknown): unknown => {
    if (key === 'eos_token_id') return [1, 2];
    if (key === 'attn_layers') return [1, 3];
    return typeof value === 'number' ? (small[key] ?? value) : value;
  };
  const texts = Object.entries(standin.texts).map(([name, text]) => [
    name,
    JSON.stringify(JSON.parse(text, narrow)),
  ]);
  return { ...standin, texts: Object.fromEntries(texts), shardBytes: 40_000 };
}

async function filesOf(standin: Standin, seed: number): Promise<Map<string, Uint8Array>> {
  const { texts, shards, description } = await layOut(standin);
  const files = new Map(texts);
  for (const shard of shards) {
    const pieces = [...shardPieces(shard, description.config, seed)];
    const bytes = new Uint8Array(Buffer.concat(pieces));
    expect(bytes.length).toBe(shard.size);
    files.set(shard.name, bytes);
  }
  return files;
}

const ONE_OF_EACH = ['mamba-130m', 'mamba2-130m', 'llamba-1b', 'mambainllama-1b', 'm1-3b'];

describe.each([...ONE_OF_EACH, 'llama-3.2-1b'])('%s, narrowed', (name) => {
  const standin = narrowed(STANDINS[name]);

  it('loads from its shards, and its logits are finite and differ', async () => {
    const files = await filesOf(standin, 1);
    expect(
      [...files.keys()].filter((file) => file.endsWith('.safetensors')).length,
    ).toBeGreaterThan(1);
    const { model } = await loadModel(files);
    const state = newState(model.config, model.precision);
    for (const token of [0, 5, 7, 11]) {
      const logits = step(model, state, token);
      expect(logits.every(Number.isFinite)).toBe(true);
      expect(new Set(logits).size).toBeGreaterThan(model.config.vocabSize / 2);
      expect(Math.max(...logits.map(Math.abs))).toBeLessThan(100);
    }
  });

  it('is the same for the same seed and another for another', async () => {
    const [a, b, c] = [
      await filesOf(standin, 1),
      await filesOf(standin, 1),
      await filesOf(standin, 2),
    ];
    for (const [file, bytes] of a) {
      expect(Buffer.compare(b.get(file) ?? Buffer.of(), bytes), file).toBe(0);
      const isText = file.endsWith('.json');
      expect(Buffer.compare(c.get(file) ?? Buffer.of(), bytes) === 0, file).toBe(isText);
    }
  });

  it('is inspected with the dtypes of its catalogue', async () => {
    const files = filesFromBlobs(await filesOf(standin, 1));
    const { bytesByDtype = {} } = await inspectFiles(files);
    const expected = standin.isF32 ? ['F32', standin.dtype] : [standin.dtype];
    expect(Object.keys(bytesByDtype).sort()).toEqual(expected.sort());
  });
});
