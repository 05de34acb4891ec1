import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { readDescription } from '../lib/checkpoint/config.ts';
import { CheckpointError } from '../lib/checkpoint/errors.ts';
import { filesFromBlobs, sourceFromBytes } from '../lib/checkpoint/files.ts';
import { parseJson, toPlain } from '../lib/checkpoint/json.ts';
import { parseHeader, readHeader } from '../lib/checkpoint/safetensors.ts';
import { INDEX_FILE, TensorSet } from '../lib/checkpoint/shards.ts';
import { encodeSafetensors, type WritableTensor } from '../lib/checkpoint/tensorFile.ts';
import { path, SEED } from './support.ts';

type Bytes = Uint8Array;
type Draw = (below: number) => number;
type Target = (bytes: Bytes) => unknown;

/** The longest that one file may take, in milliseconds. */
const MAX_MS = 100;

const NASTY_WORDS = [0n, 1n, 2n ** 31n - 1n, 2n ** 31n, 2n ** 31n + 1n, 2n ** 53n + 1n, 2n ** 63n];
NASTY_WORDS.push(2n ** 64n - 1n);
const NASTY_VALUES = [
  ...NASTY_WORDS.map(String),
  ...['-1', '-0', '0.5', '1e400', '1e-400', '4.0', '1e1', 'NaN', 'Infinity', '-Infinity', 'null'],
  ...['true', 'false', '""', '"\\ud800"', '"__proto__"', '"../x"', '[]', '[1,[]]', '{}', '2', '64'],
];
const JSON_VALUE = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:e[+-]?\d+)?|true|false|null|\[\]/g;

/** Whole numbers from a seed (mulberry32). */
function drawsFrom(seed: number): Draw {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let x = Math.imul(state ^ (state >>> 15), state | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return Math.floor((((x ^ (x >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

const latin = (bytes: Bytes) => Buffer.from(bytes).toString('latin1');
const unlatin = (text: string): Bytes => Uint8Array.from(Buffer.from(text, 'latin1'));

const MUTATIONS: ((bytes: Bytes, draw: Draw, other: Bytes) => Bytes)[] = [
  function flipBit(bytes, draw) {
    bytes[draw(bytes.length)] ^= 1 << draw(8);
    return bytes;
  },
  function cut(bytes, draw) {
    return bytes.slice(0, draw(bytes.length));
  },
  function overwriteWord(bytes, draw) {
    const at = draw(4) === 0 ? 0 : draw(Math.max(bytes.length - 8, 1));
    if (at + 8 > bytes.length) return bytes;
    new DataView(bytes.buffer, bytes.byteOffset).setBigUint64(at, NASTY_WORDS[draw(8)], true);
    return bytes;
  },
  function swap(bytes, draw) {
    const [i, j] = [draw(bytes.length), draw(bytes.length)];
    [bytes[i], bytes[j]] = [bytes[j], bytes[i]];
    return bytes;
  },
  function splice(bytes, draw, other) {
    const [from, to] = [draw(bytes.length), draw(other.length)];
    const middle = other.slice(to, to + draw(40));
    return unlatin(
      latin(bytes.slice(0, from)) + latin(middle) + latin(bytes.slice(from + draw(20))),
    );
  },
  function replaceValue(bytes, draw) {
    const text = latin(bytes);
    const values = [...text.matchAll(JSON_VALUE)];
    if (values.length === 0) return bytes;
    const { index, 0: old } = values[draw(values.length)];
    const value = NASTY_VALUES[draw(NASTY_VALUES.length)];
    return unlatin(text.slice(0, index) + value + text.slice(index + old.length));
  },
  function swapValues(bytes, draw) {
    const text = latin(bytes);
    const values = [...text.matchAll(JSON_VALUE)];
    if (values.length < 2) return bytes;
    const i = draw(values.length - 1);
    const [a, b] = [values[i], values[i + 1 + draw(values.length - 1 - i)]];
    const between = text.slice(a.index + a[0].length, b.index);
    return unlatin(
      text.slice(0, a.index) + b[0] + between + a[0] + text.slice(b.index + b[0].length),
    );
  },
  function shiftOffsets(bytes, draw) {
    const text = latin(bytes);
    const pairs = [...text.matchAll(/\[(\d+),(\d+)\]/g)];
    if (pairs.length === 0) {
      bytes[draw(bytes.length)] ^= 1;
      return bytes;
    }
    const { index, 0: old, 1: begin, 2: end } = pairs[draw(pairs.length)];
    const by = 8 * (draw(7) - 3);
    const pair = `[${Number(begin) + by},${Number(end) + by}]`;
    return unlatin(text.slice(0, index) + pair + text.slice(index + old.length));
  },
];

function mutate(base: Bytes, bases: readonly Bytes[], draw: Draw): Bytes {
  let bytes: Bytes = base.slice();
  for (let n = 1 + (draw(3) === 0 ? draw(3) : 0); n > 0 && bytes.length > 0; n--) {
    // the last three keep JSON valid and so reach deepest
    const skipped = draw(2) * (MUTATIONS.length - 3);
    const mutation = MUTATIONS[skipped + draw(MUTATIONS.length - skipped)];
    bytes = mutation(bytes, draw, bases[draw(bases.length)]);
  }
  return bytes;
}

/** `accepted`, the code of a refusal; throws on any other outcome, with what leads to it. */
async function outcome(target: Target, bytes: Bytes): Promise<string> {
  try {
    await target(bytes);
    return 'accepted';
  } catch (error) {
    if (error instanceof CheckpointError) return error.code;
    throw new Error(`not a CheckpointError for ${JSON.stringify(latin(bytes))}`, { cause: error });
  }
}

async function milliseconds(target: Target, bytes: Bytes): Promise<number> {
  const start = performance.now();
  await outcome(target, bytes);
  return performance.now() - start;
}

let tried = 0;

/** Feeds mutants to a target and counts the outcomes. */
async function fuzz(
  target: Target,
  bases: readonly Bytes[],
  runs: number,
  counts = new Map<string, number>(),
) {
  const draw = drawsFrom(SEED);
  for (const base of bases) expect(await outcome(target, base)).toBe('accepted');
  for (let run = 0; run < runs; run++) {
    const bytes = mutate(bases[run % bases.length], bases, draw);
    const start = performance.now();
    const found = await outcome(target, bytes);
    // once more when it was slow: the machine may have been busy
    if (performance.now() - start > MAX_MS) {
      expect(await milliseconds(target, bytes), latin(bytes)).toBeLessThan(MAX_MS);
    }
    counts.set(found, (counts.get(found) ?? 0) + 1);
    tried++;
  }
  return counts;
}

/** That the mutants reached deep enough to say something. */
function expectVariety(counts: ReadonlyMap<string, number>, codes: readonly string[]): void {
  expect(counts.get('accepted') ?? 0).toBeGreaterThan(50);
  expect([...counts.keys()], JSON.stringify([...counts])).toEqual(
    expect.arrayContaining([...codes]),
  );
}

const tensors = (names: string[]) =>
  encodeSafetensors(
    new Map(
      names.map((name, i): [string, WritableTensor] => [
        name,
        i % 2
          ? { data: new Float32Array(6), shape: [2, 3] }
          : { data: new Float64Array(2), shape: [2] },
      ]),
    ),
    names.length > 2 ? { format: 'pt' } : {},
  );

const FILES = [tensors([]), tensors(['w']), tensors(['a', 'b', 'c']), tensors(['10', '__proto__'])];
const dataStart = (file: Bytes) => 8 + Number(new DataView(file.buffer).getBigUint64(0, true));
const HEADERS = FILES.map((file) => file.slice(8, dataStart(file)));
const DATA_BYTES = FILES.map((file) => file.length - dataStart(file));

const MODELS = ['llama_a', 'llamba_a', 'mamba1_hf_a', 'mamba1_ss_a', 'mamba2_hf_a', 'mamba2_ss_a'];
const CONFIGS = [...MODELS, 'mamba2attn_ss_a'].map((model) =>
  Uint8Array.from(readFileSync(path('fixtures/golden/models', model, 'config.json'))),
);
const IN_LLAMA = path('fixtures/golden/models/mambainllama_mamba2_a');

const SHARDS = { 'x-1.safetensors': tensors(['a', 'b']), 'x-2.safetensors': tensors(['c']) };
const WEIGHT_MAP = { a: 'x-1.safetensors', b: 'x-1.safetensors', c: 'x-2.safetensors' };
const encode = (json: unknown, indent?: number) =>
  new TextEncoder().encode(JSON.stringify(json, null, indent));
const INDEXES = [
  encode({ metadata: { total_size: 56 }, weight_map: WEIGHT_MAP }),
  encode({ weight_map: WEIGHT_MAP }, 2),
];

describe('mutated files are accepted or refused with a CheckpointError, each within 100 ms', () => {
  const before = Reflect.ownKeys(Object.prototype);
  const start = performance.now();
  afterAll(() => expect(Reflect.ownKeys(Object.prototype)).toEqual(before));

  it('40,000 safetensors headers', async () => {
    const codes = new Map<string, number>();
    for (const [i, header] of HEADERS.entries()) {
      const target: Target = (bytes) => {
        // a header that grew or shrank may come with a file of another size, too
        const more = bytes.length === header.length ? 0 : 8 * ((bytes.length % 3) - 1);
        parseHeader(bytes, 8 + bytes.length + DATA_BYTES[i] + more, 'x.safetensors');
      };
      await fuzz(target, [header], 10_000, codes);
    }
    const wanted = [
      'HeaderJson',
      'HeaderUtf8',
      'HeaderSchema',
      'Dtype',
      'Overflow',
      'SizeMismatch',
    ];
    wanted.push('Offsets', 'Overlap', 'Hole', 'Trailing', 'Truncated', 'DuplicateKey');
    expectVariety(codes, wanted);
  });

  it('20,000 safetensors files', async () => {
    const codes = await fuzz((bytes) => readHeader(sourceFromBytes(bytes)), FILES, 20_000);
    expectVariety(codes, ['Truncated', 'HeaderTooLarge', 'HeaderJson', 'HeaderSchema']);
  });

  it('25,000 configs', async () => {
    const target: Target = (bytes) => readDescription(filesFromBlobs({ 'config.json': bytes }));
    const codes = await fuzz(target, CONFIGS, 25_000);
    const wanted = ['ConfigJson', 'ConfigSchema', 'ConfigRange', 'UnsafeKey'];
    expectVariety(codes, [...wanted, 'UnsupportedModel', 'DuplicateKey']);
  });

  it('5,000 second configs of a hybrid', async () => {
    const config = Uint8Array.from(readFileSync(`${IN_LLAMA}/config.json`));
    const second = Uint8Array.from(readFileSync(`${IN_LLAMA}/mamba_config.json`));
    const target: Target = (bytes) =>
      readDescription(filesFromBlobs({ 'config.json': config, 'mamba_config.json': bytes }));
    expectVariety(await fuzz(target, [second], 5000), [
      'ConfigJson',
      'ConfigSchema',
      'ConfigRange',
    ]);
  });

  it('10,000 indexes', async () => {
    const target: Target = async (bytes) => {
      const set = await TensorSet.openIndex(
        filesFromBlobs({ ...SHARDS, [INDEX_FILE]: bytes }),
        INDEX_FILE,
      );
      await set.close();
    };
    const codes = await fuzz(target, INDEXES, 10_000);
    const wanted = ['IndexJson', 'IndexSchema', 'IndexMismatch', 'ShardPath', 'ShardMissing'];
    expectVariety(codes, [...wanted, 'DuplicateKey']);
  });

  it('10,000 JSON texts, which parse to what JSON.parse makes of them or not at all', async () => {
    const rules = { file: 'x.json', syntax: 'ConfigJson', allowsNonFinite: true } as const;
    const target: Target = (bytes) => {
      const json = toPlain(parseJson(bytes, rules));
      const text = new TextDecoder().decode(bytes);
      if (/NaN|Infinity/.test(text)) return;
      expect(JSON.stringify(json)).toBe(JSON.stringify(JSON.parse(text)));
    };
    expectVariety(await fuzz(target, [...CONFIGS, ...INDEXES], 10_000), ['ConfigJson']);
  });

  it('were more than 100,000 in all, in less than a minute', () => {
    expect(tried).toBe(110_000);
    expect(performance.now() - start).toBeLessThan(60_000);
  });
});
