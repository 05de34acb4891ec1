/** How work is divided, and how the parameters of a step are read. */

import { SEGMENT_WORDS, STEP_FIRST_PARAMETER } from '../abi';

/** Runs of items for each thread: few, so that threads stay in one place; enough that a thread held up holds up no other. */
const RUNS: u32 = 8;

/** Address of the next item of the present step that nobody has taken. */
let tickets: usize = 0;

export function openTickets(at: usize): void {
  tickets = at;
}

/** How many neighbouring items a thread takes at a time. */
// @ts-ignore: decorator
@inline
export function runOf(items: u32, threads: u32): u32 {
  return threads == 1 ? max<u32>(items, 1) : max<u32>(items / (threads * RUNS), 1);
}

/** The first of a run of items that nobody else has taken; beyond all items once they are gone. */
// @ts-ignore: decorator
@inline
export function take(run: u32): u32 {
  return atomic.add<u32>(tickets, run);
}

/** The item after this one, in this thread's run or the first of another. */
// @ts-ignore: decorator
@inline
export function next(item: u32, run: u32): u32 {
  return (item + 1) % run ? item + 1 : take(run);
}

/** The first of some items that belong to a thread; those of thread + 1 follow. */
// @ts-ignore: decorator
@inline
export function shareOf(items: u32, thread: u32, threads: u32): u32 {
  return <u32>((<u64>items * thread) / threads);
}

/** A count or an address among the parameters of a step. */
// @ts-ignore: decorator
@inline
export function word(step: usize, parameter: i32): u32 {
  return load<u32>(step + (<usize>(STEP_FIRST_PARAMETER + parameter) << 2));
}

/** A number among the parameters of a step. */
// @ts-ignore: decorator
@inline
export function real(step: usize, parameter: i32): f32 {
  return load<f32>(step + (<usize>(STEP_FIRST_PARAMETER + parameter) << 2));
}

/** A word of a call. */
// @ts-ignore: decorator
@inline
export function ofCall(call: usize, field: i32): u32 {
  return load<u32>(call + (<usize>field << 2));
}

/** The address of a segment. */
// @ts-ignore: decorator
@inline
export function segmentAt(table: usize, index: u32): usize {
  return table + <usize>index * (SEGMENT_WORDS << 2);
}

/** A word of a segment. */
// @ts-ignore: decorator
@inline
export function ofSegment(segment: usize, field: i32): u32 {
  return load<u32>(segment + (<usize>field << 2));
}

/** Stores the first `count` of four numbers, 1 ≤ count ≤ 4. */
// @ts-ignore: decorator
@inline
export function storeSome(at: usize, count: u32, values: v128): void {
  if (count >= 4) {
    v128.store(at, values);
    return;
  }
  store<f32>(at, f32x4.extract_lane(values, 0));
  if (count > 1) store<f32>(at, f32x4.extract_lane(values, 1), 4);
  if (count > 2) store<f32>(at, f32x4.extract_lane(values, 2), 8);
}

/** Sum of four numbers, in one order. */
// @ts-ignore: decorator
@inline
export function sumOf(values: v128): f32 {
  const pairs = f32x4.add(values, v128.shuffle<f32>(values, values, 2, 3, 0, 1));
  return f32x4.extract_lane(pairs, 0) + f32x4.extract_lane(pairs, 1);
}
