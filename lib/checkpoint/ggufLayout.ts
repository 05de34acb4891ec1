/** A GGUF file's tensors brought into our shapes: what llama.cpp's converter does to a checkpoint, undone. */

import type { MixerConfig, ModelConfig } from '../../reference/config.ts';
import { log } from '../../reference/elementary.ts';
import { sizeOf, type Tensor } from '../../reference/tensor.ts';
import { CheckpointError } from './errors.ts';
import { expectDecoded, type GgufFile } from './ggufFile.ts';
import { ROPE_FACTORS } from './ggufRope.ts';
import type { TensorEntry } from './safetensors.ts';
import type { IntegerTensor, TensorReader } from './tensorFile.ts';

/** A tensor as it is shown. */
interface View {
  readonly entry: TensorEntry;
  /** Channels of a head whose rows are to be put back in the order of pairs (i, i + headDim/2). */
  readonly headDim?: number;
  /** Whether the file has A, and log(−A) is shown. */
  readonly isA?: boolean;
}

/** A file's tensors by its names, in the shapes and the order of a checkpoint's. */
export class GgufLayout implements TensorReader {
  readonly header: { readonly tensors: ReadonlyMap<string, TensorEntry> };
  readonly #file: GgufFile;
  readonly #views = new Map<string, View>();

  /**
   * Takes the file over. Factors of rope are taken to be in the config already.
   * @throws CheckpointError with code Dtype for a format that is not decoded here.
   */
  constructor(file: GgufFile, config: ModelConfig) {
    this.#file = file;
    const isRotated = config.layers.some(({ mixer }) => mixer.kind === 'attention' && mixer.rope);
    for (const [name, entry] of file.header.tensors) {
      if (name === ROPE_FACTORS && isRotated) continue;
      expectDecoded(file.name, name, entry.dtype);
      const [, layer, rest] = /^blk\.(\d+)\.(.*)$/.exec(name) ?? [];
      const mixer = layer === undefined ? undefined : config.layers[Number(layer)]?.mixer;
      this.#views.set(name, mixer ? viewOf(entry, rest, mixer) : { entry });
    }
    this.header = { tensors: new Map([...this.#views].map(([name, { entry }]) => [name, entry])) };
  }

  get name(): string {
    return this.#file.name;
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  entry(name: string): TensorEntry {
    return this.#view(name).entry;
  }

  /** Blocks stay blocks; rows of queries and keys are moved whole. */
  async bytes(name: string): Promise<Uint8Array> {
    const { isA, headDim, entry } = this.#view(name);
    if (isA) {
      const { data } = await this.floats(name);
      return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    }
    const bytes = await this.#file.bytes(name);
    return headDim ? inHalves(bytes, headDim, bytes.length / entry.shape[0]) : bytes;
  }

  async floats(name: string): Promise<Tensor> {
    const { isA, headDim, entry } = this.#view(name);
    const { data } = await this.#file.floats(name);
    const { shape } = entry;
    if (isA) return { data: this.#logarithms(name, data), shape };
    return { data: headDim ? inHalves(data, headDim, sizeOf(shape.slice(1))) : data, shape };
  }

  integers(name: string): Promise<IntegerTensor> {
    return this.#file.integers(name);
  }

  #view(name: string): View {
    const view = this.#views.get(name);
    if (!view) throw new CheckpointError('MissingTensor', this.name, `no tensor "${name}"`);
    return view;
  }

  /** ALog of A = −exp(ALog), in double precision, where A comes back as it was. */
  #logarithms(name: string, A: ArrayLike<number>): Float64Array {
    return Float64Array.from(A, (a, i) => {
      if (!(a >= 0)) return log(-a);
      throw new CheckpointError(
        'ConfigRange',
        this.name,
        `tensor "${name}": expected numbers < 0, got ${a} at element ${i}`,
      );
    });
  }
}

/** @param rest the name within its layer. */
function viewOf(entry: TensorEntry, rest: string, mixer: MixerConfig): View {
  const { shape } = entry;
  const [rows, width] = shape;
  const shaped = (to: readonly number[]) => ({ entry: { ...entry, shape: to } });
  const isColumn = mixer.kind === 'mamba2' && shape.length === 2 && width === 1;
  switch (rest) {
    case 'ssm_a':
      return { entry: { ...entry, dtype: 'F64', shape: isColumn ? [rows] : shape }, isA: true };
    case 'ssm_d':
      return isColumn ? shaped([rows]) : { entry };
    case 'ssm_norm.weight': {
      const isByGroups = mixer.kind === 'mamba2' && shape.length === 2 && rows === mixer.nGroups;
      return isByGroups ? shaped([rows * width]) : { entry };
    }
    case 'ssm_conv1d.weight':
      // as nn.Conv1d stores them
      return shape.length === 2 ? shaped([rows, 1, width]) : { entry };
    case 'attn_q.weight':
    case 'attn_k.weight':
    case 'attn_q.bias':
    case 'attn_k.bias': {
      const isMoved = mixer.kind === 'attention' && mixer.rope && rows % mixer.headDim === 0;
      return isMoved ? { entry, headDim: mixer.headDim } : { entry };
    }
    default:
      return { entry };
  }
}

/** Rows of each head from pairs (2i, 2i + 1) to pairs (i, i + headDim/2); a row is `width` elements. */
function inHalves<T extends Uint8Array | Float32Array | Float64Array>(
  data: T,
  headDim: number,
  width: number,
): T {
  const moved = data.slice() as T;
  const half = headDim / 2;
  for (let row = 0; row < data.length / width; row++) {
    const within = row % headDim;
    const to = row - within + (within % 2 === 0 ? within / 2 : half + (within - 1) / 2);
    moved.set(data.subarray(row * width, (row + 1) * width), to * width);
  }
  return moved;
}
