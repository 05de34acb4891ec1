/** A golden case: named inputs and attributes in, named outputs out, in upstream's vocabulary. */

import type { RunOp } from '../../../backends/types.ts';
import { ConfigError } from '../../../reference/errors.ts';
import { type Precision, type Tensor, toPrecision } from '../../../reference/tensor.ts';
import { isFloatDtype } from '../../checkpoint/dtypes.ts';
import { type Json, type JsonObject, parseJson } from '../../checkpoint/json.ts';
import type { TensorFile } from '../../checkpoint/tensorFile.ts';

export type { RunOp } from '../../../backends/types.ts';

/** Whole numbers: token ids, lengths, counts. */
export interface IntegerTensor {
  readonly data: number[];
  readonly shape: readonly number[];
}

/** Outputs by their name without `out.`. */
export type Outputs = Record<string, Tensor | { readonly integers: IntegerTensor }>;

/** Turns a case of one upstream op into calls of ours, and our outputs into upstream's. */
export type Adapter = (goldenCase: GoldenCase, run: RunOp) => Promise<Outputs>;

/** The inputs and attributes of one case file. */
export class GoldenCase {
  readonly name: string;
  /** Upstream's name of the op, or undefined for a model case. */
  readonly op?: string;
  /** The model family, or undefined for an op case. */
  readonly family?: string;
  readonly provenance: string;
  readonly #attributes: JsonObject;
  readonly #floats = new Map<string, Tensor>();
  readonly #integers = new Map<string, IntegerTensor>();

  private constructor(file: TensorFile) {
    const { metadata } = file.header;
    this.name = metadata.get('id') ?? file.name;
    this.op = metadata.get('op');
    this.family = metadata.get('family');
    this.provenance = metadata.get('provenance') ?? '';
    const attributes = parseJson(new TextEncoder().encode(metadata.get('attrs') ?? '{}'), {
      file: `${file.name} attrs`,
      syntax: 'HeaderJson',
      allowsNonFinite: true,
    });
    this.#attributes = attributes instanceof Map ? attributes : new Map();
  }

  /** Whether a file's metadata names an op or a model family: other files are no cases. */
  static isCase(file: TensorFile): boolean {
    return file.header.metadata.has('op') || file.header.metadata.has('family');
  }

  /** Reads all `in.*` tensors of a case file; floats in the given precision. */
  static async read(file: TensorFile, precision: Precision): Promise<GoldenCase> {
    const goldenCase = new GoldenCase(file);
    for (const [name, { dtype }] of file.header.tensors) {
      if (!name.startsWith('in.')) continue;
      const key = name.slice('in.'.length);
      if (isFloatDtype(dtype)) {
        goldenCase.#floats.set(key, toPrecision(await file.floats(name), precision));
      } else {
        const { data, shape } = await file.integers(name);
        goldenCase.#integers.set(key, { data: Array.from(data as number[], Number), shape });
      }
    }
    return goldenCase;
  }

  /** @throws ConfigError when the case lacks this input. */
  tensor(name: string): Tensor {
    return this.#floats.get(name) ?? this.#lacks(`in.${name} (floats)`);
  }

  optional(name: string): Tensor | undefined {
    return this.#floats.get(name);
  }

  /** @throws ConfigError when the case lacks this input. */
  integers(name: string): IntegerTensor {
    return this.#integers.get(name) ?? this.#lacks(`in.${name} (integers)`);
  }

  optionalIntegers(name: string): IntegerTensor | undefined {
    return this.#integers.get(name);
  }

  attribute(name: string): Json | undefined {
    return this.#attributes.get(name);
  }

  /** A number; "Infinity" and the like may be written as texts. */
  number(name: string, fallback?: number): number {
    const value = numberFrom(this.#attributes.get(name) ?? undefined) ?? fallback;
    return value ?? this.#lacks(`attrs.${name} (number)`);
  }

  numbers(name: string): number[] | undefined {
    const value = this.#attributes.get(name);
    return Array.isArray(value) ? value.map((item) => numberFrom(item) ?? Number.NaN) : undefined;
  }

  boolean(name: string, fallback = false): boolean {
    const value = this.#attributes.get(name);
    return typeof value === 'boolean' ? value : fallback;
  }

  text(name: string): string | undefined {
    const value = this.#attributes.get(name);
    return typeof value === 'string' ? value : undefined;
  }

  #lacks(what: string): never {
    throw new ConfigError(
      `${this.name}: expected ${what}, which the case does not have`,
      'CaseInput',
    );
  }
}

function numberFrom(value: Json | undefined): number | undefined {
  if (typeof value === 'number') return value;
  const named = ['Infinity', '-Infinity', 'NaN'];
  return typeof value === 'string' && named.includes(value) ? Number(value) : undefined;
}
