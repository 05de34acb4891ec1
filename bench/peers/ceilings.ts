/**
 * What the machine can do at most, by two loops of WebAssembly written by hand: reading memory with 128-bit loads,
 * and arithmetic of 128-bit vectors that never leaves the registers. Native code with wider vectors can do more.
 */

import { clock } from '../timing.ts';
import type { Ceiling } from './protocol.ts';

const [I32, F32, V128] = [0x7f, 0x7d, 0x7b];
/** What is read: far larger than every cache. */
const READ_BYTES = 2 ** 28;
/** Chains that do not wait for one another: enough for the latency of a multiplication and an addition. */
const CHAINS = 12;
const UNROLLED = 8;
const LANES = 4;
/** Rounds of the arithmetic loop in one call: some milliseconds. */
const ROUNDS = 2 ** 17;

/** Bytes a second, or operations a second; undefined where this engine lacks the instruction. */
export async function measureCeiling(what: Ceiling, seconds: number): Promise<number | undefined> {
  const bytes = what === 'read' ? readModule() : arithmeticModule(what);
  if (!WebAssembly.validate(bytes)) return undefined;
  const { instance } = await WebAssembly.instantiate(bytes);
  const run = instance.exports.run as (count: number) => number;
  const memory = instance.exports.memory as WebAssembly.Memory;
  new Uint8Array(memory.buffer).fill(1); // a page that nothing was written to is not in memory
  const count = what === 'read' ? READ_BYTES : ROUNDS;
  const work = what === 'read' ? READ_BYTES : 2 * LANES * CHAINS * UNROLLED * ROUNDS;
  let best = 0;
  const start = performance.now();
  while (performance.now() - start < 1000 * seconds) {
    const { ms } = await clock(() => run(count));
    best = Math.max(best, (1000 * work) / ms);
  }
  return best;
}

type Code = readonly number[];

/** Adds up memory from 0 to the argument, in bytes, with eight loads to a round. */
function readModule(): Uint8Array<ArrayBuffer> {
  const [bytes, at] = [0, 1];
  const sums = [2, 3, 4, 5];
  const load = (i: number): Code => [...get(at), 0xfd, 0, 4, ...leb(16 * i)];
  const addOne = (i: number): Code => {
    const sum = sums[i % sums.length];
    return [...get(sum), ...load(i), ...simd(0xae), ...set(sum)]; // i32x4.add
  };
  const body = [
    ...loop([
      ...Array.from({ length: 8 }, (_, i) => addOne(i)).flat(),
      ...[...get(at), ...i32(128), 0x6a, ...set(at)], // at += 128
      ...[...get(at), ...get(bytes), 0x49], // at < bytes, unsigned
    ]),
    ...get(sums[0]),
    ...sums.slice(1).flatMap((sum) => [...get(sum), ...simd(0xae)]),
    ...[...simd(0x1b), 0], // the first lane
  ];
  return moduleOf(
    I32,
    [
      [1, I32],
      [sums.length, V128],
    ],
    body,
    READ_BYTES,
  );
}

/** x ← x·m + a in every chain, as two instructions or as one; the argument is the number of rounds. */
function arithmeticModule(what: 'multiplyThenAdd' | 'fusedMultiplyAdd'): Uint8Array<ArrayBuffer> {
  const [rounds, factor, addend] = [0, 1, 2];
  const chains = Array.from({ length: CHAINS }, (_, i) => 3 + i);
  const advance = (x: number): Code =>
    what === 'fusedMultiplyAdd'
      ? [...get(x), ...get(factor), ...get(addend), ...simd(0x105), ...set(x)] // f32x4.relaxed_madd
      : [...get(x), ...get(factor), ...simd(0xe6), ...get(addend), ...simd(0xe4), ...set(x)];
  const splat = (value: number, to: number): Code => [...f32(value), ...simd(0x13), ...set(to)];
  const body = [
    ...splat(0.999, factor),
    ...splat(0.001, addend),
    ...loop([
      ...Array.from({ length: UNROLLED }, () => chains.flatMap(advance)).flat(),
      ...[...get(rounds), ...i32(1), 0x6b, 0x22, rounds], // --rounds, and keep it on the stack
    ]),
    ...get(chains[0]),
    ...chains.slice(1).flatMap((x) => [...get(x), ...simd(0xe4)]),
    ...[...simd(0x1f), 0],
  ];
  return moduleOf(F32, [[2 + CHAINS, V128]], body, 2 ** 16);
}

const get = (local: number): Code => [0x20, local];
const set = (local: number): Code => [0x21, local];
const simd = (code: number): Code => [0xfd, ...leb(code)];
const i32 = (value: number): Code => [0x41, ...signedLeb(value)];
const f32 = (value: number): Code => [0x43, ...new Uint8Array(Float32Array.of(value).buffer)];
/** Repeats as long as the body leaves something other than 0. */
const loop = (body: Code): Code => [0x03, 0x40, ...body, 0x0d, 0, 0x0b];

/** Unsigned LEB128. */
function leb(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) + 128, ...leb(Math.floor(value / 128))];
}

/** LEB128 of a number ≥ 0 whose highest bit could be taken for a sign. */
function signedLeb(value: number): number[] {
  return value < 64 ? [value] : [(value % 128) + 128, ...signedLeb(Math.floor(value / 128))];
}

/** A module that exports `run(i32)` with some locals, and a memory. */
function moduleOf(
  result: number,
  locals: readonly (readonly [count: number, type: number])[],
  body: Code,
  memoryBytes: number,
): Uint8Array<ArrayBuffer> {
  const vector = (items: readonly Code[]): Code => [...leb(items.length), ...items.flat()];
  const sized = (bytes: Code): Code => [...leb(bytes.length), ...bytes];
  const name = (text: string): Code => sized([...new TextEncoder().encode(text)]);
  const section = (id: number, ...items: Code[]): Code => [id, ...sized(vector(items))];
  const code: Code = [...vector(locals.map(([count, type]) => [count, type])), ...body, 0x0b];
  return Uint8Array.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [0x60, ...vector([[I32]]), ...vector([[result]])]),
    ...section(3, [0]),
    ...section(5, [0, ...leb(memoryBytes / 2 ** 16)]),
    ...section(7, [...name('run'), 0, 0], [...name('memory'), 2, 0]),
    ...section(10, sized(code)),
  ]);
}
