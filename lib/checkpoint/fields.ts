/** Reading a config file's fields: each with its range, each error naming the field. */

import { CheckpointError } from './errors.ts';
import type { Json, JsonObject } from './json.ts';

interface NumberRange {
  min?: number;
  max?: number;
  /** Used when the field is absent. Without it the field must be there. */
  default?: number;
}

/** The largest width of anything: far above any model, far below what arithmetic could lose. */
const MAX_SIZE = 2 ** 24;

/** An object of a config file. Remembers which fields were asked for, so that the rest can be refused. */
export class Fields {
  readonly file: string;
  readonly #object: JsonObject;
  readonly #path: string;
  readonly #asked = new Set<string>();

  constructor(object: JsonObject, file: string, path = '') {
    this.#object = object;
    this.file = file;
    this.#path = path;
  }

  /** @throws CheckpointError with code ConfigRange, always: the field's value is `problem`. */
  refuse(name: string, problem: string): never {
    throw new CheckpointError('ConfigRange', this.file, `${this.#path}${name}: ${problem}`);
  }

  has(name: string): boolean {
    this.#asked.add(name);
    const value = this.#object.get(name);
    return value !== undefined && value !== null;
  }

  /** The raw value; undefined when absent. */
  raw(name: string): Json | undefined {
    this.#asked.add(name);
    return this.#object.get(name);
  }

  /** A whole number ≥ 1 and at most 2²⁴, unless the range says otherwise. */
  integer(name: string, range: NumberRange = {}): number {
    const { min = 1, max = MAX_SIZE } = range;
    const value = this.#present(name, range.default);
    if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max) {
      this.refuse(name, `expected a whole number from ${min} to ${max}, got ${show(value)}`);
    }
    return value;
  }

  /** A finite number > 0, unless the range says otherwise. */
  number(name: string, range: NumberRange = {}): number {
    const { min = Number.MIN_VALUE, max = Number.MAX_VALUE } = range;
    const value = this.#present(name, range.default);
    if (typeof value !== 'number' || !(value >= min && value <= max)) {
      const wanted = range.min === undefined ? 'a number > 0' : `a number from ${min} to ${max}`;
      this.refuse(name, `expected ${wanted}, got ${show(value)}`);
    }
    return value;
  }

  boolean(name: string, fallback: boolean): boolean {
    const value = this.#present(name, fallback);
    if (typeof value !== 'boolean') this.refuse(name, `expected true or false, got ${show(value)}`);
    return value;
  }

  /** One of a few texts. */
  choice<T extends string>(name: string, choices: readonly T[], fallback: T): T {
    const value = this.#present(name, fallback);
    if (typeof value !== 'string' || !(choices as readonly string[]).includes(value)) {
      this.refuse(name, `expected ${choices.join(' or ')}, got ${show(value)}`);
    }
    return value as T;
  }

  /** Distinct whole numbers in [0, below). */
  indices(name: string, below: number): number[] {
    const value = this.raw(name) ?? [];
    const isIndex = (item: Json): item is number =>
      typeof item === 'number' && Number.isInteger(item) && item >= 0 && item < below;
    if (!Array.isArray(value) || !value.every(isIndex) || new Set(value).size !== value.length) {
      this.refuse(
        name,
        `expected distinct whole numbers from 0 to ${below - 1}, got ${show(value)}`,
      );
    }
    return value;
  }

  /** An object inside; empty when absent. */
  object(name: string): Fields {
    const value = this.raw(name) ?? new Map<string, Json>();
    if (!(value instanceof Map)) this.refuse(name, `expected an object, got ${show(value)}`);
    return new Fields(value, this.file, `${this.#path}${name}.`);
  }

  /** Notes fields as understood that do not change what is computed here. */
  ignore(...names: string[]): void {
    for (const name of names) this.#asked.add(name);
  }

  /** @throws CheckpointError with code ConfigRange when there are fields that nobody asked for. */
  refuseOthers(): void {
    const others = [...this.#object.keys()].filter((name) => !this.#asked.has(name));
    if (others.length > 0) {
      this.refuse(
        others[0],
        'is not supported here; remove it if the model was trained without it',
      );
    }
  }

  #present(name: string, fallback: Json | undefined): Json {
    const value = this.raw(name) ?? undefined;
    if (value !== undefined) return value;
    if (this.#object.has(name) && fallback === undefined) return null;
    if (fallback === undefined) {
      throw new CheckpointError('ConfigSchema', this.file, `${this.#path}${name}: is missing`);
    }
    return fallback;
  }
}

function show(value: Json | undefined): string {
  if (value instanceof Map) return 'an object';
  if (Array.isArray(value)) return `[${value.slice(0, 8).map(show).join(', ')}]`;
  return typeof value === 'string' ? JSON.stringify(value.slice(0, 40)) : String(value);
}
