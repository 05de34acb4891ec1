/** Which tensors a stand-in has, in which files, as they are published: all of it known before a number is made. */

import { type ModelDescription, readDescription } from '../../lib/checkpoint/config.ts';
import { filesFromBlobs } from '../../lib/checkpoint/files.ts';
import { INDEX_FILE, SINGLE_FILE } from '../../lib/checkpoint/shards.ts';
import { safetensorsHeader, type TensorLayout } from '../../lib/checkpoint/tensorFile.ts';
import { foreignShape, weightPlans } from '../../lib/checkpoint/weights.ts';
import { sizeOf } from '../../reference/tensor.ts';
import type { Standin } from './catalogue.ts';

export interface StandinTensor extends TensorLayout {
  readonly dtype: Standin['dtype'];
  /** Our name of the weight that it is, or is some rows of. */
  readonly weight: string;
}

/** A file of tensors, in the order in which their bytes follow one another. */
export interface StandinShard {
  readonly name: string;
  readonly header: Uint8Array;
  readonly tensors: readonly StandinTensor[];
  /** Bytes of the whole file. */
  readonly size: number;
}

export interface StandinLayout {
  readonly description: ModelDescription;
  /** config.json and its neighbours, and the index where there are shards. */
  readonly texts: ReadonlyMap<string, Uint8Array>;
  readonly shards: readonly StandinShard[];
  /** Bytes of all files. */
  readonly size: number;
}

export async function layOut(standin: Standin): Promise<StandinLayout> {
  const encoder = new TextEncoder();
  const texts = new Map(
    Object.entries(standin.texts).map(([name, text]) => [name, encoder.encode(text)]),
  );
  const read = await readDescription(filesFromBlobs(texts));
  const description = { ...read, scheme: standin.scheme };
  const tensors = tensorsOf(description, standin);
  const groups = split(tensors, standin.shardBytes ?? Number.POSITIVE_INFINITY);
  const shards = groups.map((group, i) => shardOf(shardName(i, groups.length), group));
  if (shards.length > 1) texts.set(INDEX_FILE, encoder.encode(indexOf(shards)));
  const sizes = [...[...texts.values()].map(({ length }) => length), ...shards.map((s) => s.size)];
  return { description, texts, shards, size: sizes.reduce((sum, size) => sum + size, 0) };
}

/** In the order of PyTorch's state dict, which decides where shards are cut. */
function tensorsOf(description: ModelDescription, { dtype, isF32 }: Standin): StandinTensor[] {
  const plans = weightPlans(description);
  const all = plans.flatMap(({ name: weight, shape, parts }) =>
    parts.flatMap(([name, rows]): StandinTensor[] => {
      if (name === null) return [];
      const stored = isF32?.test(name) ? 'F32' : dtype;
      const foreign = foreignShape(weight, [rows, ...shape.slice(1)]);
      const byteLength = sizeOf(foreign) * (stored === 'F32' ? 4 : 2);
      return [{ name, dtype: stored, shape: foreign, byteLength, weight }];
    }),
  );
  const isNorm = ({ name }: StandinTensor) => /layernorm\.weight$/.test(name);
  // Llama's modules, and those made of them, are set up with the norms of a layer last
  return groupedByLayer(all).flatMap((layer) => [
    ...layer.filter((tensor) => !isNorm(tensor)),
    ...layer.filter(isNorm),
  ]);
}

function groupedByLayer(tensors: readonly StandinTensor[]): StandinTensor[][] {
  const groups = new Map<string, StandinTensor[]>();
  for (const tensor of tensors) {
    const key = /layers\.\d+\./.exec(tensor.name)?.[0] ?? tensor.name;
    groups.set(key, [...(groups.get(key) ?? []), tensor]);
  }
  return [...groups.values()];
}

/** As huggingface_hub splits a state dict: a tensor that does not fit any more begins the next file. */
function split(tensors: readonly StandinTensor[], most: number): StandinTensor[][] {
  const groups: StandinTensor[][] = [[]];
  let size = 0;
  for (const tensor of tensors) {
    if (size > 0 && size + tensor.byteLength > most) {
      groups.push([]);
      size = 0;
    }
    groups[groups.length - 1].push(tensor);
    size += tensor.byteLength;
  }
  return groups;
}

function shardName(i: number, count: number): string {
  const number = (n: number) => String(n).padStart(5, '0');
  return count === 1 ? SINGLE_FILE : `model-${number(i + 1)}-of-${number(count)}.safetensors`;
}

/** In a file tensors stand by dtype, the widest first, and by name: as the safetensors library writes them. */
function shardOf(name: string, group: readonly StandinTensor[]): StandinShard {
  const order = ({ dtype, name }: StandinTensor) => `${dtype === 'F32' ? 0 : 1}${name}`;
  const tensors = [...group].sort((a, b) => (order(a) < order(b) ? -1 : 1));
  const header = safetensorsHeader(tensors, { format: 'pt' });
  const size = tensors.reduce((sum, { byteLength }) => sum + byteLength, header.length);
  return { name, header, tensors, size };
}

function indexOf(shards: readonly StandinShard[]): string {
  const places = shards.flatMap(({ name, tensors }) => tensors.map((t) => [t.name, name] as const));
  const total_size = shards.reduce((sum, { size, header }) => sum + size - header.length, 0);
  const weight_map = Object.fromEntries(places.sort(([a], [b]) => (a < b ? -1 : 1)));
  return `${JSON.stringify({ metadata: { total_size }, weight_map }, null, 2)}\n`;
}
