/** The container of GGUF files, read: what was written comes back, and a damaged file costs nothing but an error. */

import { Float16Array } from '@petamoriken/float16';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CheckpointError } from '../lib/checkpoint/errors.ts';
import { type ByteSource, sourceFromBytes } from '../lib/checkpoint/files.ts';
import {
  encodeGguf,
  fitsBlocks,
  type GgufDtype,
  type GgufTensor,
  type GgufValue,
} from '../lib/checkpoint/gguf.ts';
import { GgufFile } from '../lib/checkpoint/ggufFile.ts';
import { readGgufHeader } from '../lib/checkpoint/ggufHeader.ts';
import { ggufModel } from '../lib/checkpoint/ggufModel.ts';
import { decodeQ4, encodeQ4 } from '../lib/checkpoint/q4.ts';
import { decodeQ8, encodeQ8 } from '../lib/checkpoint/q8.ts';
import { loadModel } from '../lib/loadModel.ts';
import { weightNamed } from '../lib/plan/weights.ts';
import { modelOf } from '../lib/verify/index.ts';
import { step } from '../reference/model.ts';
import { newState } from '../reference/state.ts';
import { GGUF_MODELS } from './ggufModels.ts';
import { SEED } from './support.ts';

const RUNS = { seed: SEED, numRuns: 200 };
const DTYPES: GgufDtype[] = ['F32', 'F16', 'BF16', 'Q8_0', 'Q4_0'];

async function encode(
  metadata: ReadonlyMap<string, GgufValue>,
  tensors: readonly GgufTensor[],
): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for await (const piece of encodeGguf('x.gguf', metadata, tensors)) pieces.push(piece.slice());
  return Uint8Array.from(Buffer.concat(pieces));
}

const open = (bytes: Uint8Array) => GgufFile.open(sourceFromBytes(bytes, 'x.gguf'));

const key = fc
  .array(fc.stringMatching(/^[a-z0-9_-]{1,8}$/), { minLength: 1, maxLength: 4 })
  .map((parts) => parts.join('.'))
  .filter((name) => !/constructor|prototype|__proto__|^general.alignment$/.test(name));
const text = fc.string({ unit: 'grapheme' });
const value: fc.Arbitrary<GgufValue> = fc.oneof(
  fc.record({ type: fc.constant('uint32' as const), value: fc.nat(2 ** 31) }),
  fc.record({ type: fc.constant('float32' as const), value: fc.float() }),
  fc.record({ type: fc.constant('bool' as const), value: fc.boolean() }),
  fc.record({ type: fc.constant('string' as const), value: text }),
  fc.record({ type: fc.constant('int32[]' as const), value: fc.array(fc.integer()) }),
  fc.record({ type: fc.constant('string[]' as const), value: fc.array(text) }),
);
/** Numbers that every format holds: whole, small, of either sign. */
const tensor: fc.Arbitrary<GgufTensor> = fc
  .record({
    name: fc.string({ unit: 'grapheme-ascii', maxLength: 64 }),
    dtype: fc.constantFrom(...DTYPES),
    rows: fc.array(fc.nat(3), { maxLength: 3 }),
    width: fc.constantFrom(1, 5, 32, 64),
    seed: fc.nat(),
  })
  .map(({ name, dtype, rows, width, seed }) => {
    const shape = [...rows, width];
    const size = shape.reduce((product, n) => product * n, 1);
    const data = Float32Array.from({ length: size }, (_, i) => ((seed + 31 * i) % 15) - 7);
    return { name, dtype: fitsBlocks(dtype, shape) ? dtype : 'F32', shape, data: () => data };
  });

describe('a GGUF file', () => {
  it('that was written reads back: keys, types, values, names, shapes and dtypes', async () => {
    const file = fc.tuple(
      fc.uniqueArray(fc.tuple(key, value), { selector: ([name]) => name, maxLength: 8 }),
      fc.uniqueArray(tensor, { selector: ({ name }) => name, maxLength: 6 }),
    );
    await fc.assert(
      fc.asyncProperty(file, async ([entries, tensors]) => {
        const read = await open(await encode(new Map(entries), tensors));
        const { version, metadata, tensors: table } = read.header;
        expect(version).toBe(3);
        expect([...metadata.keys()]).toEqual(entries.map(([name]) => name));
        for (const [name, wanted] of entries) {
          const got = metadata.get(name);
          expect(got?.type).toBe(wanted.type);
          if (typeof wanted.value === 'object') {
            expect(Array.from(got?.value as ArrayLike<unknown>)).toEqual([
              ...(wanted.value as unknown[]),
            ]);
          } else expect(got?.value).toBe(wanted.value);
        }
        expect([...table.keys()]).toEqual(tensors.map(({ name }) => name));
        for (const { name, dtype, shape } of tensors) {
          expect(read.entry(name)).toMatchObject({ dtype, shape });
          const { begin, end } = read.entry(name);
          expect((await read.bytes(name)).length).toBe(end - begin);
        }
      }),
      RUNS,
    );
  });

  it.each(['F32', 'F16', 'BF16'] as const)(
    'in %s holds every number that the format has',
    async (dtype) => {
      const bits = Uint16Array.from({ length: 65_536 }, (_, i) => i);
      const all =
        dtype === 'F16'
          ? Float32Array.from(new Float16Array(bits.buffer))
          : new Float32Array(Uint32Array.from(bits, (half) => half * 65_536).buffer);
      const data = all.filter(Number.isFinite);
      expect(data.length).toBeGreaterThan(60_000);
      const tensor = { name: 't', dtype, shape: [data.length], data: () => data };
      const read = await (await open(await encode(new Map(), [tensor]))).floats('t');
      expect(read.data.every((x, i) => Object.is(x, data[i]))).toBe(true);
    },
  );

  it.each(['F16', 'Q8_0', 'Q4_0'] as const)(
    'in %s refuses numbers that it cannot hold',
    async (dtype) => {
      for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, 1e9]) {
        const data = Float32Array.from({ length: 32 }, (_, i) => (i === 7 ? bad : i));
        const tensor = { name: 't', dtype, shape: [32], data: () => data };
        await expect(encode(new Map(), [tensor])).rejects.toMatchObject({ code: 'NonFinite' });
      }
    },
  );

  it('of a format that is not decoded is described, and its numbers are refused by name', async () => {
    const data = () => new Float32Array(256);
    const file = await encode(new Map(), [{ name: 'w', dtype: 'F32', shape: [256], data }]);
    // behind the name: the number of dimensions, the size, the type
    const typeAt = file.indexOf('w'.charCodeAt(0)) + 1 + 4 + 8;
    new DataView(file.buffer).setUint32(typeAt, 12, true);
    const read = await open(file);
    expect(read.entry('w').dtype).toBe('Q4_K');
    await expect(read.floats('w')).rejects.toMatchObject({
      code: 'Dtype',
      message: expect.stringContaining(
        'tensor "w": expected F32, F16, BF16, Q8_0 or Q4_0, got Q4_K',
      ),
    });
  });
});

describe('blocks', () => {
  const values = fc
    .tuple(
      fc.array(fc.float({ noNaN: true, min: -1, max: 1 }), { minLength: 32, maxLength: 32 }),
      fc.integer({ min: -12, max: 12 }),
    )
    .map(([list, exponent]) => Float32Array.from(list, (x) => x * 2 ** exponent));
  /** The largest error of a block in steps, from what half precision does to the scale besides. */
  const FORMATS = {
    // half a step, and 127 steps moved by 2⁻¹¹ of themselves
    Q8_0: { encode: encodeQ8, decode: decodeQ8, steps: 127, most: 0.5 + 127 * 2 ** -11 },
    // +8 steps have no level of their own and lose a whole one; 8 are moved by 2⁻¹¹ of themselves
    Q4_0: { encode: encodeQ4, decode: decodeQ4, steps: 8, most: 1 + 8 * 2 ** -11 },
  };

  it.each(['Q8_0', 'Q4_0'] as const)('%s: every number is as near as its step allows', (name) => {
    const { encode, decode, steps, most } = FORMATS[name];
    fc.assert(
      fc.property(values, (data) => {
        const got = decode(encode(data) as Uint8Array);
        const largest = data.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
        // below 2⁻¹⁴ half precision has fixed steps of 2⁻²⁴
        const allowed = most * (largest / steps) * (1 + 2 ** -20) + steps * 2 ** -25;
        for (const [i, x] of data.entries()) {
          expect(Math.abs(got[i] - x)).toBeLessThanOrEqual(allowed);
        }
      }),
      RUNS,
    );
  });

  it.each(['Q8_0', 'Q4_0'] as const)('%s: what was read is written as the same numbers', (name) => {
    const { encode, decode } = FORMATS[name];
    fc.assert(
      fc.property(values, (data) => {
        const once = decode(encode(data) as Uint8Array);
        const again = decode(encode(once) as Uint8Array);
        expect(Array.from(again, (x) => x + 0)).toEqual(Array.from(once, (x) => x + 0));
      }),
      RUNS,
    );
  });

  it('Q4_0: a half-precision scale, the first sixteen low, the others high; the largest is −8 steps', () => {
    const data = Float32Array.from({ length: 32 }, (_, i) => (i === 3 ? 8 : i === 20 ? -7 : i % 3));
    const bytes = encodeQ4(data) as Uint8Array;
    expect(bytes).toHaveLength(18);
    expect([bytes[0], bytes[1]]).toEqual([0x00, 0xbc]); // −1.0
    expect(bytes[2 + 3] & 15).toBe(0);
    expect(bytes[2 + 4] >> 4).toBe(15); // −7 = −1·(15 − 8)
    expect([...decodeQ4(bytes)].map((x) => x + 0)).toEqual([...data]);
    expect(encodeQ4(new Float32Array(32))?.slice(2)).toEqual(new Uint8Array(16).fill(0x88));
  });
});

describe('a damaged file', () => {
  /** The most bytes that were asked of the file at a time, and whether all of them lay inside. */
  function watched(bytes: Uint8Array): { source: ByteSource; largest: () => number } {
    let largest = 0;
    const inner = sourceFromBytes(bytes, 'damaged.gguf');
    const read = (offset: number, length: number) => {
      largest = Math.max(largest, length);
      return inner.read(offset, length);
    };
    return { source: { ...inner, read }, largest: () => largest };
  }

  const drawn = (n: number, below: number, salt: number) =>
    fc.sample(fc.nat(below - 1), { seed: SEED + salt, numRuns: n });

  /** Opens it as a model: what is not refused decodes. */
  async function load(bytes: Uint8Array): Promise<string> {
    try {
      const { model } = await loadModel({ 'damaged.gguf': bytes }, { allowNonFinite: true });
      step(model, newState(model.config, model.precision), 0);
      return 'accepted';
    } catch (error) {
      expect(error, String(error)).toBeInstanceOf(CheckpointError);
      expect((error as Error).message).toMatch(/^damaged\.gguf: [^\n]+$/);
      return (error as CheckpointError).code;
    }
  }

  async function outcome(bytes: Uint8Array): Promise<string> {
    const before = process.memoryUsage();
    const start = performance.now();
    const { source, largest } = watched(bytes);
    try {
      const header = await readGgufHeader(source);
      for (const { begin, end } of header.tensors.values()) {
        expect(begin).toBeLessThanOrEqual(end);
        expect(end).toBeLessThanOrEqual(bytes.length);
      }
      return 'accepted';
    } catch (error) {
      expect(error).toBeInstanceOf(CheckpointError);
      expect((error as Error).message).toMatch(/^damaged\.gguf: [^\n]+$/);
      return (error as CheckpointError).code;
    } finally {
      expect(performance.now() - start).toBeLessThan(1000);
      expect(largest()).toBeLessThanOrEqual(bytes.length);
      const after = process.memoryUsage();
      const made = after.heapUsed + after.external - before.heapUsed - before.external;
      expect(made).toBeLessThan(bytes.length + 64 * 2 ** 20);
    }
  }

  const files = Object.entries(GGUF_MODELS).map(async ([name, config]) => {
    const model = modelOf({ config, seed: 3 }, 'float32');
    const weight = (weightName: string) => weightNamed(model, weightName);
    const { metadata, tensors } = ggufModel({ config, weight }, 'Q8_0');
    return [name, await encode(metadata, tensors)] as const;
  });

  it('cut at 200 places is refused as Truncated, or lacks its last padding only', async () => {
    for (const [i, [, file]] of (await Promise.all(files)).entries()) {
      const header = await readGgufHeader(sourceFromBytes(file));
      const dataEnd = Math.max(...[...header.tensors.values()].map(({ end }) => end));
      for (const at of drawn(200, file.length, i)) {
        const code = await outcome(file.slice(0, at));
        expect(code, `cut at ${at}`).toBe(at >= dataEnd ? 'accepted' : 'Truncated');
      }
    }
  });

  it('with bytes of its header flipped is refused with a code, or read', async () => {
    const codes = new Map<string, number>();
    for (const [i, [, file]] of (await Promise.all(files)).entries()) {
      const { tensors } = await readGgufHeader(sourceFromBytes(file));
      const dataStart = Math.min(...[...tensors.values()].map(({ begin }) => begin));
      const masks = drawn(200, 255, 100 + i);
      for (const [n, at] of drawn(200, dataStart, 200 + i).entries()) {
        const damaged = file.slice();
        damaged[at] ^= masks[n] + 1;
        const header = await outcome(damaged);
        const start = performance.now();
        const code = await load(damaged);
        expect(performance.now() - start).toBeLessThan(2000);
        if (header !== 'accepted') expect(code).toBe(header);
        codes.set(code, (codes.get(code) ?? 0) + 1);
      }
    }
    // a letter of a name, a byte of a length, a bit of a size: the draws reach all of them
    expect(codes.get('accepted')).toBeGreaterThan(50);
    expect(codes.size, JSON.stringify([...codes])).toBeGreaterThan(8);
  });
});
