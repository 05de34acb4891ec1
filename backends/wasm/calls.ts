/** A call: which tokens of which sequences the kernels are to work on, as they read it. */

import * as abi from './abi.ts';
import type { Memory } from './memory.ts';
import type { Sequence } from './sequences.ts';

/** Tokens of a call, at most. */
export const BLOCK_TOKENS = 128;

/** New tokens of one sequence. */
export interface Work {
  readonly sequence: Sequence;
  readonly tokens: readonly number[];
}

const WORD = 4;

/** The place where calls are written, one at a time. */
export class CallBlock {
  readonly address: number;
  readonly #memory: Memory;
  readonly #bytes: number;

  constructor(memory: Memory) {
    this.#memory = memory;
    // the call, four lists of tokens, and a segment for every token
    const words = abi.CALL_WORDS + BLOCK_TOKENS * (4 + abi.SEGMENT_WORDS);
    this.#bytes = WORD * words;
    this.address = memory.allocateZeros(this.#bytes);
  }

  /** @param ended entries of `work` whose sequences' logits are wanted; only prompts' programs look at it. */
  write(work: readonly Work[], ended: readonly number[]): void {
    const { u32 } = this.#memory;
    const lists = this.address + WORD * abi.CALL_WORDS;
    const listBytes = WORD * BLOCK_TOKENS;
    const [ids, positions, segmentOf, lastOf, table] = [0, 1, 2, 3, 4].map(
      (i) => lists + i * listBytes,
    );
    const lasts: number[] = [];
    let token = 0;
    for (const [i, { sequence, tokens }] of work.entries()) {
      const segment = table / WORD + i * abi.SEGMENT_WORDS;
      u32[segment + abi.SEGMENT_BEGIN] = token;
      u32[segment + abi.SEGMENT_COUNT] = tokens.length;
      u32[segment + abi.SEGMENT_POSITION] = sequence.position;
      u32[segment + abi.SEGMENT_STATE] = sequence.state;
      u32[segment + abi.SEGMENT_PAGES] = sequence.table;
      for (let j = 0; j < tokens.length; j++, token++) {
        u32[ids / WORD + token] = tokens[j];
        u32[positions / WORD + token] = sequence.position + j;
        u32[segmentOf / WORD + token] = i;
      }
      lasts.push(token - 1);
    }
    ended.forEach((index, i) => {
      u32[lastOf / WORD + i] = lasts[index];
    });
    const call = this.address / WORD;
    u32[call + abi.CALL_TOKENS] = token;
    u32[call + abi.CALL_IDS] = ids;
    u32[call + abi.CALL_POSITIONS] = positions;
    u32[call + abi.CALL_SEGMENT_OF] = segmentOf;
    u32[call + abi.CALL_SEGMENTS] = work.length;
    u32[call + abi.CALL_SEGMENT_TABLE] = table;
    u32[call + abi.CALL_LAST] = ended.length;
    u32[call + abi.CALL_LAST_OF] = lastOf;
  }

  free(): void {
    this.#memory.free(this.address, this.#bytes);
  }
}
