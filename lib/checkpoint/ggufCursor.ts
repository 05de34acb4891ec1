/** Walking through the bytes of a GGUF header: every length is held against the file before anything is made of it. */

import { CheckpointError } from './errors.ts';

/** Texts of a file, all together: more than any vocabulary with its merges has. */
const MAX_STRINGS = 2 ** 20;
/** Arrays inside arrays, all together: nothing has them so far, and each costs more than its bytes. */
const MAX_NESTED = 1024;

/** That a header goes on behind the bytes that were read so far. */
export class HeaderGoesOn extends Error {}

/** The first bytes of a file, taken one value after another; little-endian. */
export class GgufCursor {
  readonly file: string;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #fileSize: number;
  #at = 0;
  #strings = 0;
  #arrays = 0;

  constructor(bytes: Uint8Array, fileSize: number, file: string) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#fileSize = fileSize;
    this.file = file;
  }

  /** Where the next value begins. */
  get at(): number {
    return this.#at;
  }

  /** Bytes from here to the end of the file. */
  get left(): number {
    return this.#fileSize - this.#at;
  }

  /** @throws CheckpointError, always. */
  fail(code: CheckpointError['code'], problem: string): never {
    throw new CheckpointError(code, this.file, problem);
  }

  /**
   * Goes over as many bytes.
   * @returns where they begin.
   * @throws CheckpointError with code Truncated where the file ends before them; HeaderGoesOn where it does not.
   */
  take(length: number, what: string): number {
    if (length > this.left) {
      this.fail(
        'Truncated',
        `${what} at byte ${this.#at} takes ${length} bytes, the file ends at byte ${this.#fileSize}; ` +
          'download it again',
      );
    }
    if (this.#at + length > this.#bytes.length) throw new HeaderGoesOn();
    this.#at += length;
    return this.#at - length;
  }

  uint32(what: string): number {
    return this.#view.getUint32(this.take(4, what), true);
  }

  uint64(what: string): bigint {
    return this.#view.getBigUint64(this.take(8, what), true);
  }

  /** So many bytes in a buffer of their own. */
  bytes(length: number, what: string): Uint8Array {
    const from = this.take(length, what);
    return this.#bytes.slice(from, from + length);
  }

  /**
   * A number that says how many there are of something.
   * @throws CheckpointError with code Limit above `most`.
   */
  count(what: string, most: number): number {
    const count = this.uint64(what);
    if (count > BigInt(most)) this.fail('Limit', `${what}: expected at most ${most}, got ${count}`);
    return Number(count);
  }

  /** @throws CheckpointError with code Limit when there have been too many. */
  countArray(): void {
    this.#arrays += 1;
    if (this.#arrays > MAX_NESTED) this.fail('Limit', `more than ${MAX_NESTED} arrays in arrays`);
  }

  /**
   * A text: its length in bytes, then UTF-8.
   * @throws CheckpointError with code Limit for one that is longer than `most` bytes, `notUtf8` for other bytes.
   */
  string(what: string, most: number, notUtf8: 'Kv' | 'HeaderUtf8' = 'Kv'): string {
    const length = this.count(`${what}: bytes`, most);
    this.#strings += 1;
    if (this.#strings > MAX_STRINGS) this.fail('Limit', `more than ${MAX_STRINGS} texts`);
    const from = this.take(length, what);
    try {
      return UTF8.decode(this.#bytes.subarray(from, from + length));
    } catch {
      return this.fail(notUtf8, `${what} at byte ${from}: expected UTF-8`);
    }
  }
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
