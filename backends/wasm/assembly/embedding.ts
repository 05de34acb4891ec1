/** The rows of a table that tokens stand for. */

import { CALL_IDS, PANEL } from '../abi';
import { rowOfTable } from './linearInt8';
import { ofCall, shareOf } from './share';

/**
 * One token at a time: row `id` of a table in linear's panels, [panel][dModel][8], which tied heads share.
 *
 * @param table packed panels
 * @param y rows (tokens, yStride)
 */
export function embedding(
  table: usize,
  dModel: u32,
  y: usize,
  yStride: u32,
  call: usize,
  rows: u32,
  thread: u32,
  threads: u32,
): void {
  const ids = <usize>ofCall(call, CALL_IDS);
  const end = shareOf(rows, thread + 1, threads);
  for (let row = shareOf(rows, thread, threads); row < end; row++) {
    const id = load<u32>(ids + (<usize>row << 2));
    let from = table + ((<usize>(id / PANEL) * dModel * PANEL + (id % PANEL)) << 2);
    let to = y + ((<usize>row * yStride) << 2);
    const last = to + (<usize>dModel << 2);
    for (; to < last; to += 4) {
      store<f32>(to, load<f32>(from));
      from += PANEL << 2;
    }
  }
}

/**
 * {@link embedding} from a table in 8-bit panels.
 *
 * @param isQuads which of the two layouts of linearInt8.ts
 */
export function embeddingInt8(
  table: usize,
  dModel: u32,
  isQuads: u32,
  y: usize,
  yStride: u32,
  call: usize,
  rows: u32,
  thread: u32,
  threads: u32,
): void {
  const ids = <usize>ofCall(call, CALL_IDS);
  const end = shareOf(rows, thread + 1, threads);
  for (let row = shareOf(rows, thread, threads); row < end; row++) {
    const id = load<u32>(ids + (<usize>row << 2));
    rowOfTable(table, id, dModel, isQuads, y + ((<usize>row * yStride) << 2));
  }
}
