/** The last few numbers of a row: which of four lanes belong to it. */

/** All bits in the first `count` of four lanes, none in the others. */
// @ts-ignore: decorator
@inline
export function firstLanes(count: u32): v128 {
  return i32x4.lt_s(i32x4(0, 1, 2, 3), i32x4.splat(<i32>min<u32>(count, 4)));
}

/** The first `count` of four numbers, and another number in place of the others, whatever they were. */
// @ts-ignore: decorator
@inline
export function orElse(values: v128, count: u32, other: f32): v128 {
  return v128.bitselect(values, f32x4.splat(other), firstLanes(count));
}

/** The largest of four numbers. */
// @ts-ignore: decorator
@inline
export function largestOf(values: v128): f32 {
  const pairs = f32x4.pmax(values, v128.shuffle<f32>(values, values, 2, 3, 0, 1));
  return max<f32>(f32x4.extract_lane(pairs, 0), f32x4.extract_lane(pairs, 1));
}
