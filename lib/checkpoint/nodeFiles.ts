/** Checkpoint files on disk, for Node: opened inside one folder only, read by ranges; and folders written whole. */

import { constants } from 'node:fs';
import { lstat, mkdir, open, readdir, realpath, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve, sep } from 'node:path';
import { ConfigError } from '../../reference/errors.ts';
import { CheckpointError } from './errors.ts';
import { type ByteSource, type ModelFiles, type OutputFile, shortRead } from './files.ts';

/**
 * A folder of files. Only regular files inside it can be opened: no links, pipes or devices. In the Hugging
 * Face hub's cache, where files are links into the same model's `blobs`, those links are followed.
 * @throws CheckpointError with code NotFound when there is no such folder.
 */
export async function filesFromFolder(folder: string): Promise<ModelFiles> {
  const root = await realpath(folder).catch(() => undefined);
  if (root === undefined || !(await stat(root)).isDirectory()) {
    throw new CheckpointError('NotFound', folder, 'expected a folder; check the path');
  }
  const linkRoot = hubCacheRoot(root);
  return {
    name: folder,
    list: async () => {
      const entries = await readdir(root, { withFileTypes: true });
      const isListed = (entry: (typeof entries)[number]) =>
        entry.isFile() || entry.isSymbolicLink() || entry.isFIFO();
      return entries.filter(isListed).map((entry) => entry.name);
    },
    open: (name) => openInside(root, linkRoot, name),
  };
}

/**
 * A folder by its path, or one file of it.
 * @throws CheckpointError with code NotFound when there is neither.
 */
export async function filesFromPath(path: string): Promise<{ files: ModelFiles; file?: string }> {
  const info = await stat(path).catch(() => undefined);
  if (info?.isDirectory()) return { files: await filesFromFolder(path) };
  const isThere = (await lstat(path).catch(() => undefined)) !== undefined;
  if (!isThere)
    throw new CheckpointError('NotFound', path, 'no such file or folder; check the path');
  return { files: await filesFromFolder(dirname(resolve(path))), file: basename(path) };
}

/**
 * A model by its path: a folder, or one .gguf file, which is then the only one of its folder.
 * @throws CheckpointError with code NotFound when there is neither.
 */
export async function filesFromModel(path: string): Promise<ModelFiles> {
  if (!path.endsWith('.gguf')) return filesFromFolder(path);
  const { files, file } = await filesFromPath(path);
  if (file === undefined) return files;
  return { name: path, list: async () => [file], open: files.open };
}

/** `…/models--org--name` for a snapshot folder of the hub's cache, else undefined. */
function hubCacheRoot(root: string): string | undefined {
  const snapshots = dirname(root);
  const model = dirname(snapshots);
  const isCache = basename(snapshots) === 'snapshots' && basename(model).startsWith('models--');
  return isCache ? model : undefined;
}

async function openInside(
  root: string,
  linkRoot: string | undefined,
  name: string,
): Promise<ByteSource> {
  const refuse = (problem: string) => new CheckpointError('ShardPath', name, problem);
  const path = resolve(root, name);
  if (!path.startsWith(root + sep)) throw refuse('expected a file inside the model folder');
  const info = await lstat(path).catch(() => undefined);
  if (!info) throw new CheckpointError('NotFound', name, `no such file in ${root}`);
  const real = await realpath(path).catch(() => undefined);
  const isInside = real !== undefined && dirname(real).startsWith(dirname(path));
  const isCachedBlob =
    info.isSymbolicLink() &&
    linkRoot !== undefined &&
    real?.startsWith(join(linkRoot, 'blobs') + sep);
  if (!isCachedBlob && (info.isSymbolicLink() || !isInside || real !== path)) {
    throw refuse('expected a file, got a link; copy the file into the model folder');
  }
  return openRegular(real as string, name);
}

/** Opens one file by its path, which must not be a link or anything but a regular file. */
export async function openRegular(path: string, name = path): Promise<ByteSource> {
  const refuse = () => new CheckpointError('ShardPath', name, 'expected a regular file');
  const info = await lstat(path).catch(() => undefined);
  if (!info) throw new CheckpointError('NotFound', name, 'no such file; check the path');
  if (!info.isFile()) throw refuse(); // before opening: opening a pipe would wait for ever
  const handle = await open(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0));
  const opened = await handle.stat();
  if (!opened.isFile()) {
    await handle.close();
    throw refuse();
  }
  return {
    name,
    size: opened.size,
    read: async (offset, length) => {
      const bytes = new Uint8Array(length);
      let got = 0;
      while (got < length) {
        // one call reads at most 2 GiB
        const wanted = Math.min(length - got, 2 ** 30);
        const { bytesRead } = await handle.read(bytes, got, wanted, offset + got);
        if (bytesRead === 0) throw shortRead(name, offset, length, got);
        got += bytesRead;
      }
      return bytes;
    },
    close: () => handle.close(),
  };
}

/**
 * Writes a folder so that it is there whole or not at all: under a temporary name beside it, each file flushed
 * to disk, then renamed. Makes the folders above it.
 * @param overwrite whether a folder with a config.json may be there already: it is moved aside first, comes
 *   back when the new one cannot take its place, and is deleted when that has. A kill between the two leaves
 *   it as `.NAME.PID.old`.
 * @returns bytes written.
 * @throws ConfigError with code FolderExists for a path that is there and may not be replaced.
 */
export async function writeFolder(
  folder: string,
  files: readonly OutputFile[],
  overwrite: boolean,
): Promise<number> {
  const path = resolve(folder);
  const besides = (suffix: string) =>
    join(dirname(path), `.${basename(path)}.${process.pid}.${suffix}`);
  const [temporary, old] = [besides('part'), besides('old')];
  const isThere = await isReplaceable(path, overwrite);
  await mkdir(dirname(path), { recursive: true });
  let bytes = 0;
  try {
    await rm(temporary, { recursive: true, force: true });
    await mkdir(temporary);
    for (const file of files) bytes += await writeFlushed(join(temporary, file.name), file);
    await flushFolder(temporary);
    if (isThere) await rename(path, old);
    try {
      await rename(temporary, path);
    } catch (error) {
      if (isThere) await rename(old, path);
      throw error;
    }
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    throw error;
  }
  await flushFolder(dirname(path));
  if (isThere) await rm(old, { recursive: true, force: true });
  return bytes;
}

/** Whether there is something at a path, which then is a model's folder or an empty one, to be replaced. */
async function isReplaceable(path: string, overwrite: boolean): Promise<boolean> {
  const info = await lstat(path).catch(() => undefined);
  if (!info) return false;
  const refuse = (problem: string) => new ConfigError(`${path}: ${problem}`, 'FolderExists');
  if (!overwrite) {
    throw refuse('expected no such folder yet, got one; choose another, or say overwrite');
  }
  const names = info.isDirectory() ? await readdir(path) : undefined;
  if (!names || (names.length > 0 && !names.includes('config.json'))) {
    throw refuse('expected a model folder (with config.json) to overwrite, got something else');
  }
  return true;
}

async function writeFlushed(path: string, { pieces }: OutputFile): Promise<number> {
  const file = await open(path, 'wx');
  let bytes = 0;
  try {
    for (const piece of pieces()) {
      await file.writeFile(piece);
      bytes += piece.length;
    }
    await file.sync();
  } finally {
    await file.close();
  }
  return bytes;
}

/** A rename is on disk once its folder is; not every system lets a folder be flushed. */
export async function flushFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r').catch(() => undefined);
  await handle?.sync().catch(() => undefined);
  await handle?.close();
}
