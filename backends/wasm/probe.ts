/** Short measurements at the start: an instruction that an engine has is not always one that it does well. */

import * as abi from './abi.ts';
import { int8Bytes, quantisedBytes } from './int8.ts';
import type { Memory } from './memory.ts';
import { panelsSize } from './packing.ts';

/** Runs one step on the caller's thread. */
type RunStep = (program: number, call: number) => void;

/** A product small enough for a cache: 4 rows of 512 by 64 outputs. */
const ROWS = 4;
const D_IN = 512;
const D_OUT = 64;
/** Milliseconds for a kernel to be compiled well and timed. */
const MOST = 12;

/**
 * How many times as fast relaxed SIMD must be at integer products to be used for them: it has 7 bits for the
 * activations where plain SIMD has 16, so a little more speed is not worth it. Processors with VNNI are 3 times as fast;
 * an emulation (Node 20 behind its flag) is 20 times as slow.
 */
const QUADS_WORTH = 1.5;
/** Below this share of plain SIMD's speed fused multiply-adds are emulated. Far from 1, so that chance does not decide. */
const FUSED_WORTH = 0.6;

/** Seconds of the best run of a float32 product. */
export function timeLinear(memory: Memory, run: RunStep): number {
  return timed(memory, run, (place) => [
    ...[abi.LINEAR, abi.ROWS_TOKENS, place(4 * ROWS * D_IN), D_IN, D_IN],
    ...[place(4 * panelsSize(D_OUT, D_IN)), D_OUT, 0, 0, 0, place(4 * ROWS * D_OUT), D_OUT],
    ...[place(4 * ROWS * D_IN), 0],
  ]);
}

/** Seconds of the best run of an 8-bit product, four numbers at a time or two. */
function timeInt8(memory: Memory, run: RunStep, isQuads: boolean): number {
  const row = quantisedBytes(D_IN, isQuads);
  return timed(memory, run, (place) => [
    ...[abi.LINEAR_INT8, abi.ROWS_TOKENS, place(ROWS * row), row, D_IN],
    ...[place(int8Bytes(D_OUT, D_IN, isQuads)), D_OUT, 0, 0, 0, place(4 * ROWS * D_OUT), D_OUT],
    Number(isQuads),
  ]);
}

/** Whether 8-bit products go four numbers at a time. */
export const prefersQuads = (memory: Memory, run: RunStep) =>
  timeInt8(memory, run, false) > QUADS_WORTH * timeInt8(memory, run, true);

/** Whether relaxed SIMD serves for float32, from the times of both builds. */
export const prefersRelaxed = (plain: number, relaxed: number) => relaxed * FUSED_WORTH < plain;

function timed(
  memory: Memory,
  run: RunStep,
  step: (place: (bytes: number) => number) => readonly number[],
): number {
  const pieces: [address: number, bytes: number][] = [];
  const place = (bytes: number) => {
    const address = memory.allocateZeros(bytes + 64);
    pieces.push([address, bytes + 64]);
    return address;
  };
  const program = place(4 * abi.STEP_WORDS);
  const call = place(4 * abi.CALL_WORDS);
  const words = step(place);
  memory.u32.set(words, program / 4);
  memory.u32[call / 4 + abi.CALL_TOKENS] = ROWS;
  let best = Number.POSITIVE_INFINITY;
  const start = performance.now();
  for (let last = start; last - start < MOST; ) {
    run(program, call);
    const now = performance.now();
    best = Math.min(best, now - last);
    last = now;
  }
  for (const [address, bytes] of pieces) memory.free(address, bytes);
  return best / 1000;
}
