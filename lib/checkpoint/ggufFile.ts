/** A GGUF file open for reading, tensor by tensor. */

import type { Tensor } from '../../reference/tensor.ts';
import { decodeFloats, decodeIntegers, isFloatDtype } from './dtypes.ts';
import { CheckpointError } from './errors.ts';
import type { ByteSource } from './files.ts';
import { type GgufHeader, readGgufHeader } from './ggufHeader.ts';
import { decodeQ4 } from './q4.ts';
import { decodeQ8 } from './q8.ts';
import type { TensorEntry } from './safetensors.ts';
import type { IntegerTensor, TensorReader } from './tensorFile.ts';

/** An open file: its header is known, its tensors are read when asked for. Names and shapes are the file's own. */
export class GgufFile implements TensorReader {
  readonly name: string;
  readonly header: GgufHeader;
  readonly #source: ByteSource;

  private constructor(source: ByteSource, header: GgufHeader) {
    this.name = source.name;
    this.header = header;
    this.#source = source;
  }

  /**
   * Opens a source as GGUF and takes it over: it is closed with the file, or here when it is bad.
   * @throws CheckpointError when it is not a sound GGUF file.
   */
  static async open(source: ByteSource): Promise<GgufFile> {
    try {
      return new GgufFile(source, await readGgufHeader(source));
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

  /** The bytes of one tensor in its entry's dtype, read from the file now: blocks stay blocks. */
  async bytes(name: string): Promise<Uint8Array> {
    const { begin, end } = this.entry(name);
    return this.#source.read(begin, end - begin);
  }

  /**
   * One tensor as numbers: F64 as doubles, all else as floats, which hold them exactly.
   * @throws CheckpointError with code MissingTensor, or Dtype for a format that is not decoded here.
   */
  async floats(name: string): Promise<Tensor> {
    const { dtype, shape } = this.entry(name);
    expectDecoded(this.name, name, dtype);
    return { data: decodeGgml(await this.bytes(name), dtype), shape };
  }

  async integers(name: string): Promise<IntegerTensor> {
    const { dtype, shape } = this.entry(name);
    return { data: decodeIntegers(await this.bytes(name), dtype), shape };
  }
}

/** @throws CheckpointError with code Dtype for a format whose numbers cannot be read here. */
export function expectDecoded(file: string, name: string, dtype: string): void {
  if (isFloatDtype(dtype) || dtype === 'Q8_0' || dtype === 'Q4_0') return;
  throw new CheckpointError(
    'Dtype',
    file,
    `tensor "${name}": expected F32, F16, BF16, Q8_0 or Q4_0, got ${dtype}; ` +
      'convert it with llama-quantize --allow-requantize, or take another file of the model',
  );
}

/** The numbers of a tensor's bytes; its format must be one of {@link expectDecoded}'s. */
function decodeGgml(bytes: Uint8Array, dtype: string): Float64Array | Float32Array {
  if (dtype === 'Q8_0') return decodeQ8(bytes);
  if (dtype === 'Q4_0') return decodeQ4(bytes);
  return decodeFloats(bytes, dtype as 'F32');
}
