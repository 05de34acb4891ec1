/** Where a checkpoint's bytes come from: files by ranges, blobs in a browser, or memory. */

import { CheckpointError } from './errors.ts';

/** One file, read by ranges. */
export interface ByteSource {
  /** Name for messages. */
  readonly name: string;
  readonly size: number;
  /** Exactly `length` bytes from `offset`, in a buffer of their own. */
  read(offset: number, length: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** A folder of files, flat: nothing outside it can be named, and nothing in it is a link. */
export interface ModelFiles {
  /** Name for messages. */
  readonly name: string;
  /** Names of the regular files. */
  list(): Promise<string[]>;
  /** @throws CheckpointError with code NotFound, or ShardPath for what is not a regular file inside. */
  open(name: string): Promise<ByteSource>;
}

/** One file to be written, made piece by piece each time it is asked for. */
export interface OutputFile {
  readonly name: string;
  pieces(): Iterable<Uint8Array>;
}

/** What a browser has: File objects from an input (one, for a GGUF file), or blobs and buffers by name. */
export type BlobFiles =
  | File
  | Iterable<File>
  | ReadonlyMap<string, BlobLike>
  | Record<string, BlobLike>;
export type BlobLike = Blob | ArrayBuffer | Uint8Array;

/** Makes a folder of blobs and buffers. Blobs are read by slices, never whole. */
export function filesFromBlobs(files: BlobFiles, name = 'files'): ModelFiles {
  const entries = new Map<string, Blob>();
  const add = (key: string, content: BlobLike) =>
    entries.set(key, content instanceof Blob ? content : new Blob([content as BlobPart]));
  if (isFile(files)) add(files.name, files);
  else if (files instanceof Map) for (const [key, content] of files) add(key, content);
  else if (Symbol.iterator in files)
    for (const file of files as Iterable<File>) add(file.name, file);
  else for (const [key, content] of Object.entries(files)) add(key, content);
  return {
    name,
    list: async () => [...entries.keys()],
    open: async (key) => {
      const blob = entries.get(key);
      if (!blob) throw new CheckpointError('NotFound', key, `no such file among ${name}`);
      return {
        name: key,
        size: blob.size,
        read: async (offset, length) => {
          const bytes = new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer());
          if (bytes.length !== length) throw shortRead(key, offset, length, bytes.length);
          return bytes;
        },
        close: async () => {},
      };
    },
  };
}

/** Whether it is one file, which has a name, and not several. */
export function isFile(files: BlobFiles): files is File {
  return files instanceof Blob;
}

/** Bytes in memory as a source. */
export function sourceFromBytes(bytes: Uint8Array, name = 'bytes'): ByteSource {
  return {
    name,
    size: bytes.length,
    read: async (offset, length) => {
      if (offset + length > bytes.length) {
        throw shortRead(name, offset, length, Math.max(bytes.length - offset, 0));
      }
      return bytes.slice(offset, offset + length);
    },
    close: async () => {},
  };
}

/** The error of a file that ended before it should have. */
export function shortRead(name: string, offset: number, wanted: number, got: number) {
  return new CheckpointError(
    'Truncated',
    name,
    `expected ${wanted} bytes at offset ${offset}, got ${got}; has the file changed while it was open?`,
  );
}

/**
 * A whole small file.
 * @throws CheckpointError with code Limit when it is larger than `limit` bytes.
 */
export async function readWhole(
  files: ModelFiles,
  name: string,
  limit: number,
): Promise<Uint8Array> {
  const source = await files.open(name);
  try {
    if (source.size > limit) {
      throw new CheckpointError(
        'Limit',
        name,
        `expected at most ${limit} bytes, got ${source.size}`,
      );
    }
    return await source.read(0, source.size);
  } finally {
    await source.close();
  }
}
