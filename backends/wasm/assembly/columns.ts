/** What is done with columns one by one: gates, copies. */

import { CALL_LAST, CALL_LAST_OF } from '../abi';
import { silu4 } from './elementary';
import { ofCall, shareOf } from './share';

/** Columns that a thread gates at a time. */
const GATE_BLOCK: u32 = 128;

/**
 * y = value·silu(gate + gateBias).
 *
 * @param value rows (rows, valueStride), of which width columns are read
 * @param gate rows (rows, gateStride)
 * @param gateBias (width), or 0
 * @param y rows (rows, yStride)
 */
export function gate(
  value: usize,
  valueStride: u32,
  gate: usize,
  gateStride: u32,
  gateBias: usize,
  width: u32,
  y: usize,
  yStride: u32,
  rows: u32,
  thread: u32,
  threads: u32,
): void {
  const blocks = (width + GATE_BLOCK - 1) / GATE_BLOCK;
  const items = rows * blocks;
  const last = shareOf(items, thread + 1, threads);
  for (let item = shareOf(items, thread, threads); item < last; item++) {
    const row = item / blocks;
    const column = (item % blocks) * GATE_BLOCK;
    let v = value + ((<usize>row * valueStride + column) << 2);
    let g = gate + ((<usize>row * gateStride + column) << 2);
    let b = gateBias ? gateBias + (<usize>column << 2) : 0;
    let to = y + ((<usize>row * yStride + column) << 2);
    const end = to + (<usize>min<u32>(GATE_BLOCK, width - column) << 2);
    for (; to < end; to += 16) {
      let open = v128.load(g);
      if (b) {
        open = f32x4.add(open, v128.load(b));
        b += 16;
      }
      v128.store(to, f32x4.mul(v128.load(v), silu4(open)));
      v += 16;
      g += 16;
    }
  }
}

/**
 * Each group of `width` columns `times` times, copies next to each other.
 *
 * @param x rows (rows, xStride), of which groups·width columns are read
 * @param y rows (rows, yStride)
 */
export function repeatColumns(
  x: usize,
  xStride: u32,
  groups: u32,
  width: u32,
  times: u32,
  y: usize,
  yStride: u32,
  rows: u32,
  thread: u32,
  threads: u32,
): void {
  const bytes = <usize>width << 2;
  const end = shareOf(rows, thread + 1, threads);
  for (let row = shareOf(rows, thread, threads); row < end; row++) {
    let from = x + ((<usize>row * xStride) << 2);
    let to = y + ((<usize>row * yStride) << 2);
    for (let group: u32 = 0; group < groups; group++) {
      for (let i: u32 = 0; i < times; i++) {
        memory.copy(to, from, bytes);
        to += bytes;
      }
      from += bytes;
    }
  }
}

/**
 * Columns of two or three buffers next to each other.
 *
 * @param c rows (rows, cStride), or 0
 * @param y rows (rows, yStride)
 */
export function joinColumns(
  a: usize,
  aStride: u32,
  aWidth: u32,
  b: usize,
  bStride: u32,
  bWidth: u32,
  c: usize,
  cStride: u32,
  cWidth: u32,
  y: usize,
  yStride: u32,
  rows: u32,
  thread: u32,
  threads: u32,
): void {
  const end = shareOf(rows, thread + 1, threads);
  for (let row = shareOf(rows, thread, threads); row < end; row++) {
    let to = y + ((<usize>row * yStride) << 2);
    memory.copy(to, a + ((<usize>row * aStride) << 2), <usize>aWidth << 2);
    to += <usize>aWidth << 2;
    memory.copy(to, b + ((<usize>row * bStride) << 2), <usize>bWidth << 2);
    to += <usize>bWidth << 2;
    if (c) memory.copy(to, c + ((<usize>row * cStride) << 2), <usize>cWidth << 2);
  }
}

/**
 * The rows of the tokens after which logits are wanted.
 *
 * @param x rows (tokens, xStride), of which width columns are read
 * @param y rows (wanted, yStride)
 */
export function lastTokens(
  x: usize,
  xStride: u32,
  width: u32,
  y: usize,
  yStride: u32,
  call: usize,
  thread: u32,
  threads: u32,
): void {
  const wanted = ofCall(call, CALL_LAST);
  const lastOf = <usize>ofCall(call, CALL_LAST_OF);
  const end = shareOf(wanted, thread + 1, threads);
  for (let i = shareOf(wanted, thread, threads); i < end; i++) {
    const token = load<u32>(lastOf + (<usize>i << 2));
    const from = x + ((<usize>token * xStride) << 2);
    memory.copy(y + ((<usize>i * yStride) << 2), from, <usize>width << 2);
  }
}
