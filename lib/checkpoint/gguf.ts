/** The container of llama.cpp's GGUF files, version 3: metadata, a table of tensors, and their bytes. */

import { sizeOf, type Vector } from '../../reference/tensor.ts';
import { encodeFloats } from './dtypes.ts';
import { CheckpointError } from './errors.ts';
import { GGML_TYPES, type GgmlType } from './ggmlTypes.ts';
import { signedHalfBits } from './halves.ts';
import { encodeQ4 } from './q4.ts';
import { encodeQ8 } from './q8.ts';

/** A value of the metadata with the type that it has in the file. */
export type GgufValue =
  | { readonly type: 'uint32' | 'float32'; readonly value: number }
  | { readonly type: 'bool'; readonly value: boolean }
  | { readonly type: 'string'; readonly value: string }
  | { readonly type: 'uint32[]' | 'int32[]' | 'float32[]'; readonly value: ArrayLike<number> }
  | { readonly type: 'string[]'; readonly value: readonly string[] };

/** How a tensor is stored. */
export type GgufDtype = 'F32' | 'F16' | 'BF16' | 'Q8_0' | 'Q4_0';

/** A tensor to be written: its numbers are made when its turn comes. */
export interface GgufTensor {
  readonly name: string;
  readonly dtype: GgufDtype;
  /** Row-major, as everywhere here; the file has it the other way round. */
  readonly shape: readonly number[];
  /** Its numbers, row-major. Called once, and nothing of it is kept. */
  data(): Vector | Promise<Vector>;
}

const MAGIC = 0x46554747; // "GGUF"
const VERSION = 3;
/** Every tensor starts at a multiple of this, counted from the first. */
const ALIGNMENT = 32;
const VALUE_TYPES = { uint32: 4, int32: 5, float32: 6, bool: 7, string: 8, array: 9 } as const;
const DTYPES: Record<GgufDtype, number> = { F32: 0, F16: 1, Q4_0: 2, Q8_0: 8, BF16: 30 };
const TOO_LARGE: Record<GgufDtype, string> = {
  F32: 'finite numbers',
  F16: 'finite numbers below 65,520, as F16 holds them',
  BF16: 'finite numbers',
  Q8_0: 'finite numbers below 8.3 million, as Q8_0 holds them',
  Q4_0: 'finite numbers below 524,000, as Q4_0 holds them',
};
/** Numbers that are encoded at a time. */
const CHUNK = 2 ** 18;

/**
 * The bytes of a file, piece by piece; at no time more than one tensor is in memory.
 * @throws CheckpointError with code ShapeMismatch where a tensor's numbers do not fit its shape, or its rows
 *   cannot be cut into the dtype's blocks; NonFinite for numbers that it cannot hold; DuplicateKey.
 */
export async function* encodeGguf(
  file: string,
  metadata: ReadonlyMap<string, GgufValue>,
  tensors: readonly GgufTensor[],
): AsyncGenerator<Uint8Array> {
  const header = encodeHeader(file, metadata, tensors);
  yield header;
  yield padding(header.length);
  for (const tensor of tensors) {
    let written = 0;
    for (const piece of encodeTensor(file, tensor, await tensor.data())) {
      written += piece.length;
      yield piece;
    }
    yield padding(written);
  }
}

/** Bytes of a tensor in the file, without what aligns the next one. */
export function ggufBytes({ dtype, shape }: Pick<GgufTensor, 'dtype' | 'shape'>): number {
  const { block, bytes } = formatOf(dtype);
  return (sizeOf(shape) / block) * bytes;
}

/** Whether rows of this shape can be cut into a format's blocks. */
export function fitsBlocks(dtype: GgufDtype, shape: readonly number[]): boolean {
  return (shape.at(-1) ?? 1) % formatOf(dtype).block === 0;
}

function formatOf(dtype: GgufDtype): GgmlType {
  return GGML_TYPES.get(DTYPES[dtype]) as GgmlType;
}

function encodeHeader(
  file: string,
  metadata: ReadonlyMap<string, GgufValue>,
  tensors: readonly GgufTensor[],
): Uint8Array {
  const bytes = new ByteList();
  bytes.uint32(MAGIC);
  bytes.uint32(VERSION);
  bytes.uint64(tensors.length);
  bytes.uint64(metadata.size);
  for (const [key, value] of metadata) {
    bytes.string(key);
    writeValue(bytes, value);
  }
  const names = new Set<string>();
  let offset = 0;
  for (const tensor of tensors) {
    const { name, dtype, shape } = tensor;
    if (names.has(name)) throw new CheckpointError('DuplicateKey', file, `tensor "${name}" twice`);
    if (!fitsBlocks(dtype, shape)) {
      throw new CheckpointError(
        'ShapeMismatch',
        file,
        `tensor "${name}": expected rows of a multiple of ${formatOf(dtype).block} numbers for ${dtype}, ` +
          `got shape [${shape.join(', ')}]; write it as F32`,
      );
    }
    names.add(name);
    bytes.string(name);
    bytes.uint32(shape.length);
    for (const n of [...shape].reverse()) bytes.uint64(n);
    bytes.uint32(DTYPES[dtype]);
    bytes.uint64(offset);
    offset += aligned(ggufBytes(tensor));
  }
  return bytes.joined();
}

function writeValue(bytes: ByteList, { type, value }: GgufValue): void {
  switch (type) {
    case 'bool':
      bytes.uint32(VALUE_TYPES.bool);
      bytes.push(Uint8Array.of(value ? 1 : 0));
      return;
    case 'string':
      bytes.uint32(VALUE_TYPES.string);
      bytes.string(value);
      return;
    case 'uint32':
    case 'float32':
      bytes.uint32(VALUE_TYPES[type]);
      bytes.numbers(type, [value]);
      return;
    case 'string[]':
      bytes.uint32(VALUE_TYPES.array);
      bytes.uint32(VALUE_TYPES.string);
      bytes.uint64(value.length);
      for (const text of value) bytes.string(text);
      return;
    default: {
      const element = type.slice(0, -2) as 'uint32' | 'int32' | 'float32';
      bytes.uint32(VALUE_TYPES.array);
      bytes.uint32(VALUE_TYPES[element]);
      bytes.uint64(value.length);
      bytes.numbers(element, value);
    }
  }
}

function* encodeTensor(
  file: string,
  { name, dtype, shape }: GgufTensor,
  data: Vector,
): Generator<Uint8Array> {
  if (data.length !== sizeOf(shape)) {
    throw new CheckpointError(
      'ShapeMismatch',
      file,
      `tensor "${name}": expected ${sizeOf(shape)} numbers for shape [${shape.join(', ')}], got ${data.length}`,
    );
  }
  for (let from = 0; from < data.length; from += CHUNK) {
    const part = Float32Array.from(data.subarray(from, from + CHUNK));
    const bytes = encodeNumbers(part, dtype);
    if (!bytes) {
      throw new CheckpointError(
        'NonFinite',
        file,
        `tensor "${name}": expected ${TOO_LARGE[dtype]}`,
      );
    }
    yield bytes;
  }
}

/** Numbers in a format, each the nearest there is; undefined where one cannot be held. */
function encodeNumbers(values: Float32Array, dtype: GgufDtype): Uint8Array | undefined {
  switch (dtype) {
    case 'F32':
      return littleEndian('float32', values);
    case 'BF16':
      return encodeFloats(values, dtype);
    case 'F16':
      return encodeHalves(values);
    case 'Q8_0':
      return encodeQ8(values);
    case 'Q4_0':
      return encodeQ4(values);
  }
}

function encodeHalves(values: Float32Array): Uint8Array | undefined {
  const bytes = new Uint8Array(2 * values.length);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < values.length; i++) {
    const bits = signedHalfBits(values[i]);
    if (bits === undefined) return undefined;
    view.setUint16(2 * i, bits, true);
  }
  return bytes;
}

const aligned = (length: number) => Math.ceil(length / ALIGNMENT) * ALIGNMENT;
const padding = (length: number) => new Uint8Array(aligned(length) - length);

const IS_LITTLE_ENDIAN = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1;

/** Numbers as bytes, whatever this machine's order is. */
function littleEndian(type: 'uint32' | 'int32' | 'float32', values: ArrayLike<number>): Uint8Array {
  if (IS_LITTLE_ENDIAN && values instanceof Float32Array) {
    return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  }
  const bytes = new Uint8Array(4 * values.length);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < values.length; i++) {
    if (type === 'float32') view.setFloat32(4 * i, values[i], true);
    else if (type === 'int32') view.setInt32(4 * i, values[i], true);
    else view.setUint32(4 * i, values[i], true);
  }
  return bytes;
}

/** Bytes that are appended to. */
class ByteList {
  readonly #parts: Uint8Array[] = [];
  #length = 0;

  push(bytes: Uint8Array): void {
    this.#parts.push(bytes);
    this.#length += bytes.length;
  }

  numbers(type: 'uint32' | 'int32' | 'float32', values: ArrayLike<number>): void {
    this.push(littleEndian(type, values));
  }

  uint32(value: number): void {
    this.numbers('uint32', [value]);
  }

  uint64(value: number): void {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, BigInt(value), true);
    this.push(bytes);
  }

  /** Its length in bytes, then UTF-8. */
  string(text: string): void {
    const bytes = new TextEncoder().encode(text);
    this.uint64(bytes.length);
    this.push(bytes);
  }

  joined(): Uint8Array {
    const all = new Uint8Array(this.#length);
    let at = 0;
    for (const part of this.#parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  }
}
