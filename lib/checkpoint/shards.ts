/** The tensors of a checkpoint, whether they lie in one file or in several with an index. */

import { CheckpointError } from './errors.ts';
import { type ModelFiles, readWhole } from './files.ts';
import { parseJson } from './json.ts';
import type { TensorEntry } from './safetensors.ts';
import { TensorFile, type TensorReader } from './tensorFile.ts';

export const SINGLE_FILE = 'model.safetensors';
export const INDEX_FILE = 'model.safetensors.index.json';
const MAX_SHARDS = 10_000;
const MAX_INDEX_BYTES = 100_000_000;

/** Endings of files that hold pickles, archives or formats that are not read here. */
const UNSAFE =
  /\.(bin|pt|pth|pkl|pickle|ckpt|h5|hdf5|keras|npy|npz|onnx|msgpack|zip|tar|gz|tgz|xz|bz2|7z|rar|joblib|pb|tflite)$/i;

/** All tensors of a checkpoint by name. */
export class TensorSet {
  readonly #files: readonly TensorReader[];
  readonly #where = new Map<string, TensorReader>();

  /** Takes open files over; no two of them may hold the same name. */
  constructor(files: readonly TensorReader[]) {
    this.#files = files;
    for (const file of files) {
      for (const name of file.header.tensors.keys()) this.#where.set(name, file);
    }
  }

  /**
   * Opens model.safetensors, or the shards that model.safetensors.index.json names, or the folder's only
   * safetensors file. Reads headers, no tensors.
   * @throws CheckpointError when there are none, or they are not sound; then nothing stays open.
   */
  static async open(files: ModelFiles): Promise<TensorSet> {
    const names = await files.list();
    if (names.includes(SINGLE_FILE)) return TensorSet.openFile(files, SINGLE_FILE);
    if (names.includes(INDEX_FILE)) return TensorSet.openIndex(files, INDEX_FILE);
    const candidates = names.filter((name) => name.endsWith('.safetensors'));
    if (candidates.length === 1) return TensorSet.openFile(files, candidates[0]);
    if (candidates.length > 1) {
      throw new CheckpointError(
        'ShardMissing',
        files.name,
        `${candidates.length} safetensors files, but neither ${SINGLE_FILE} nor ${INDEX_FILE}`,
      );
    }
    const unsafe = names.find((name) => UNSAFE.test(name));
    if (unsafe) throw refusePickle(unsafe);
    throw new CheckpointError(
      'NotFound',
      files.name,
      `expected ${SINGLE_FILE} or ${INDEX_FILE}; is this a model's folder?`,
    );
  }

  static async openFile(files: ModelFiles, name: string): Promise<TensorSet> {
    return new TensorSet([await TensorFile.open(await files.open(name))]);
  }

  static async openIndex(files: ModelFiles, indexName: string): Promise<TensorSet> {
    const weightMap = parseIndex(await readWhole(files, indexName, MAX_INDEX_BYTES), indexName);
    const shardNames = [...new Set(weightMap.values())];
    if (shardNames.length > MAX_SHARDS) {
      throw new CheckpointError('Limit', indexName, `more than ${MAX_SHARDS} shards`);
    }
    const present = new Set(await files.list());
    const open: TensorFile[] = [];
    try {
      for (const shard of shardNames) {
        // a shard in a subfolder is not listed; opening it says whether it is there
        if (!present.has(shard) && !shard.includes('/')) throw missingShard(indexName, shard);
        open.push(await TensorFile.open(await files.open(shard)));
      }
      checkIndex(weightMap, new Map(open.map((file, i) => [shardNames[i], file])), indexName);
    } catch (error) {
      for (const file of open) await file.close();
      throw error;
    }
    return new TensorSet(open);
  }

  async close(): Promise<void> {
    for (const file of this.#files) await file.close();
  }

  names(): IterableIterator<string> {
    return this.#where.keys();
  }

  has(name: string): boolean {
    return this.#where.has(name);
  }

  /** @throws CheckpointError with code MissingTensor. */
  file(name: string): TensorReader {
    const file = this.#where.get(name);
    if (!file) throw new CheckpointError('MissingTensor', this.label, `no tensor "${name}"`);
    return file;
  }

  entry(name: string): TensorEntry {
    return this.file(name).entry(name);
  }

  /** Name of the file, or of the first of several. */
  get label(): string {
    return this.#files[0]?.name ?? SINGLE_FILE;
  }
}

function missingShard(indexName: string, shard: string): CheckpointError {
  return new CheckpointError('ShardMissing', indexName, `shard "${shard}" is missing; download it`);
}

/** The error of a file that is refused unread, with the way out for PyTorch's. */
export function refusePickle(name: string): CheckpointError {
  const convert =
    'it can run code when it is loaded; convert it: python -c "import torch, safetensors.torch as s; ' +
    `d = torch.load('${name.replaceAll("'", '')}', weights_only=True); ` +
    "s.save_file({k: v.clone() for k, v in d.items()}, 'model.safetensors')\"";
  const isPyTorch = /\.(bin|pt|pth|ckpt|pkl|pickle)$/i.test(name);
  return new CheckpointError(
    'UnsafeFormat',
    name,
    `refused unread: ${isPyTorch ? convert : 'only .safetensors files are read; convert or unpack it'}`,
  );
}

/** Whether a file is refused by its name alone. */
export function isUnsafeName(name: string): boolean {
  return UNSAFE.test(name);
}

/** tensor name → shard name. */
function parseIndex(bytes: Uint8Array, file: string): Map<string, string> {
  const json = parseJson(bytes, { file, syntax: 'IndexJson' });
  const schema = (problem: string) => new CheckpointError('IndexSchema', file, problem);
  if (!(json instanceof Map)) throw schema('expected an object');
  const map = json.get('weight_map');
  if (!(map instanceof Map) || map.size === 0) {
    throw schema('weight_map: expected an object with a shard for every tensor');
  }
  const weightMap = new Map<string, string>();
  for (const [tensor, shard] of map) {
    if (typeof shard !== 'string') throw schema(`weight_map: expected texts, at "${tensor}"`);
    checkShardName(shard, file);
    weightMap.set(tensor, shard);
  }
  return weightMap;
}

/** @throws CheckpointError unless the name stays inside the folder, however it is joined or decoded. */
function checkShardName(shard: string, file: string): void {
  if (UNSAFE.test(shard)) throw refusePickle(shard);
  const parts = shard.split('/');
  const isPlain = (part: string) =>
    part !== '' && part !== '.' && part !== '..' && /^[^\\:%~*?"<>|\p{Cc}]+$/u.test(part);
  if (!shard.endsWith('.safetensors') || !parts.every(isPlain)) {
    throw new CheckpointError(
      'ShardPath',
      file,
      `weight_map: expected the name of a .safetensors file in this folder, got "${shard}"`,
    );
  }
}

function checkIndex(
  weightMap: ReadonlyMap<string, string>,
  shards: ReadonlyMap<string, TensorFile>,
  indexName: string,
): void {
  const mismatch = (problem: string) => new CheckpointError('IndexMismatch', indexName, problem);
  for (const [tensor, shard] of weightMap) {
    if (!shards.get(shard)?.header.tensors.has(tensor)) {
      throw mismatch(`tensor "${tensor}" is not in ${shard}; do index and shards belong together?`);
    }
  }
  for (const [shard, file] of shards) {
    for (const tensor of file.header.tensors.keys()) {
      if (weightMap.get(tensor) !== shard) {
        throw mismatch(`${shard} holds "${tensor}", which the index does not place there`);
      }
    }
  }
}
