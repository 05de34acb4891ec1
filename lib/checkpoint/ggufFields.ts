/** The metadata of GGUF files: values with the types that they have in the file. */

import type { GgufCursor } from './ggufCursor.ts';

export type GgufScalar = number | bigint | boolean | string;
/** Numbers stay in arrays of their own type, 64-bit ones exact; bools are bytes of 0 and 1. */
export type GgufArray =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | Float32Array
  | BigUint64Array
  | BigInt64Array
  | Float64Array
  | readonly string[]
  | readonly GgufArray[];

/** A value of the metadata. */
export interface GgufField {
  /** As `uint32`, `string`; of arrays that of the elements with `[]` behind it. */
  readonly type: string;
  readonly value: GgufScalar | GgufArray;
}

/** A type of number: its bytes, and how they become an array. */
interface NumberType {
  readonly name: string;
  readonly bytes: number;
  readonly array: (buffer: ArrayBuffer) => Exclude<GgufArray, readonly unknown[]>;
}

const BOOL = 7;
const STRING = 8;
const ARRAY = 9;
const NUMBERS: ReadonlyMap<number, NumberType> = new Map([
  [0, { name: 'uint8', bytes: 1, array: (b) => new Uint8Array(b) }],
  [1, { name: 'int8', bytes: 1, array: (b) => new Int8Array(b) }],
  [2, { name: 'uint16', bytes: 2, array: (b) => new Uint16Array(b) }],
  [3, { name: 'int16', bytes: 2, array: (b) => new Int16Array(b) }],
  [4, { name: 'uint32', bytes: 4, array: (b) => new Uint32Array(b) }],
  [5, { name: 'int32', bytes: 4, array: (b) => new Int32Array(b) }],
  [6, { name: 'float32', bytes: 4, array: (b) => new Float32Array(b) }],
  [10, { name: 'uint64', bytes: 8, array: (b) => new BigUint64Array(b) }],
  [11, { name: 'int64', bytes: 8, array: (b) => new BigInt64Array(b) }],
  [12, { name: 'float64', bytes: 8, array: (b) => new Float64Array(b) }],
]);

const MAX_STRING_BYTES = 10_000_000;
const MAX_ITEMS = 2 ** 24;
const MAX_DEPTH = 4;

/**
 * A value, its type first.
 * @throws CheckpointError with code Kv for a type or a bool that there is not, Limit, Truncated.
 */
export function readField(cursor: GgufCursor, key: string): GgufField {
  const who = `key "${key}"`;
  const type = cursor.uint32(who);
  const number = NUMBERS.get(type);
  if (number) return { type: number.name, value: readNumbers(cursor, number, 1, who)[0] };
  if (type === BOOL) return { type: 'bool', value: readBools(cursor, 1, who)[0] === 1 };
  if (type === STRING) {
    return { type: 'string', value: cursor.string(who, MAX_STRING_BYTES) };
  }
  if (type === ARRAY) {
    const elements = cursor.uint32(who);
    return { type: `${typeName(elements)}[]`, value: readArray(cursor, elements, who, 1) };
  }
  return cursor.fail('Kv', `${who}: expected a type of value from 0 to 12, got ${type}`);
}

function typeName(type: number): string {
  const others: Record<number, string> = { [BOOL]: 'bool', [STRING]: 'string', [ARRAY]: 'array' };
  return NUMBERS.get(type)?.name ?? others[type] ?? String(type);
}

function readNumbers(
  cursor: GgufCursor,
  { bytes, array }: NumberType,
  count: number,
  who: string,
): Exclude<GgufArray, readonly unknown[]> {
  return array(cursor.bytes(bytes * count, who).buffer as ArrayBuffer);
}

function readBools(cursor: GgufCursor, count: number, who: string): Uint8Array {
  const values = cursor.bytes(count, who);
  const other = values.find((value) => value > 1);
  if (other !== undefined) cursor.fail('Kv', `${who}: expected a bool of 0 or 1, got ${other}`);
  return values;
}

/** One after another: the list grows with what has been read. */
function items<T>(count: number, read: () => T): T[] {
  const list: T[] = [];
  for (let i = 0; i < count; i++) list.push(read());
  return list;
}

function readArray(cursor: GgufCursor, type: number, who: string, depth: number): GgufArray {
  const number = NUMBERS.get(type);
  if (!number && type !== BOOL && type !== STRING && type !== ARRAY) {
    cursor.fail('Kv', `${who}: expected elements of a type from 0 to 12, got ${type}`);
  }
  const count = cursor.count(`${who}: elements`, MAX_ITEMS);
  // what follows is made only of bytes that the file has: numbers at once, all else one by one
  if (number) return readNumbers(cursor, number, count, who);
  if (type === BOOL) return readBools(cursor, count, who);
  if (type === STRING) return items(count, () => cursor.string(who, MAX_STRING_BYTES));
  if (depth >= MAX_DEPTH) {
    cursor.fail('Limit', `${who}: expected arrays of at most ${MAX_DEPTH} levels, got more`);
  }
  return items(count, () => {
    cursor.countArray();
    return readArray(cursor, cursor.uint32(who), who, depth + 1);
  });
}
