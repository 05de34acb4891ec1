/** What a GGUF file must be to be a model: each fault refused by its code, naming the file. */

import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { encodeGguf, type GgufTensor, type GgufValue } from '../lib/checkpoint/gguf.ts';
import { ggufModel } from '../lib/checkpoint/ggufModel.ts';
import { inspect } from '../lib/inspect.ts';
import { loadModel } from '../lib/loadModel.ts';
import { weightNamed } from '../lib/plan/weights.ts';
import { modelOf } from '../lib/verify/index.ts';
import { GGUF_MODELS } from './ggufModels.ts';
import { selscan, temporaryFolder } from './support.ts';

describe('what a file must be to be a model', () => {
  const model = modelOf({ config: GGUF_MODELS.granitehybrid, seed: 5 }, 'float32');
  const { metadata, tensors } = ggufModel(
    { config: model.config, weight: (name: string) => weightNamed(model, name) },
    'F32',
  );
  type Change = (keys: Map<string, GgufValue>, list: GgufTensor[]) => void;

  async function changed(change: Change): Promise<string> {
    const [keys, list] = [new Map(metadata), [...tensors]];
    change(keys, list);
    const pieces: Uint8Array[] = [];
    for await (const piece of encodeGguf('x', keys, list)) pieces.push(piece.slice());
    const file = join(temporaryFolder(), 'changed.gguf');
    writeFileSync(file, Buffer.concat(pieces));
    return file;
  }
  const set =
    (key: string, value: GgufValue): Change =>
    (keys) =>
      keys.set(`granitehybrid.${key}`, value);
  const uint = (value: number): GgufValue => ({ type: 'uint32', value });
  const float = (value: number): GgufValue => ({ type: 'float32', value });
  const without =
    (name: string): Change =>
    (_, list) => {
      list.splice(
        list.findIndex((tensor) => tensor.name === name),
        1,
      );
    };

  it.each<[string, string, RegExp, Change]>([
    [
      'a scale of the embedding',
      'ConfigRange',
      /embedding_scale: expected 1, got 12/,
      set('embedding_scale', float(12)),
    ],
    ['a scale of the logits', 'ConfigRange', /logit_scale/, set('logit_scale', float(8))],
    ['experts', 'ConfigRange', /expert_count: expected 0/, set('expert_count', uint(4))],
    [
      'heads that do not divide',
      'ConfigRange',
      /head_count_kv/,
      set('attention.head_count_kv', { type: 'uint32[]', value: [0, 3] }),
    ],
    [
      'too few entries for its layers',
      'ConfigRange',
      /expected 2 whole numbers/,
      set('attention.head_count_kv', { type: 'uint32[]', value: [0] }),
    ],
    ['more layers than tensors', 'ConfigRange', /block_count/, set('block_count', uint(1000))],
    [
      'another number of layers',
      'MissingTensor',
      /tensors do not fit the metadata: .*"blk\.2/,
      (keys, list) => {
        set('block_count', uint(3))(keys, list);
        set('attention.head_count_kv', { type: 'uint32[]', value: [0, 2, 0] })(keys, list);
      },
    ],
    [
      'no final norm',
      'MissingTensor',
      /1 missing: "output_norm.weight"/,
      without('output_norm.weight'),
    ],
    [
      'another width',
      'ShapeMismatch',
      /"ffn|"blk\.0\.ffn_gate\.weight" has shape \[64, 32\], the metadata expects \[63, 32\]|expects/,
      set('feed_forward_length', uint(63)),
    ],
    [
      'a tensor that nobody knows',
      'UnexpectedTensor',
      /1 unexpected: "blk\.0\.ffn_extra\.weight"/,
      (_, list) => {
        list.push({
          name: 'blk.0.ffn_extra.weight',
          dtype: 'F32',
          shape: [1],
          data: () => new Float32Array(1),
        });
      },
    ],
    [
      'A that grows',
      'ConfigRange',
      /"blk\.0\.ssm_a": expected numbers < 0, got 1 at element 0/,
      (_, list) => {
        const at = list.findIndex(({ name }) => name === 'blk.0.ssm_a');
        list[at] = { ...list[at], data: () => new Float32Array(8).fill(1) };
      },
    ],
    [
      'a number that is none',
      'NonFinite',
      /"output_norm\.weight": expected finite numbers, got NaN/,
      (_, list) => {
        const at = list.findIndex(({ name }) => name === 'output_norm.weight');
        list[at] = { ...list[at], data: () => new Float32Array(32).fill(Number.NaN) };
      },
    ],
    [
      'no architecture',
      'ConfigSchema',
      /general\.architecture: is missing/,
      (keys) => keys.delete('general.architecture'),
    ],
    [
      'an end outside the vocabulary',
      'ConfigRange',
      /eos_token_id: expected a whole number from 0 to 39, got 40/,
      (keys) => keys.set('tokenizer.ggml.eos_token_id', uint(40)),
    ],
    [
      'one part of several',
      'UnsupportedModel',
      /split\.count/,
      (keys) => keys.set('split.count', uint(2)),
    ],
  ])('%s is refused as %s, naming file and fault', async (_, code, message, change) => {
    const file = await changed(change);
    const refused = loadModel(file);
    await expect(refused).rejects.toMatchObject({ name: 'CheckpointError', code });
    await expect(refused).rejects.toThrow(message);
    await expect(refused).rejects.toThrow(/^changed\.gguf: [^\n]+$/);
  });

  it('without all of its tensors it is still a container, and inspected as one', async () => {
    const file = await changed(without('output_norm.weight'));
    const found = await inspect(file, { load: true });
    expect(found).toMatchObject({ kind: 'tensors', tensors: tensors.length - 1 });
    expect(found.warnings[0]).toMatch(/^no whole model: .*"output_norm\.weight"/);
  });

  it('text needs a tokenizer, and several files a choice', async () => {
    const file = await changed(() => undefined);
    const { code, err } = await selscan(['generate', '--model', file, '--prompt', 'Hello']);
    expect(code).toBe(2);
    expect(err).toMatch(/tokenizer/);
    copyFileSync(file, join(file, '..', 'other.gguf'));
    await expect(loadModel(join(file, '..'))).rejects.toMatchObject({ code: 'NotFound' });
  });
});
