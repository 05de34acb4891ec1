import { Float16Array } from '@petamoriken/float16';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CheckpointError } from '../lib/checkpoint/errors.ts';
import { type ByteSource, sourceFromBytes } from '../lib/checkpoint/files.ts';
import {
  encodeSafetensors,
  TensorFile,
  type WritableTensor,
} from '../lib/checkpoint/tensorFile.ts';
import { SEED } from './support.ts';

const RUNS = { seed: SEED, numRuns: 300 };

const sizeOf = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);
const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView) =>
  new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength).slice();

/** A tensor of one of the dtypes that are written, with any bits at all for its numbers. */
const tensorArbitrary: fc.Arbitrary<WritableTensor> = fc
  .tuple(fc.array(fc.nat(4), { maxLength: 4 }), fc.constantFrom('F64', 'F32', 'I64'))
  .chain(([shape, dtype]) => {
    const n = (dtype === 'F32' ? 4 : 8) * sizeOf(shape);
    return fc.uint8Array({ minLength: n, maxLength: n }).map((bytes) => {
      const buffer = bytes.slice().buffer as ArrayBuffer;
      if (dtype === 'I64') return { data: new BigInt64Array(buffer), shape };
      return { data: dtype === 'F64' ? new Float64Array(buffer) : new Float32Array(buffer), shape };
    });
  });

const fileArbitrary = fc.tuple(
  fc.array(
    fc.tuple(
      fc.oneof(
        fc.string({ unit: 'binary' }),
        fc.constantFrom('10', '9', '__proto__', 'constructor', ''),
      ),
      tensorArbitrary,
    ),
    { maxLength: 8 },
  ),
  fc.dictionary(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), { maxKeys: 3 }),
);

/** A file by hand: dtype, shape and bytes of each tensor, one after another. */
function handmade(tensors: Record<string, [string, number[], Uint8Array]>, pad = ''): Uint8Array {
  let offset = 0;
  const entries = Object.entries(tensors).map(([name, [dtype, shape, { length }]]) => {
    offset += length;
    return [name, { dtype, shape, data_offsets: [offset - length, offset] }];
  });
  const header = new TextEncoder().encode(JSON.stringify(Object.fromEntries(entries)) + pad);
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(header.length), true);
  const data = Object.values(tensors).flatMap(([, , bytes]) => [...bytes]);
  return Uint8Array.from([...length, ...header, ...data]);
}

function open(bytes: Uint8Array): Promise<TensorFile> {
  return TensorFile.open(sourceFromBytes(bytes, 'x.safetensors'));
}

const HALVES = Uint16Array.from({ length: 65_536 }, (_, i) => i);

describe('safetensors files', () => {
  it('a file that was written reads back with every bit, name, shape and metadata', async () => {
    await fc.assert(
      fc.asyncProperty(fileArbitrary, async ([list, metadata]) => {
        const tensors = new Map(list.filter(([name]) => name !== '__metadata__'));
        const file = await open(encodeSafetensors(tensors, metadata));
        expect([...file.header.tensors.keys()].sort()).toEqual([...tensors.keys()].sort());
        expect([...file.header.metadata].sort()).toEqual(Object.entries(metadata).sort());
        for (const [name, { data, shape }] of tensors) {
          const read =
            data instanceof BigInt64Array ? await file.integers(name) : await file.floats(name);
          expect(read.shape).toEqual(shape);
          if (data instanceof BigInt64Array) expect(read.data).toEqual([...data]);
          else {
            expect(read.data.constructor).toBe(data.constructor);
            expect(bytesOf(read.data as Float64Array)).toEqual(bytesOf(data));
          }
          expect(file.entry(name).begin % 4).toBe(0);
        }
      }),
      RUNS,
    );
  });

  it('all 65,536 values of F16 are those of an independent implementation', async () => {
    const file = await open(handmade({ h: ['F16', [256, 256], bytesOf(HALVES)] }));
    const { data } = await file.floats('h');
    const independent = new Float16Array(HALVES.buffer);
    expect(data).toBeInstanceOf(Float32Array);
    expect(data).toHaveLength(65_536);
    expect([...HALVES].filter((i) => !Object.is(data[i], independent[i]))).toEqual([]);
  });

  it('all 65,536 values of BF16 are the float32 with the same upper bits', async () => {
    const file = await open(handmade({ g: ['BF16', [65_536], bytesOf(HALVES)] }));
    const { data } = await file.floats('g');
    const bits = new Uint32Array(data.buffer, data.byteOffset, data.length);
    const view = new DataView(new ArrayBuffer(4));
    const value = (half: number) => {
      view.setUint32(0, half * 65_536);
      return view.getFloat32(0);
    };
    expect(bits).toHaveLength(65_536);
    expect([...HALVES].filter((i) => bits[i] !== i * 65_536)).toEqual([]);
    expect([...HALVES].filter((i) => !Object.is(data[i], value(i)))).toEqual([]);
  });

  it.each([0, 1, 2, 3, 4, 5, 6, 7])(
    'tensors are read right when they begin %i bytes off their alignment',
    async (shift) => {
      const doubles = Float64Array.of(1.5, -0, 1e-310);
      const integers = BigInt64Array.of(9007199254740993n, -1n);
      const bytes = handmade(
        {
          pad: ['U8', [1], Uint8Array.of(7)],
          d: ['F64', [3], bytesOf(doubles)],
          f: ['F32', [2], bytesOf(Float32Array.of(0.1, 2))],
          odd: ['I8', [1], Uint8Array.of(255)],
          i: ['I64', [2], bytesOf(integers)],
          b: ['BF16', [1], Uint8Array.of(0x80, 0x3f)],
        },
        ' '.repeat(shift),
      );
      const file = await open(bytes);
      expect((await file.floats('d')).data).toEqual(doubles);
      expect((await file.floats('f')).data).toEqual(Float32Array.of(0.1, 2));
      expect((await file.integers('i')).data).toEqual([...integers]);
      expect((await file.integers('odd')).data).toEqual([-1]);
      expect((await file.floats('b')).data).toEqual(Float32Array.of(1));
    },
  );

  it('opening reads the header only, and a tensor only its own bytes', async () => {
    const tensors = new Map<string, WritableTensor>();
    for (const name of ['a', 'b', 'c']) {
      tensors.set(name, { data: Float64Array.from({ length: 1000 }, (_, i) => i), shape: [1000] });
    }
    const bytes = encodeSafetensors(tensors);
    const whole = sourceFromBytes(bytes);
    const reads: [number, number][] = [];
    let closed = 0;
    const source: ByteSource = {
      ...whole,
      read: (offset, length) => {
        reads.push([offset, length]);
        return whole.read(offset, length);
      },
      close: async () => {
        closed++;
      },
    };
    const file = await TensorFile.open(source);
    const { begin, end } = file.entry('b');
    const headerEnd = Math.max(256, file.entry('a').begin);
    expect(reads.every(([offset, length]) => offset + length <= headerEnd)).toBe(true);
    reads.length = 0;
    expect((await file.floats('b')).data).toHaveLength(1000);
    expect(reads).toEqual([[begin, end - begin]]);
    expect(end - begin).toBe(8000);
    await file.close();
    expect(closed).toBe(1);
  });

  it('a file cut anywhere is refused as truncated, and closed', async () => {
    const bytes = encodeSafetensors(
      new Map<string, WritableTensor>([
        ['a', { data: Float32Array.of(1, 2, 3), shape: [3] }],
        ['b', { data: Float64Array.of(4, 5), shape: [2] }],
      ]),
    );
    for (let length = 0; length < bytes.length; length++) {
      let closed = 0;
      const source = sourceFromBytes(bytes.slice(0, length), 'cut.safetensors');
      const close = async () => {
        closed++;
      };
      const error = await TensorFile.open({ ...source, close }).catch((e: unknown) => e);
      expect(error, `cut after ${length}`).toBeInstanceOf(CheckpointError);
      expect(error).toMatchObject({ code: 'Truncated', file: 'cut.safetensors' });
      expect(closed).toBe(1);
    }
  });

  it('a file that shrinks while it is open is refused when a tensor is read', async () => {
    const bytes = encodeSafetensors(new Map([['a', { data: new Float64Array(4), shape: [4] }]]));
    const source = sourceFromBytes(bytes);
    let size = bytes.length;
    const file = await TensorFile.open({
      ...source,
      read: (offset, length) => sourceFromBytes(bytes.slice(0, size)).read(offset, length),
    });
    size -= 1;
    await expect(file.floats('a')).rejects.toMatchObject({ code: 'Truncated' });
  });

  it('a tensor that is not there, or not of floats, is refused by name', async () => {
    const integers = { data: BigInt64Array.of(1n), shape: [1] };
    const file = await open(encodeSafetensors(new Map([['i', integers]])));
    await expect(file.floats('i')).rejects.toMatchObject({ code: 'Dtype' });
    await expect(file.floats('i')).rejects.toThrow('tensor "i"');
    await expect(file.bytes('toString')).rejects.toMatchObject({ code: 'MissingTensor' });
  });
});
