/** Sums in an order that no thread changes: along the lanes of four channels, and over what each sequence has added up. */

import { next, runOf, storeSome, take } from '../share';

/** The sums of the lanes of four times four numbers. */
// @ts-ignore: decorator
@inline
function sumsOf(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = f32x4.add(v128.shuffle<f32>(a, b, 0, 4, 1, 5), v128.shuffle<f32>(a, b, 2, 6, 3, 7));
  const cd = f32x4.add(v128.shuffle<f32>(c, d, 0, 4, 1, 5), v128.shuffle<f32>(c, d, 2, 6, 3, 7));
  return f32x4.add(v128.shuffle<f32>(ab, cd, 0, 1, 4, 5), v128.shuffle<f32>(ab, cd, 2, 3, 6, 7));
}

/** Adds the sums of lanes, tokens of [dState][4], to rows of (dState). */
export function addLanes(from: usize, tokens: u32, dState: u32, to: usize, toBytes: usize): void {
  const depth = <usize>dState << 4;
  for (let t: u32 = 0; t < tokens; t++) {
    for (let n: u32 = 0; n < dState; n += 4) {
      const at = from + (<usize>n << 4);
      const sums = sumsOf(v128.load(at), v128.load(at, 16), v128.load(at, 32), v128.load(at, 48));
      const place = to + (<usize>n << 2);
      storeSome(place, dState - n, f32x4.add(v128.load(place), sums));
    }
    from += depth;
    to += toBytes;
  }
}

/**
 * to[i] += Σ_j Σ_b parts[b][i·per + j], b in order within j in order.
 *
 * @param parts rows of (count · per), one of each sequence
 */
export function addUp(
  parts: usize,
  stride: u32,
  batch: u32,
  count: u32,
  per: u32,
  to: usize,
  thread: u32,
  threads: u32,
): void {
  const run = runOf(count, threads);
  for (let i = take(run); i < count; i = next(i, run)) {
    let sum: f32 = 0;
    for (let j: u32 = 0; j < per; j++) {
      let at = parts + (<usize>(i * per + j) << 2);
      let own: f32 = 0;
      for (let b: u32 = 0; b < batch; b++) {
        own += load<f32>(at);
        at += <usize>stride << 2;
      }
      sum += own;
    }
    const place = to + (<usize>i << 2);
    store<f32>(place, load<f32>(place) + sum);
  }
}
