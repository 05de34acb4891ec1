/**
 * The header of llama.cpp's GGUF files, versions 2 and 3: metadata and the table of tensors, of files that nobody
 * vouches for.
 */

import { CheckpointError } from './errors.ts';
import type { ByteSource } from './files.ts';
import { GGML_TYPES } from './ggmlTypes.ts';
import { GgufCursor, HeaderGoesOn } from './ggufCursor.ts';
import { type GgufField, readField } from './ggufFields.ts';
import type { TensorEntry } from './safetensors.ts';

export interface GgufHeader {
  readonly version: number;
  readonly metadata: ReadonlyMap<string, GgufField>;
  /** In the order of the file. Shapes are row-major, as everywhere here; the file has them the other way round. */
  readonly tensors: ReadonlyMap<string, TensorEntry>;
}

const MAGIC = 'GGUF';
const VERSIONS = [2, 3];
/** What is read of a file at first: a header without a vocabulary. */
const FIRST_BYTES = 2 ** 16;
/** The largest vocabularies take 12 MB with their merges. */
const MAX_HEADER_BYTES = 25_000_000;
const MAX_KEYS = 2 ** 16;
const MAX_TENSORS = 2 ** 16;
const MAX_KEY_LENGTH = 2 ** 16 - 1;
const MAX_NAME_LENGTH = 64;
const MAX_DIMENSIONS = 4;
const DEFAULT_ALIGNMENT = 32;
const MAX_ALIGNMENT = 2 ** 20;
const INT64 = 2n ** 63n;

const UNSAFE: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);

/**
 * Reads and checks a file's header; the tensors' bytes stay where they are.
 * @throws CheckpointError naming the file and what is wrong; nothing is allocated that the file has no bytes for.
 */
export async function readGgufHeader(source: ByteSource): Promise<GgufHeader> {
  for (let wanted = FIRST_BYTES; ; wanted *= 4) {
    const length = Math.min(source.size, wanted, MAX_HEADER_BYTES);
    const header = parseGgufHeader(await source.read(0, length), source.size, source.name);
    if (header) return header;
    if (length === MAX_HEADER_BYTES) {
      throw new CheckpointError(
        'HeaderTooLarge',
        source.name,
        `expected a header of at most ${MAX_HEADER_BYTES} bytes, got more`,
      );
    }
  }
}

/**
 * Parses and checks the header that the first bytes of a file of `fileSize` bytes hold.
 * @returns undefined where it goes on behind them.
 * @throws CheckpointError naming the file and what is wrong.
 */
export function parseGgufHeader(
  bytes: Uint8Array,
  fileSize: number,
  file: string,
): GgufHeader | undefined {
  try {
    return parse(new GgufCursor(bytes, fileSize, file));
  } catch (error) {
    if (error instanceof HeaderGoesOn) return undefined;
    throw error;
  }
}

function parse(cursor: GgufCursor): GgufHeader {
  const fileSize = cursor.left;
  const version = readVersion(cursor);
  // what there are so many of is made one by one, and only of bytes that the file has
  const nTensors = cursor.count('tensors', MAX_TENSORS);
  const nKeys = cursor.count('keys', MAX_KEYS);

  const metadata = new Map<string, GgufField>();
  for (let i = 0; i < nKeys; i++) {
    const key = readKey(cursor, i);
    if (metadata.has(key)) cursor.fail('DuplicateKey', `key "${key}" twice`);
    metadata.set(key, readField(cursor, key));
  }
  const alignment = alignmentOf(cursor, metadata.get('general.alignment'));
  const infos: TensorInfo[] = [];
  const names = new Set<string>();
  for (let i = 0; i < nTensors; i++) {
    const info = readTensor(cursor, i);
    if (names.has(info.name)) cursor.fail('DuplicateKey', `tensor "${info.name}" twice`);
    names.add(info.name);
    infos.push(info);
  }
  const dataStart = Math.ceil(cursor.at / alignment) * alignment;
  return { version, metadata, tensors: placed(cursor, infos, { dataStart, alignment, fileSize }) };
}

function readVersion(cursor: GgufCursor): number {
  const magic = cursor.bytes(4, 'the magic');
  if (String.fromCharCode(...magic) !== MAGIC) {
    const hex = Array.from(magic, (byte) => byte.toString(16).padStart(2, '0')).join(' ');
    cursor.fail('Magic', `expected a file that begins with "${MAGIC}", got the bytes ${hex}`);
  }
  const version = cursor.uint32('the version');
  if (version !== 0 && (version & 0xffff) === 0) {
    cursor.fail('Endian', 'expected little-endian numbers, got a big-endian file; convert it');
  }
  if (!VERSIONS.includes(version)) {
    cursor.fail('Version', `expected version ${VERSIONS.join(' or ')}, got ${version}; convert it`);
  }
  return version;
}

function readKey(cursor: GgufCursor, i: number): string {
  const key = cursor.string(`key ${i}`, MAX_KEY_LENGTH);
  const parts = key.split('.');
  if (parts.some((part) => UNSAFE.has(part))) {
    cursor.fail('UnsafeKey', `key "${key}": is refused, since it means something to JavaScript`);
  }
  // architectures may have hyphens in their names
  if (!parts.every((part) => /^[a-z0-9_-]+$/.test(part))) {
    cursor.fail('Kv', `key ${i}: expected lower_snake_case with dots, got "${key.slice(0, 64)}"`);
  }
  return key;
}

function alignmentOf(cursor: GgufCursor, field: GgufField | undefined): number {
  if (!field) return DEFAULT_ALIGNMENT;
  const { type, value } = field;
  const isPower = typeof value === 'number' && value > 0 && (value & (value - 1)) === 0;
  if (type !== 'uint32' || !isPower || value > MAX_ALIGNMENT) {
    const got = typeof value === 'number' ? String(value) : type;
    cursor.fail(
      'Align',
      `general.alignment: expected a power of two up to ${MAX_ALIGNMENT}, got ${got}`,
    );
  }
  return value as number;
}

interface TensorInfo {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: bigint;
  /** From where the data begin. */
  readonly offset: bigint;
}

function readTensor(cursor: GgufCursor, i: number): TensorInfo {
  const name = cursor.string(`name of tensor ${i}`, MAX_NAME_LENGTH, 'HeaderUtf8');
  const who = `tensor "${name}"`;
  const nDims = cursor.uint32(who);
  if (nDims > MAX_DIMENSIONS) {
    cursor.fail('Limit', `${who}: expected at most ${MAX_DIMENSIONS} dimensions, got ${nDims}`);
  }
  const sizes = Array.from({ length: nDims }, () => cursor.uint64(who));
  const number = cursor.uint32(who);
  const offset = cursor.uint64(who);
  const type = GGML_TYPES.get(number);
  if (!type) {
    cursor.fail('Dtype', `${who}: type: expected one of ggml's that files hold, got ${number}`);
  }
  const shown = `[${[...sizes].reverse().join(', ')}]`;
  if (sizes.some((n) => n >= INT64)) cursor.fail('Shape', `${who}: shape ${shown} has sizes < 0`);
  const elements = sizes.reduce((product, n) => product * n, 1n);
  const bytes = (elements / BigInt(type.block)) * BigInt(type.bytes);
  const isTooLarge = sizes.some((n) => n > BigInt(Number.MAX_SAFE_INTEGER));
  if (isTooLarge || elements >= INT64 || bytes >= INT64) {
    cursor.fail('Overflow', `${who}: shape ${shown} is too large`);
  }
  if ((sizes[0] ?? 1n) % BigInt(type.block) !== 0n) {
    cursor.fail(
      'Shape',
      `${who}: expected rows of whole blocks of ${type.block} for ${type.name}, got shape ${shown}`,
    );
  }
  return { name, dtype: type.name, shape: sizes.map(Number).reverse(), bytes, offset };
}

interface Layout {
  readonly dataStart: number;
  readonly alignment: number;
  readonly fileSize: number;
}

/** The tensors must follow one another, each at the next multiple of the alignment, as ggml has it. */
function placed(
  cursor: GgufCursor,
  infos: readonly TensorInfo[],
  { dataStart, alignment, fileSize }: Layout,
): Map<string, TensorEntry> {
  const unit = BigInt(alignment);
  const start = BigInt(dataStart);
  infos.forEach(({ name, offset }, i) => {
    if (i > 0 && offset < infos[i - 1].offset) {
      cursor.fail('Offsets', `tensor "${name}" lies before the one that precedes it in the table`);
    }
  });
  const tensors = new Map<string, TensorEntry>();
  let reached = 0n;
  for (const { name, dtype, shape, bytes, offset } of infos) {
    const who = `tensor "${name}"`;
    if (offset !== reached) {
      const got = `begins ${offset} bytes into the data`;
      if (start + offset > BigInt(fileSize)) {
        cursor.fail('Offsets', `${who} ${got}, behind the end of the file`);
      }
      if (offset % unit !== 0n) {
        cursor.fail('Align', `${who} ${got}, expected a multiple of ${alignment}`);
      }
      if (offset < reached) cursor.fail('Overlap', `${who} ${got}, inside the one before it`);
      cursor.fail('Hole', `${who} ${got}; those from ${reached} on belong to nothing`);
    }
    const end = start + offset + bytes;
    if (end > BigInt(fileSize)) {
      cursor.fail(
        'Truncated',
        `${who} ends at byte ${end}, the file at ${fileSize}; download it again`,
      );
    }
    const begin = Number(start + offset);
    tensors.set(name, { dtype, shape, begin, end: Number(end) });
    reached = ((offset + bytes + unit - 1n) / unit) * unit;
  }
  return tensors;
}
