/** Checkpoint files on disk, for Node: opened inside one folder only, read by ranges. */

import { constants } from 'node:fs';
import { lstat, open, readdir, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve, sep } from 'node:path';
import { CheckpointError } from './errors.ts';
import { type ByteSource, type ModelFiles, shortRead } from './files.ts';

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
