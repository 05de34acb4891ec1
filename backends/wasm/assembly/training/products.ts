/**
 * Matrix products: y = x·Wᵀ + b, dx += dy·W and dW += dyᵀ·x, all as rows in fours by panels of eight columns. Every
 * number is one sum over the inner axis in order (of each block of rows for dW), so threads change no bit of it.
 */

import { PANEL } from '../../abi';
import { fourRows, interleave, oneRow } from '../linear';
import { next, runOf, take } from '../share';

const PANEL_BYTES: usize = PANEL << 2;
const TILE_BYTES: usize = 16;

/**
 * y = x·panels + bias, or y += that.
 *
 * @param x rows (rows, xStride), of which `depth` columns are read
 * @param panels [panel][depth][8]
 * @param width columns of y
 * @param bias (width, padded to panels), or 0
 * @param adds whether y is added to
 * @param y rows (rows, yStride)
 * @param blockRows rows that a thread takes at a time, a multiple of 4
 * @param scratch of each thread, room for blockRows·depth numbers
 */
export function rowsByPanels(
  x: usize,
  xStride: u32,
  depth: u32,
  panels: usize,
  width: u32,
  bias: usize,
  adds: u32,
  y: usize,
  yStride: u32,
  blockRows: u32,
  scratch: usize,
  scratchPerThread: u32,
  rows: u32,
  thread: u32,
  threads: u32,
): void {
  const xBytes = <usize>xStride << 2;
  const yBytes = <usize>yStride << 2;
  const own = scratch + <usize>thread * scratchPerThread;
  const blocks = (rows + blockRows - 1) / blockRows;
  const run = runOf(blocks, threads);
  for (let block = take(run); block < blocks; block = next(block, run)) {
    const first = block * blockRows;
    const count = min<u32>(blockRows, rows - first);
    const fours = count & ~3;
    const xBlock = x + first * xBytes;
    interleave(own, TILE_BYTES, xBlock, xBytes, depth, fours);
    let w = panels;
    for (let column: u32 = 0; column < width; column += PANEL) {
      const b = bias ? bias + (column << 2) : 0;
      let to = y + first * yBytes + (column << 2);
      let row: u32 = 0;
      for (let tile = own; row < fours; row += 4) {
        fourRows(tile, depth, w, b, adds ? to : 0, yBytes, to, yBytes);
        tile += <usize>depth * TILE_BYTES;
        to += 4 * yBytes;
      }
      for (; row < count; row++) {
        oneRow(xBlock + row * xBytes, depth, w, b, adds ? to : 0, to);
        to += yBytes;
      }
      w += <usize>depth * PANEL_BYTES;
    }
  }
}

/**
 * y += tilesᵀ·panels.
 *
 * @param tiles [tile][depth][4], four rows of y each
 * @param panels [panel][depth][8], eight columns of y each
 * @param y rows (rows, yStride), of which `width` columns are written
 * @param groupTiles tiles that a thread takes at a time, with one panel
 * @param scratch of each thread, room for 32 numbers
 */
export function tilesByPanels(
  tiles: usize,
  panels: usize,
  depth: u32,
  width: u32,
  y: usize,
  yStride: u32,
  groupTiles: u32,
  scratch: usize,
  rows: u32,
  thread: u32,
  threads: u32,
): void {
  const yBytes = <usize>yStride << 2;
  const own = scratch + thread * 4 * PANEL_BYTES;
  const panelCount = (width + PANEL - 1) / PANEL;
  const groupRows = 4 * groupTiles;
  // all panels with one group of tiles after the other: both stay in the cache
  const items = ((rows + groupRows - 1) / groupRows) * panelCount;
  const run = runOf(items, threads);
  for (let item = take(run); item < items; item = next(item, run)) {
    const p = item % panelCount;
    const w = panels + <usize>p * depth * PANEL_BYTES;
    let row = (item / panelCount) * groupRows;
    const last = min<u32>(row + groupRows, rows);
    let tile = tiles + <usize>row * (depth << 2);
    let to = y + row * yBytes + p * PANEL_BYTES;
    for (; row + 4 <= last; row += 4) {
      fourRows(tile, depth, w, 0, to, yBytes, to, yBytes);
      tile += <usize>depth * TILE_BYTES;
      to += 4 * yBytes;
    }
    if (row == last) continue;
    // fewer than four rows are left
    fourRows(tile, depth, w, 0, 0, 0, own, PANEL_BYTES);
    for (let from = own; row < last; row++) {
      v128.store(to, f32x4.add(v128.load(to), v128.load(from)));
      v128.store(to, f32x4.add(v128.load(to, 16), v128.load(from, 16)), 16);
      from += PANEL_BYTES;
      to += yBytes;
    }
  }
}
