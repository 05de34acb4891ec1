/** A safetensors file open for reading, tensor by tensor; and the writer of such files. */

import type { Tensor } from '../../reference/tensor.ts';
import { decodeFloats, decodeIntegers, isFloatDtype } from './dtypes.ts';
import { CheckpointError } from './errors.ts';
import type { ByteSource } from './files.ts';
import { readHeader, type SafetensorsHeader, type TensorEntry } from './safetensors.ts';

export interface IntegerTensor {
  readonly data: bigint[] | number[];
  readonly shape: readonly number[];
}

/** A file of tensors, of whatever format: what a checkpoint's loader asks it for. */
export interface TensorReader {
  readonly name: string;
  readonly header: { readonly tensors: ReadonlyMap<string, TensorEntry> };
  /** @throws CheckpointError with code MissingTensor. */
  entry(name: string): TensorEntry;
  /** One tensor's bytes in its entry's dtype. */
  bytes(name: string): Promise<Uint8Array>;
  /** One tensor's numbers. @throws CheckpointError with code MissingTensor or Dtype. */
  floats(name: string): Promise<Tensor>;
  /** One tensor of an integer dtype; 64-bit integers as bigint. */
  integers(name: string): Promise<IntegerTensor>;
  close(): Promise<void>;
}

/** An open file: its header is known, its tensors are read when asked for. */
export class TensorFile implements TensorReader {
  readonly name: string;
  readonly header: SafetensorsHeader;
  readonly #source: ByteSource;

  private constructor(source: ByteSource, header: SafetensorsHeader) {
    this.name = source.name;
    this.header = header;
    this.#source = source;
  }

  /**
   * Opens a source as safetensors and takes it over: it is closed with the file, or here when it is bad.
   * @throws CheckpointError when it is not a sound safetensors file.
   */
  static async open(source: ByteSource): Promise<TensorFile> {
    try {
      return new TensorFile(source, await readHeader(source));
    } catch (error) {
      await source.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.#source.close();
  }

  /** @throws CheckpointError with code MissingTensor. */
  entry(name: string): TensorEntry {
    const entry = this.header.tensors.get(name);
    if (!entry) throw new CheckpointError('MissingTensor', this.name, `no tensor "${name}"`);
    return entry;
  }

  /** The bytes of one tensor, read from the file now. */
  async bytes(name: string): Promise<Uint8Array> {
    const { begin, end } = this.entry(name);
    return this.#source.read(begin, end - begin);
  }

  /**
   * One tensor as numbers: F64 as doubles; F32, F16 and BF16 as floats, which hold them exactly.
   * @throws CheckpointError with code MissingTensor, or Dtype for a tensor that is not of floats.
   */
  async floats(name: string): Promise<Tensor> {
    const { dtype, shape } = this.entry(name);
    if (!isFloatDtype(dtype)) {
      throw new CheckpointError(
        'Dtype',
        this.name,
        `tensor "${name}": expected F64, F32, F16 or BF16, got ${dtype}`,
      );
    }
    return { data: decodeFloats(await this.bytes(name), dtype), shape };
  }

  /** One tensor of an integer dtype; 64-bit integers as bigint. */
  async integers(name: string): Promise<IntegerTensor> {
    const { dtype, shape } = this.entry(name);
    return { data: decodeIntegers(await this.bytes(name), dtype), shape };
  }
}

/** What can be written: floats as F64 or F32 by their array's type, integers as I64. */
export type WritableTensor =
  | Tensor
  | { readonly data: BigInt64Array; readonly shape: readonly number[] };

/** A tensor of a file that is about to be written. */
export interface TensorLayout {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly byteLength: number;
}

/**
 * What a safetensors file begins with, for tensors whose data follow in this order. Padded so that the data
 * is aligned to 8 bytes.
 */
export function safetensorsHeader(
  layouts: readonly TensorLayout[],
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const header: [string, unknown][] = Object.keys(metadata).length
    ? [['__metadata__', metadata]]
    : [];
  let offset = 0;
  for (const { name, dtype, shape, byteLength } of layouts) {
    header.push([name, { dtype, shape, data_offsets: [offset, offset + byteLength] }]);
    offset += byteLength;
  }
  // written key by key: an object would reorder names that look like integers and lose "__proto__"
  const json = `{${header.map(([k, v]) => `${JSON.stringify(k)}:${JSON.stringify(v)}`).join(',')}}`;
  const text = new TextEncoder().encode(json);
  const bytes = new Uint8Array(8 + Math.ceil(text.length / 8) * 8).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(bytes.length - 8), true);
  bytes.set(text, 8);
  return bytes;
}

/** Tensors as the bytes of a safetensors file, sorted by name. */
export function encodeSafetensors(
  tensors: ReadonlyMap<string, WritableTensor>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const names = [...tensors.keys()].sort();
  const parts: Uint8Array[] = [];
  const layouts = names.map((name): TensorLayout => {
    const { data, shape } = tensors.get(name) as WritableTensor;
    const dtype =
      data instanceof Float64Array ? 'F64' : data instanceof Float32Array ? 'F32' : 'I64';
    parts.push(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    return { name, dtype, shape, byteLength: data.byteLength };
  });
  const header = safetensorsHeader(layouts, metadata);
  const file = new Uint8Array(
    layouts.reduce((size, { byteLength }) => size + byteLength, header.length),
  );
  file.set(header);
  let at = header.length;
  for (const part of parts) {
    file.set(part, at);
    at += part.length;
  }
  return file;
}
