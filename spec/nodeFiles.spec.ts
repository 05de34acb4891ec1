import { execFileSync } from 'node:child_process';
import { mkdirSync, realpathSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { CheckpointError } from '../lib/checkpoint/errors.ts';
import { filesFromFolder, filesFromPath, openRegular } from '../lib/checkpoint/nodeFiles.ts';
import { encodeSafetensors, TensorFile } from '../lib/checkpoint/tensorFile.ts';
import { inspect } from '../lib/inspect.ts';
import { temporaryFolder } from './support.ts';

/** Paths that were opened since the test began. */
const opened = vi.hoisted(() => [] as string[]);

vi.mock('node:fs/promises', async (importOriginal) => {
  const original = await importOriginal<typeof import('node:fs/promises')>();
  const open = (...args: Parameters<typeof original.open>) => {
    opened.push(String(args[0]));
    return original.open(...args);
  };
  return { ...original, open, default: { ...original, open } };
});

const BYTES = encodeSafetensors(new Map([['w', { data: Float32Array.of(1, 2), shape: [2] }]]));

const base = realpathSync(temporaryFolder());
const model = join(base, 'model');
const outside = join(base, 'outside');

/** A name and what opening it must not reach. */
const REFUSED: Record<string, string> = {
  'a link to a file outside': 'link.safetensors',
  'a link to a file inside': 'inner.safetensors',
  'a link to nothing': 'dangling.safetensors',
  'a file in a linked folder': 'linked/secret.safetensors',
  'a pipe': 'pipe.safetensors',
  'a folder': 'sub',
  'a folder that is called like a file': 'folder.safetensors',
  'a path with ..': '../outside/secret.safetensors',
  'a path with .. further in': 'sub/../../outside/secret.safetensors',
  'a folder that begins with the same name': '../model-too/secret.safetensors',
  'an absolute path': join(outside, 'secret.safetensors'),
  'the folder itself': '.',
  'an empty name': '',
};

for (const folder of [
  model,
  outside,
  `${model}-too`,
  join(model, 'sub'),
  join(model, 'folder.safetensors'),
]) {
  mkdirSync(folder);
}
writeFileSync(join(model, 'real.safetensors'), BYTES);
writeFileSync(join(model, 'sub/nested.safetensors'), BYTES);
writeFileSync(join(outside, 'secret.safetensors'), BYTES);
writeFileSync(join(`${model}-too`, 'secret.safetensors'), BYTES);
symlinkSync(join(outside, 'secret.safetensors'), join(model, 'link.safetensors'));
symlinkSync('real.safetensors', join(model, 'inner.safetensors'));
symlinkSync('nowhere', join(model, 'dangling.safetensors'));
symlinkSync(outside, join(model, 'linked'));
symlinkSync(model, join(base, 'modelLink'));
execFileSync('mkfifo', [join(model, 'pipe.safetensors')]);

beforeEach(() => {
  opened.length = 0;
});

async function firstBytes(folder: string, name: string): Promise<Uint8Array> {
  const source = await (await filesFromFolder(folder)).open(name);
  expect(source.size).toBe(BYTES.length);
  return source.read(0, source.size).finally(() => source.close());
}

describe('files of a folder', () => {
  it('a regular file opens, also in a folder below', async () => {
    expect(await firstBytes(model, 'real.safetensors')).toEqual(BYTES);
    expect(await firstBytes(model, 'sub/nested.safetensors')).toEqual(BYTES);
    expect(opened).toEqual([
      join(model, 'real.safetensors'),
      join(model, 'sub/nested.safetensors'),
    ]);
  });

  it.each(Object.entries(REFUSED))(
    '%s is refused with code ShardPath and not opened',
    async (_, name) => {
      const files = await filesFromFolder(model);
      const error = await files.open(name).catch((e: unknown) => e);
      expect(error).toBeInstanceOf(CheckpointError);
      expect(error).toMatchObject({ code: 'ShardPath', file: name });
      expect(opened).toEqual([]);
    },
  );

  it.each(['link.safetensors', 'pipe.safetensors'])(
    '%s is refused when it is inspected by its path',
    async (name) => {
      await expect(inspect(join(model, name))).rejects.toMatchObject({ code: 'ShardPath' });
      expect(opened).toEqual([]);
    },
  );

  it.each(['link', 'pipe'])('a model whose weights are a %s is refused', async (kind) => {
    const folder = join(base, `with-${kind}`);
    mkdirSync(folder);
    const weights = join(folder, 'model.safetensors');
    if (kind === 'link') symlinkSync(join(outside, 'secret.safetensors'), weights);
    else execFileSync('mkfifo', [weights]);
    await expect(inspect(folder, { load: true })).rejects.toMatchObject({ code: 'ShardPath' });
    expect(opened).toEqual([]);
  });

  it('an index cannot lead out of the folder through a linked folder', async () => {
    const folder = join(base, 'sharded');
    mkdirSync(folder);
    symlinkSync(outside, join(folder, 'linked'));
    const index = { weight_map: { w: 'linked/secret.safetensors' } };
    writeFileSync(join(folder, 'model.safetensors.index.json'), JSON.stringify(index));
    await expect(inspect(folder)).rejects.toMatchObject({ code: 'ShardPath' });
    expect(opened.map((path) => basename(path))).toEqual(['model.safetensors.index.json']);
  });

  it('a folder that is itself a link works', async () => {
    expect(await firstBytes(join(base, 'modelLink'), 'real.safetensors')).toEqual(BYTES);
    const { files, file } = await filesFromPath(join(base, 'modelLink', 'real.safetensors'));
    expect(file).toBe('real.safetensors');
    expect((await files.list()).includes('real.safetensors')).toBe(true);
  });

  it("links into the blobs of the hub's cache are followed, other links are not", async () => {
    const cache = join(base, 'models--org--name');
    const snapshot = join(cache, 'snapshots', 'abc');
    mkdirSync(snapshot, { recursive: true });
    mkdirSync(join(cache, 'blobs'));
    writeFileSync(join(cache, 'blobs', '0123'), BYTES);
    symlinkSync('../../blobs/0123', join(snapshot, 'model.safetensors'));
    symlinkSync(join(outside, 'secret.safetensors'), join(snapshot, 'bad.safetensors'));
    expect(await firstBytes(snapshot, 'model.safetensors')).toEqual(BYTES);
    const error = firstBytes(snapshot, 'bad.safetensors');
    await expect(error).rejects.toMatchObject({ code: 'ShardPath' });
    expect(opened).toEqual([join(cache, 'blobs', '0123')]);
  });

  it('what is not there is refused with code NotFound', async () => {
    const missing = join(base, 'missing');
    const files = await filesFromFolder(model);
    for (const use of [
      () => filesFromFolder(missing),
      () => filesFromFolder(join(model, 'real.safetensors')),
      () => filesFromPath(missing),
      () => files.open('missing.safetensors'),
      () => openRegular(missing),
      () => inspect(missing),
    ]) {
      const error = await (use() as Promise<unknown>).catch((e: unknown) => e);
      expect(error).toBeInstanceOf(CheckpointError);
      expect(error).toMatchObject({ code: 'NotFound' });
    }
    expect(opened).toEqual([]);
  });

  it('a file that shrinks while it is open is refused when it is read', async () => {
    const path = resolve(base, 'shrinking.safetensors');
    writeFileSync(path, BYTES);
    const file = await TensorFile.open(await openRegular(path));
    truncateSync(path, BYTES.length - 1);
    await expect(file.floats('w')).rejects.toMatchObject({ code: 'Truncated' });
    await file.close();
  });
});
