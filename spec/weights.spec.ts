import { readdirSync, readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { CheckpointError } from '../lib/checkpoint/errors.ts';
import { filesFromFolder } from '../lib/checkpoint/nodeFiles.ts';
import { TensorSet } from '../lib/checkpoint/shards.ts';
import { encodeSafetensors } from '../lib/checkpoint/tensorFile.ts';
import { type LoadModelOptions, loadModel } from '../lib/loadModel.ts';
import { step } from '../reference/model.ts';
import { newState } from '../reference/state.ts';
import { sizeOf, type Tensor } from '../reference/tensor.ts';
import { path } from './support.ts';

type Tensors = Map<string, Tensor>;

const MODELS = path('fixtures/golden/models');
const HEAD = 'lm_head.weight';

/** The configs of a golden model as they are, and its tensors to be changed. */
async function readFolder(name: string) {
  const folder = `${MODELS}/${name}`;
  const configs: Record<string, Uint8Array> = {};
  for (const file of readdirSync(folder)) {
    if (/config\.json$/.test(file)) configs[file] = readFileSync(`${folder}/${file}`);
  }
  const set = await TensorSet.open(await filesFromFolder(folder));
  const tensors: Tensors = new Map();
  for (const tensor of set.names()) tensors.set(tensor, await set.file(tensor).floats(tensor));
  await set.close();
  return { configs, tensors };
}

describe.each(readdirSync(MODELS))('the weights of %s', (name) => {
  let configs: Record<string, Uint8Array>;
  let tensors: Tensors;
  let isTied: boolean;

  const load = (changed: Tensors, options?: LoadModelOptions) =>
    loadModel({ ...configs, 'model.safetensors': encodeSafetensors(changed) }, options);
  const changedAt = (key: string, tensor: Tensor): Tensors => new Map(tensors).set(key, tensor);
  /** The tensors that the model needs; a tied head may be stored besides. */
  const needed = () => [...tensors.keys()].filter((key) => !(isTied && key === HEAD));

  async function refusal(changed: Tensors, options?: LoadModelOptions): Promise<CheckpointError> {
    const error = await load(changed, options).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(CheckpointError);
    return error as CheckpointError;
  }

  async function logits(changed: Tensors, options?: LoadModelOptions): Promise<number[]> {
    const { model, config } = await load(changed, options);
    return [...step(model, newState(config, model.precision), 3)];
  }

  beforeAll(async () => {
    ({ configs, tensors } = await readFolder(name));
    isTied = (await load(tensors)).config.isTied;
  });

  it('give the same logits from memory as from the folder', async () => {
    const { model, config } = await loadModel(`${MODELS}/${name}`);
    const wanted = [...step(model, newState(config, model.precision), 3)];
    expect(await logits(tensors)).toEqual(wanted);
    expect(wanted.every(Number.isFinite) && wanted.some((x) => x !== 0)).toBe(true);
  });

  it('are refused when any tensor is missing, by its name', async () => {
    expect(needed().length).toBeGreaterThan(10);
    for (const key of needed()) {
      const rest = new Map(tensors);
      rest.delete(key);
      const { code, message } = await refusal(rest);
      expect(code, key).toBe('MissingTensor');
      expect(message).toContain(`"${key}"`);
    }
  });

  it('are refused when there is a tensor too many, by its name', async () => {
    const { code, message } = await refusal(
      changedAt('extra.weight', { data: new Float32Array(2), shape: [2] }),
    );
    expect(code).toBe('UnexpectedTensor');
    expect(message).toContain('"extra.weight"');
  });

  it('are refused when any tensor has another shape, by its name and both shapes', async () => {
    for (const key of needed()) {
      const { shape } = tensors.get(key) as Tensor;
      for (const wrong of [
        [shape[0] + 1, ...shape.slice(1)],
        [...shape, 1],
      ]) {
        const { code, message } = await refusal(
          changedAt(key, { data: new Float32Array(sizeOf(wrong)), shape: wrong }),
        );
        expect(code, key).toBe('ShapeMismatch');
        expect(message).toContain(`"${key}" has shape [${wrong.join(', ')}]`);
        expect(message).toContain(`[${shape.join(', ')}]`);
      }
    }
  });

  it.each([NaN, Infinity, -Infinity])(
    'are refused with a %d among them, unless it is let through',
    async (bad) => {
      for (const key of needed()) {
        const { data, shape } = tensors.get(key) as Tensor;
        const changed = data.slice();
        const at = (data.length * 5) >> 3;
        changed[at] = bad;
        const { code, message } = await refusal(changedAt(key, { data: changed, shape }));
        expect(code, key).toBe('NonFinite');
        expect(message).toContain(
          `tensor "${key}": expected finite numbers, got ${bad} at element ${at}`,
        );
      }
      const [first] = needed();
      const { data, shape } = tensors.get(first) as Tensor;
      const poisoned = new Map(tensors).set(first, { data: data.slice().fill(bad), shape });
      if (isTied && poisoned.has(HEAD)) poisoned.delete(HEAD);
      await expect(load(poisoned, { allowNonFinite: true })).resolves.toMatchObject({
        name: 'files',
      });
    },
  );

  it('may hold a tied head only if it is the embedding, and must hold any other', async () => {
    const embedding = tensors.get(needed().find((key) => /embed/.test(key)) as string) as Tensor;
    const headless = new Map(tensors);
    headless.delete(HEAD);
    if (!isTied) {
      const { code, message } = await refusal(headless);
      expect(code).toBe('MissingTensor');
      expect(message).toContain('is the head tied to the embedding?');
      return;
    }
    const wanted = await logits(tensors);
    expect(await logits(headless)).toEqual(wanted);
    expect(await logits(changedAt(HEAD, embedding))).toEqual(wanted);
    const other = { ...embedding, data: embedding.data.slice() };
    other.data[7] += 1;
    const { code, message } = await refusal(changedAt(HEAD, other));
    expect(code).toBe('ConfigMismatch');
    expect(message).toContain(`"${HEAD}" differs`);
  });

  it('report progress in growing bytes up to their total', async () => {
    const seen: number[] = [];
    const total = needed().reduce(
      (sum, key) => sum + (tensors.get(key) as Tensor).data.byteLength,
      0,
    );
    await load(tensors, {
      onProgress: (progress) => {
        expect(progress).toMatchObject({ phase: 'weights', total });
        seen.push(progress.loaded);
      },
    });
    expect(seen).toHaveLength(needed().length);
    expect(seen.every((loaded, i) => loaded > (seen[i - 1] ?? 0))).toBe(true);
    expect(seen.at(-1)).toBe(total);
  });

  it('stop loading when the signal fires, before the first tensor or between two', async () => {
    const aborted = load(tensors, { signal: AbortSignal.abort() });
    await expect(aborted).rejects.toMatchObject({ code: 'Aborted' });
    const controller = new AbortController();
    let calls = 0;
    const onProgress = () => {
      if (++calls === 5) controller.abort();
    };
    const stopped = load(tensors, { signal: controller.signal, onProgress });
    await expect(stopped).rejects.toMatchObject({ code: 'Aborted' });
    expect(calls).toBeGreaterThanOrEqual(5);
    expect(calls).toBeLessThan(needed().length);
  });

  it.each(['pytorch_model.bin', 'model.pt', 'model.ckpt'])(
    'are refused unread as %s, with advice to convert them',
    async (file) => {
      let reads = 0;
      const unread = new Blob([new Uint8Array(64)]);
      unread.slice = () => {
        reads++;
        throw new Error('read');
      };
      const error = await loadModel({ ...configs, [file]: unread }).catch((e: unknown) => e);
      expect(error).toBeInstanceOf(CheckpointError);
      expect(error).toMatchObject({ code: 'UnsafeFormat', file });
      expect((error as Error).message).toMatch(/convert it: python -c .*torch\.load.*save_file/);
      expect(reads).toBe(0);
    },
  );
});
