/** The safetensors format: a header in JSON, then the tensors' bytes without a gap. */

import { DTYPE_BITS } from './dtypes.ts';
import { CheckpointError } from './errors.ts';
import type { ByteSource } from './files.ts';
import { type Json, JsonInteger, type JsonObject, parseJson } from './json.ts';

/** One tensor of a file, by its header. */
export interface TensorEntry {
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Where its bytes begin and end in the file. */
  readonly begin: number;
  readonly end: number;
}

export interface SafetensorsHeader {
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  /** The free texts under `__metadata__`. */
  readonly metadata: ReadonlyMap<string, string>;
}

/** The format's own limit. */
const MAX_HEADER_BYTES = 100_000_000;
const UINT64 = 2n ** 64n;

/**
 * Reads and checks a file's header; the tensors' bytes stay where they are.
 * @throws CheckpointError naming the file and what is wrong; nothing larger than the file is allocated.
 */
export async function readHeader(source: ByteSource): Promise<SafetensorsHeader> {
  const fail = (code: 'Truncated' | 'HeaderTooLarge' | 'NotACheckpoint', problem: string) =>
    new CheckpointError(code, source.name, problem);
  const start = await source.read(0, Math.min(source.size, 256));
  if (source.size < 8) {
    throw fail('Truncated', `expected at least 8 bytes, got ${source.size}; download it again`);
  }
  const headerBytes = new DataView(start.buffer, start.byteOffset).getBigUint64(0, true);
  if (headerBytes > BigInt(MAX_HEADER_BYTES) || 8n + headerBytes > BigInt(source.size)) {
    const other = looksLike(start);
    if (other) throw fail('NotACheckpoint', `expected safetensors, got ${other}`);
    if (headerBytes > BigInt(MAX_HEADER_BYTES)) {
      throw fail('HeaderTooLarge', `header of ${headerBytes} bytes exceeds ${MAX_HEADER_BYTES}`);
    }
    throw fail(
      'Truncated',
      `header ends at byte ${8n + headerBytes}, the file at ${source.size}; download it again`,
    );
  }
  const header = await source.read(8, Number(headerBytes));
  return parseHeader(header, source.size, source.name);
}

/** What a file is that begins like this, if it is something people mistake for a checkpoint. */
function looksLike(start: Uint8Array): string | undefined {
  const begins = (...wanted: number[]) => wanted.every((byte, i) => start[i] === byte);
  const text = String.fromCharCode(...start.subarray(0, 64)).trimStart();
  if (begins(0x50, 0x4b, 0x03, 0x04) || begins(0x50, 0x4b, 0x05, 0x06)) {
    return 'a zip archive (a PyTorch file?); convert it to safetensors';
  }
  if (begins(0x1f, 0x8b, 0x08)) return 'a gzip file';
  if (begins(0x89, 0x48, 0x44, 0x46)) return 'an HDF5 file';
  // a pickle's protocol is followed by an opcode, a header length of a few kilobytes by zeros
  if (begins(0x80) && start[1] <= 5 && start[2] !== 0) {
    return 'a Python pickle; convert it to safetensors';
  }
  if (text.startsWith('GGUF')) return 'a GGUF file';
  if (text.startsWith('version https://git-lfs')) return 'a Git LFS pointer; run git lfs pull';
  if (/^<(!doctype|html|head|body|\?xml)/i.test(text)) {
    return 'an HTML or XML page; download the file itself';
  }
  if (/^[{[]\s*["{[\]}]/.test(text)) return 'a JSON text';
  return undefined;
}

/**
 * Parses and checks the JSON header of a file of `fileSize` bytes.
 * @throws CheckpointError naming the file and what is wrong.
 */
export function parseHeader(header: Uint8Array, fileSize: number, file: string): SafetensorsHeader {
  const json = parseJson(header, {
    file,
    syntax: 'HeaderJson',
    utf8: 'HeaderUtf8',
    hasExactIntegers: true,
  });
  if (!(json instanceof Map) || header[0] !== 0x7b) {
    throw new CheckpointError('HeaderJson', file, 'expected the header to be a JSON object');
  }
  const metadata = readMetadata(json, file);
  const tensors = new Map<string, TensorEntry>();
  const dataStart = 8 + header.length;
  for (const [name, entry] of json) {
    if (name !== '__metadata__') tensors.set(name, readEntry(name, entry, dataStart, file));
  }
  checkLayout(tensors, dataStart, fileSize, file);
  return { tensors, metadata };
}

function readMetadata(json: JsonObject, file: string): Map<string, string> {
  const value = json.get('__metadata__') ?? new Map<string, Json>();
  const metadata = new Map<string, string>();
  for (const [key, text] of value instanceof Map ? value : [['', undefined] as const]) {
    if (typeof text !== 'string') {
      throw new CheckpointError(
        'HeaderSchema',
        file,
        '__metadata__: expected an object with texts for values',
      );
    }
    metadata.set(key, text);
  }
  return metadata;
}

function readEntry(name: string, entry: Json, dataStart: number, file: string): TensorEntry {
  const who = `tensor "${name}"`;
  const schema = (problem: string) =>
    new CheckpointError('HeaderSchema', file, `${who}: ${problem}`);
  if (!(entry instanceof Map)) throw schema('expected an object');
  const dtype = entry.get('dtype');
  if (typeof dtype !== 'string') throw schema('dtype: expected a text');
  const shape = unsigned64(entry.get('shape'));
  if (!shape) throw schema('shape: expected a list of whole numbers');
  const offsets = unsigned64(entry.get('data_offsets'));
  if (offsets?.length !== 2) throw schema('data_offsets: expected two whole numbers');

  const bits = DTYPE_BITS.get(dtype);
  if (bits === undefined) {
    const known = [...DTYPE_BITS.keys()].join(', ');
    throw new CheckpointError(
      'Dtype',
      file,
      `${who}: dtype: expected one of ${known}, got "${dtype}"`,
    );
  }
  const [begin, end] = offsets;
  if (begin > end || end > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new CheckpointError(
      'Offsets',
      file,
      `${who}: expected begin ≤ end, got [${begin}, ${end}]`,
    );
  }
  let elements = 1n;
  for (const n of shape) {
    elements *= n;
    if (elements * BigInt(bits) >= UINT64 || n > BigInt(Number.MAX_SAFE_INTEGER)) {
      throw new CheckpointError(
        'Overflow',
        file,
        `${who}: shape [${shape.join(', ')}] is too large`,
      );
    }
  }
  const wantedBits = elements * BigInt(bits);
  if (wantedBits !== 8n * (end - begin)) {
    throw new CheckpointError(
      'SizeMismatch',
      file,
      `${who}: ${dtype} of shape [${shape.join(', ')}] takes ${Number(wantedBits) / 8} bytes, ` +
        `its offsets span ${end - begin}`,
    );
  }
  return {
    dtype,
    shape: shape.map(Number),
    begin: dataStart + Number(begin),
    end: dataStart + Number(end),
  };
}

/** A list of integers in [0, 2⁶⁴), or undefined if it is anything else. */
function unsigned64(json: Json | undefined): bigint[] | undefined {
  if (!Array.isArray(json)) return undefined;
  const numbers: bigint[] = [];
  for (const item of json) {
    if (!(item instanceof JsonInteger) || item.value < 0n || item.value >= UINT64) return undefined;
    numbers.push(item.value);
  }
  return numbers;
}

/** The tensors must follow one another without gap or overlap and end with the file. */
function checkLayout(
  tensors: ReadonlyMap<string, TensorEntry>,
  dataStart: number,
  fileSize: number,
  file: string,
): void {
  const inOrder = [...tensors].sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end);
  let reached = dataStart;
  for (const [name, { begin, end }] of inOrder) {
    if (begin < reached) {
      throw new CheckpointError(
        'Overlap',
        file,
        `tensor "${name}" begins at byte ${begin}, inside the one before it`,
      );
    }
    if (begin > reached) {
      throw new CheckpointError(
        'Hole',
        file,
        `bytes ${reached} to ${begin} before tensor "${name}" belong to nothing`,
      );
    }
    reached = end;
  }
  if (reached > fileSize) {
    throw new CheckpointError(
      'Truncated',
      file,
      `tensors end at byte ${reached}, the file at ${fileSize}; download it again`,
    );
  }
  if (reached < fileSize) {
    throw new CheckpointError(
      'Trailing',
      file,
      `${fileSize - reached} bytes after the last tensor belong to nothing`,
    );
  }
}
