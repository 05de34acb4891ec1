/** Matrices in the layouts of the products: panels of eight, tiles of four. */

import { PANEL } from '../../abi';
import { interleave } from '../linear';
import { next, runOf, take } from '../share';

const PANEL_BYTES: usize = PANEL << 2;
const TILE_BYTES: usize = 16;
/** Rows that are packed at a time: their lines stay in the cache from one panel to the next. */
const CHUNK: u32 = 16;

/**
 * A matrix (rows, width) as panels of eight rows, [panel][width][8]; rows that do not exist are 0.
 *
 * @param x rows (rows, xStride)
 */
export function packRows(
  x: usize,
  xStride: u32,
  width: u32,
  to: usize,
  rows: u32,
  thread: u32,
  threads: u32,
): void {
  const panels = (rows + PANEL - 1) / PANEL;
  const xBytes = <usize>xStride << 2;
  const run = runOf(panels, threads);
  for (let p = take(run); p < panels; p = next(p, run)) {
    const from = x + <usize>(p * PANEL) * xBytes;
    const panel = to + <usize>p * width * PANEL_BYTES;
    const lanes = min<u32>(PANEL, rows - p * PANEL);
    if (lanes == PANEL) {
      interleave(panel, PANEL_BYTES, from, xBytes, width, 4);
      interleave(panel + 16, PANEL_BYTES, from + 4 * xBytes, xBytes, width, 4);
      continue;
    }
    memory.fill(panel, 0, <usize>width * PANEL_BYTES);
    for (let lane: u32 = 0; lane < lanes; lane++) {
      let at = from + lane * xBytes;
      const end = at + (<usize>width << 2);
      for (let put = panel + (lane << 2); at < end; put += PANEL_BYTES) {
        store<f32>(put, load<f32>(at));
        at += 4;
      }
    }
  }
}

/**
 * A matrix (rows, width) as panels of eight columns, [panel][rows][8], and another one with as many rows as tiles of
 * four columns, [tile][rows][4]. Columns beyond the width are those of the buffer: 0.
 *
 * @param a rows (rows, aStride)
 * @param b rows (rows, bStride), or 0
 */
export function packColumns(
  a: usize,
  aStride: u32,
  aWidth: u32,
  panels: usize,
  b: usize,
  bStride: u32,
  bWidth: u32,
  tiles: usize,
  rows: u32,
  thread: u32,
  threads: u32,
): void {
  const aBytes = <usize>aStride << 2;
  const bBytes = <usize>bStride << 2;
  const chunks = (rows + CHUNK - 1) / CHUNK;
  const run = runOf(chunks, threads);
  for (let chunk = take(run); chunk < chunks; chunk = next(chunk, run)) {
    const first = chunk * CHUNK;
    const count = min<u32>(CHUNK, rows - first);
    for (let column: u32 = 0; column < aWidth; column += PANEL) {
      let from = a + first * aBytes + (column << 2);
      let to = panels + <usize>(column * rows + first * PANEL << 2);
      const end = to + count * PANEL_BYTES;
      for (; to < end; to += PANEL_BYTES) {
        v128.store(to, v128.load(from));
        v128.store(to, v128.load(from, 16), 16);
        from += aBytes;
      }
    }
    if (!b) continue;
    for (let column: u32 = 0; column < bWidth; column += 4) {
      let from = b + first * bBytes + (column << 2);
      let to = tiles + <usize>(column * rows + first * 4 << 2);
      const end = to + count * TILE_BYTES;
      for (; to < end; to += TILE_BYTES) {
        v128.store(to, v128.load(from));
        from += bBytes;
      }
    }
  }
}
