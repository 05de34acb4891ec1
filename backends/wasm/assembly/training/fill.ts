/** Zeros. */

import { shareOf } from '../share';

/** @param count of numbers */
export function fill(at: usize, count: u32, thread: u32, threads: u32): void {
  // whole lines of the cache, so that threads do not write into each other's
  const lines = (count + 15) / 16;
  const from = shareOf(lines, thread, threads) * 16;
  const end = min<u32>(shareOf(lines, thread + 1, threads) * 16, count);
  if (from < end) memory.fill(at + (<usize>from << 2), 0, <usize>(end - from) << 2);
}
