/** Rows and columns that are copied and added, and tables of rows. */

import { next, runOf, shareOf, storeSome, take } from '../share';

/** Columns that a thread takes at a time: one line of the cache. */
const COLUMNS: u32 = 16;

/**
 * y = a + b, or a where there is no b.
 *
 * @param a rows (rows, aStride), of which `width` columns are read
 * @param b rows (rows, bStride), or 0
 * @param y rows (rows, yStride); may be a or b
 */
export function addRows(
  a: usize,
  aStride: u32,
  b: usize,
  bStride: u32,
  width: u32,
  y: usize,
  yStride: u32,
  rows: u32,
  thread: u32,
  threads: u32,
): void {
  const end = shareOf(rows, thread + 1, threads);
  for (let row = shareOf(rows, thread, threads); row < end; row++) {
    let from = a + ((<usize>row * aStride) << 2);
    let other = b ? b + ((<usize>row * bStride) << 2) : 0;
    let to = y + ((<usize>row * yStride) << 2);
    if (!other) {
      memory.copy(to, from, <usize>width << 2);
      continue;
    }
    for (let left = width; left > 0; left -= min<u32>(left, 4)) {
      storeSome(to, left, f32x4.add(v128.load(from), v128.load(other)));
      from += 16;
      other += 16;
      to += 16;
    }
  }
}

/**
 * dx += the sum of the copies of each group of columns, in their order.
 *
 * @param dy rows (rows, dyStride), `times` copies of every group next to each other
 * @param dx rows (rows, dxStride), groups·width columns
 */
export function addGroups(
  dy: usize,
  dyStride: u32,
  groups: u32,
  width: u32,
  times: u32,
  dx: usize,
  dxStride: u32,
  rows: u32,
  thread: u32,
  threads: u32,
): void {
  const bytes = <usize>width << 2;
  const end = shareOf(rows, thread + 1, threads);
  for (let row = shareOf(rows, thread, threads); row < end; row++) {
    let from = dy + ((<usize>row * dyStride) << 2);
    let to = dx + ((<usize>row * dxStride) << 2);
    for (let group: u32 = 0; group < groups; group++) {
      for (let i: u32 = 0; i < width; i += 4) {
        let copy = from + (<usize>i << 2);
        let sum = v128.load(copy);
        for (let n: u32 = 1; n < times; n++) {
          copy += bytes;
          sum = f32x4.add(sum, v128.load(copy));
        }
        const at = to + (<usize>i << 2);
        storeSome(at, width - i, f32x4.add(v128.load(at), sum));
      }
      from += times * bytes;
      to += bytes;
    }
  }
}

/**
 * The rows of a table that tokens stand for.
 *
 * @param tokens (rows), each a row of the table
 * @param table rows (…, stride)
 * @param y rows (rows, stride)
 */
export function tableRows(
  tokens: usize,
  table: usize,
  stride: u32,
  y: usize,
  rows: u32,
  thread: u32,
  threads: u32,
): void {
  const bytes = <usize>stride << 2;
  const end = shareOf(rows, thread + 1, threads);
  for (let row = shareOf(rows, thread, threads); row < end; row++) {
    const token = load<u32>(tokens + (<usize>row << 2));
    memory.copy(y + row * bytes, table + token * bytes, bytes);
  }
}

/** table[tokens[row]] += dy[row], in order of the rows: a thread takes some columns of all of them. */
export function addToTable(
  tokens: usize,
  dy: usize,
  stride: u32,
  table: usize,
  rows: u32,
  thread: u32,
  threads: u32,
): void {
  const bytes = <usize>stride << 2;
  const items = (stride + COLUMNS - 1) / COLUMNS;
  const run = runOf(items, threads);
  for (let item = take(run); item < items; item = next(item, run)) {
    const first = <usize>(item * COLUMNS) << 2;
    const lineBytes = min<usize>(COLUMNS << 2, bytes - first);
    let from = dy + first;
    for (let row: u32 = 0; row < rows; row++) {
      const token = load<u32>(tokens + (<usize>row << 2));
      const to = table + token * bytes + first;
      for (let at: usize = 0; at < lineBytes; at += 16) {
        v128.store(to + at, f32x4.add(v128.load(to + at), v128.load(from + at)));
      }
      from += bytes;
    }
  }
}
