/**
 * Keys and values of all tokens so far, in pages of PAGE_TOKENS tokens. Inside a page: keys in panels of eight tokens,
 * [kvHead][panel][headDim][8], so that eight scores are summed side by side; values in panels of eight columns,
 * [kvHead][panel][token][8]. Both are read once, from one end to the other.
 */

import {
  CALL_POSITIONS,
  CALL_SEGMENT_OF,
  CALL_SEGMENT_TABLE,
  PAGE_TOKENS,
  PANEL,
  SEGMENT_PAGES,
} from '../abi';
import { ofCall, ofSegment, segmentAt, shareOf } from './share';

const PANEL_BYTES: usize = PANEL << 2;

/** headDim as values are stored. */
// @ts-ignore: decorator
@inline
export function paddedHeadDim(headDim: u32): u32 {
  return (headDim + PANEL - 1) & ~(PANEL - 1);
}

/** Addresses of the pages of the sequence that a token belongs to. */
// @ts-ignore: decorator
@inline
export function pagesOf(call: usize, token: u32): usize {
  const segment = load<u32>(<usize>ofCall(call, CALL_SEGMENT_OF) + (<usize>token << 2));
  const table = <usize>ofCall(call, CALL_SEGMENT_TABLE);
  return <usize>ofSegment(segmentAt(table, segment), SEGMENT_PAGES);
}

/**
 * Puts keys and values of the call's tokens where their positions say.
 *
 * @param k rows (tokens, kStride), of which nKvHeads·headDim columns are read
 * @param v rows (tokens, vStride), as k
 * @param keysOffset bytes from the beginning of a page
 * @param valuesOffset bytes from the beginning of a page
 */
export function appendToCache(
  k: usize,
  kStride: u32,
  v: usize,
  vStride: u32,
  nKvHeads: u32,
  headDim: u32,
  keysOffset: u32,
  valuesOffset: u32,
  call: usize,
  rows: u32,
  thread: u32,
  threads: u32,
): void {
  const headBytes = <usize>headDim << 2;
  const padded = <usize>paddedHeadDim(headDim) << 2;
  const positions = <usize>ofCall(call, CALL_POSITIONS);
  const end = shareOf(rows, thread + 1, threads);
  for (let row = shareOf(rows, thread, threads); row < end; row++) {
    const position = load<u32>(positions + (<usize>row << 2));
    const slot = <usize>(position % PAGE_TOKENS);
    const page = <usize>load<u32>(pagesOf(call, row) + (<usize>(position / PAGE_TOKENS) << 2));
    const panel = slot / PANEL;
    let key = page + keysOffset + ((panel * headDim * PANEL + (slot % PANEL)) << 2);
    let from = k + ((<usize>row * kStride) << 2);
    for (let head: u32 = 0; head < nKvHeads; head++) {
      let to = key;
      for (const last = from + headBytes; from < last; from += 4) {
        store<f32>(to, load<f32>(from));
        to += PANEL_BYTES;
      }
      key += headBytes * PAGE_TOKENS;
    }
    let value = page + valuesOffset + slot * PANEL_BYTES;
    from = v + ((<usize>row * vStride) << 2);
    for (let head: u32 = 0; head < nKvHeads; head++) {
      for (let at: usize = 0; at < headBytes; at += PANEL_BYTES) {
        memory.copy(value + at * PAGE_TOKENS, from + at, min<usize>(PANEL_BYTES, headBytes - at));
      }
      value += PAGE_TOKENS * padded;
      from += headBytes;
    }
  }
}
