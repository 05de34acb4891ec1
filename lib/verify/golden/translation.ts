/** The way back: an input of ours written as a case of upstream's op, and the answer to it read as our output. */

import { ConfigError } from '../../../reference/errors.ts';
import type { OpName, Ops } from '../../../reference/ops.ts';
import { type Precision, type Tensor, toPrecision } from '../../../reference/tensor.ts';
import {
  encodeSafetensors,
  type TensorFile,
  type WritableTensor,
} from '../../checkpoint/tensorFile.ts';
import type { IntegerTensor } from './case.ts';

/** What a case file holds. */
export interface WrittenCase {
  /** Upstream's name of the op. */
  readonly op: string;
  /** Inputs by their name without `in.`; those that are undefined are left out. */
  readonly tensors: Readonly<
    Record<string, Tensor | { readonly integers: IntegerTensor } | undefined>
  >;
  /** Attributes, as JSON has them; an infinity is written as a text. */
  readonly attributes: Readonly<Record<string, unknown>>;
}

/** One of our ops in upstream's terms. */
export interface Translation<Name extends OpName> {
  /** Upstream's ops that are this one; none where a step is written as a sequence of one token. */
  readonly names: readonly string[];
  /** Undefined for an input that upstream's op has no way to express. */
  write(input: Parameters<Ops[Name]>[0]): WrittenCase | undefined;
  /** Only the output that the op is for must have been answered; all that was must have the right shape. */
  read(
    answer: Answer,
    input: Parameters<Ops[Name]>[0],
  ): Promise<{ [Output in keyof ReturnType<Ops[Name]>]?: ReturnType<Ops[Name]>[Output] }>;
  /** Whether upstream's own implementation takes this input, where the case's form would allow more. */
  isUpstreams?(input: Parameters<Ops[Name]>[0]): boolean;
}

/** The `out.*` tensors of a file that somebody wrote as the answer to a case. */
export class Answer {
  readonly #file: TensorFile;
  readonly #precision: Precision;

  /** Numbers are given in `precision`, whatever the file stores. */
  constructor(file: TensorFile, precision: Precision) {
    this.#file = file;
    this.#precision = precision;
  }

  /** @throws ConfigError with code CaseOutput when it is missing, has another shape or is not of floats. */
  async tensor(name: string, ...shape: number[]): Promise<Tensor> {
    const tensor = await this.optional(name, ...shape);
    if (tensor) return tensor;
    const [first = 'none'] = this.#file.header.tensors.keys();
    throw new ConfigError(
      `expected tensor "out.${name}", got none (first: ${first})`,
      'CaseOutput',
    );
  }

  /** Undefined when it is missing. */
  async optional(name: string, ...shape: number[]): Promise<Tensor | undefined> {
    const entry = this.#file.header.tensors.get(`out.${name}`);
    if (!entry) return undefined;
    // before anything is read: a hostile shape may be larger than memory
    if (entry.shape.join() !== shape.join()) {
      throw new ConfigError(
        `out.${name}: expected shape [${shape.join(', ')}], got [${entry.shape.join(', ')}]`,
        'CaseOutput',
      );
    }
    return toPrecision(await this.#file.floats(`out.${name}`), this.#precision);
  }
}

/** A case as the bytes of a file: floats as F64 or F32 by their array, integers as I64. */
export function encodeCase({ op, tensors, attributes }: WrittenCase, id: string): Uint8Array {
  const inputs = new Map<string, WritableTensor>();
  for (const [name, value] of Object.entries(tensors)) {
    if (value === undefined) continue;
    if ('integers' in value) {
      const { data, shape } = value.integers;
      inputs.set(`in.${name}`, { data: BigInt64Array.from(data, BigInt), shape });
    } else inputs.set(`in.${name}`, value);
  }
  return encodeSafetensors(inputs, {
    format: 'golden-1',
    id,
    op,
    attrs: JSON.stringify(attributes),
  });
}
