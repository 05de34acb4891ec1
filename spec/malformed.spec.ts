import { readFileSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readConfigObject, readDescription } from '../lib/checkpoint/config.ts';
import { GgufFile } from '../lib/checkpoint/ggufFile.ts';
import { toPlain } from '../lib/checkpoint/json.ts';
import { filesFromFolder, filesFromPath, openRegular } from '../lib/checkpoint/nodeFiles.ts';
import { INDEX_FILE, TensorSet } from '../lib/checkpoint/shards.ts';
import type { TensorFile } from '../lib/checkpoint/tensorFile.ts';
import { type Inspection, inspect } from '../lib/inspect.ts';
import { loadModel, readText } from '../lib/loadModel.ts';
import { step } from '../reference/model.ts';
import { newState } from '../reference/state.ts';
import { path } from './support.ts';

interface Case {
  id: string;
  file: string;
  kind: 'safetensors' | 'index' | 'config' | 'model' | 'tokenizer' | 'gguf' | 'other';
  why: string;
  expected: 'accept' | 'reject';
  error?: string;
  check?: Record<string, unknown>;
  max_ms: number;
}

/** What the manifest says about one tensor. */
interface TensorFacts {
  shape?: number[];
  values?: number[];
  bigint?: string[];
  u32?: number[];
  u16?: number[];
}

const MANIFEST: { cases: Case[] } = JSON.parse(
  readFileSync(path('fixtures/malformed/manifest.json'), 'utf8'),
);
const CASES = MANIFEST.cases;
const PROTOTYPES = [Object.prototype, Array.prototype, Function.prototype, String.prototype];
const BEFORE = PROTOTYPES.map((prototype) => Object.getOwnPropertyDescriptors(prototype));

const located = ({ file }: Case) => path('fixtures/malformed', file);

/** The verdict as a code, `ok` for acceptance, anything else for an error that is not ours. */
async function verdict(file: string): Promise<{ code: string; inspection?: Inspection }> {
  try {
    return { code: 'ok', inspection: await inspect(file, { load: true }) };
  } catch (error) {
    const { code, name, message } = error as Error & { code?: string };
    return { code: name === 'CheckpointError' && code ? code : `${name}: ${message}` };
  }
}

async function checkTensors(tensors: TensorSet, facts: Record<string, unknown>): Promise<void> {
  for (const [name, wanted] of Object.entries(facts)) {
    if (name === 'names') expect([...tensors.names()].sort()).toEqual(wanted);
    else if (name === 'count') expect([...tensors.names()]).toHaveLength(wanted as number);
    else if (name === 'metadata') checkMetadata(tensors, wanted as Record<string, string>);
    else if (name !== 'pollution') await checkTensor(tensors, name, wanted as TensorFacts);
  }
}

function checkMetadata(tensors: TensorSet, wanted: Record<string, string>): void {
  const { metadata } = (tensors.file([...tensors.names()][0]) as TensorFile).header;
  for (const [key, text] of Object.entries(wanted)) expect(metadata.get(key)).toBe(text);
}

async function checkTensor(tensors: TensorSet, name: string, facts: TensorFacts): Promise<void> {
  const file = tensors.file(name);
  if (facts.shape) expect(file.entry(name).shape).toEqual(facts.shape);
  if (facts.bigint) {
    expect((await file.integers(name)).data.map(String)).toEqual(facts.bigint);
    return;
  }
  if (file.entry(name).dtype === 'U8') {
    expect((await file.integers(name)).data).toEqual(facts.values);
    return;
  }
  const { data } = await file.floats(name);
  const bits = new Uint32Array(data.buffer, data.byteOffset, data.length);
  if (facts.values) {
    // JSON has no -0
    expect(Array.from(data, (x) => x + 0)).toEqual(facts.values);
  }
  if (facts.u32) expect([...bits]).toEqual(facts.u32);
  if (facts.u16) expect(Array.from(bits, (word) => word >>> 16)).toEqual(facts.u16);
}

async function checkConfig(
  folder: string,
  { warnings }: Inspection,
  facts: Record<string, unknown>,
): Promise<void> {
  const files = await filesFromFolder(folder);
  const config = toPlain(await readConfigObject(files, 'config.json')) as Record<string, unknown>;
  for (const [key, wanted] of Object.entries(facts)) {
    if (key === 'time_step_limit') {
      const { layers } = (await readDescription(files)).config;
      expect(layers.length).toBeGreaterThan(0);
      // [0, ∞] is no limit
      for (const { mixer } of layers) expect(mixer).toMatchObject({ dtLimit: undefined });
    } else if (key === 'warnings') expect(warnings).toHaveLength(wanted as number);
    else expect(config[key], key).toEqual(wanted);
  }
}

async function checkTokenizer(folder: string, facts: Record<string, unknown>): Promise<void> {
  const { tokenizer } = await readText(await filesFromFolder(folder));
  const { encode, decode, ids } = facts as {
    encode?: [string, number[]];
    decode?: [number[], string];
    ids?: Record<string, number>;
  };
  if (encode) expect(tokenizer?.encode(encode[0])).toEqual(encode[1]);
  if (decode) expect(tokenizer?.decode(decode[0])).toBe(decode[1]);
  for (const [token, id] of Object.entries(ids ?? {})) expect(tokenizer?.idOf(token)).toBe(id);
}

async function checkForward(folder: string): Promise<void> {
  const { model, config } = await loadModel(folder);
  const state = newState(config, model.precision);
  for (const token of [0, 1, 2]) {
    expect(step(model, state, token).every(Number.isFinite)).toBe(true);
  }
}

/** Facts about a GGUF file: names, keys, and a tensor or a key by its name. */
async function checkGguf(place: string, facts: Record<string, unknown>): Promise<void> {
  const gguf = await GgufFile.open(await openRegular(place));
  const { metadata, tensors } = gguf.header;
  const plain = (value: unknown): unknown =>
    typeof value === 'object' ? Array.from(value as ArrayLike<unknown>, plain) : value;
  for (const [name, wanted] of Object.entries(facts)) {
    const field = metadata.get(name)?.value;
    if (name === 'names') expect([...tensors.keys()]).toEqual(wanted);
    else if (name === 'kv') expect([...metadata.keys()]).toEqual(wanted);
    else if (field !== undefined) {
      expect(typeof field === 'bigint' ? String(field) : plain(field), name).toEqual(wanted);
    } else {
      const { bytes, values, dequant_first: first } = wanted as Record<string, number[]>;
      if (bytes) expect([...(await gguf.bytes(name))]).toEqual(bytes);
      const data = Array.from((await gguf.floats(name)).data, (x) => x + 0);
      if (values) expect(data).toEqual(values);
      if (first) expect(data.slice(0, first.length)).toEqual(first);
      expect(bytes ?? values ?? first).toBeDefined();
    }
  }
  await gguf.close();
}

/** The facts that the manifest states about an accepted case. */
async function checkFacts(accepted: Case, inspection: Inspection): Promise<void> {
  const { kind, check = {} } = accepted;
  const place = located(accepted);
  if (kind === 'safetensors' || kind === 'index') {
    const { files, file } = await filesFromPath(place);
    const tensors =
      kind === 'index'
        ? await TensorSet.openIndex(files, file ?? INDEX_FILE)
        : await TensorSet.openFile(files, file as string);
    await checkTensors(tensors, check).finally(() => tensors.close());
  }
  const folder = statSync(place).isDirectory() ? place : dirname(place);
  if (kind === 'config') await checkConfig(folder, inspection, check);
  if (kind === 'tokenizer') await checkTokenizer(folder, check);
  if (kind === 'gguf') await checkGguf(place, check);
  if (kind === 'model' && check.forward === 'finite') await checkForward(folder);
}

describe('malformed and tricky files', () => {
  it('the manifest lists 275 cases, 227 to refuse and 48 to accept', () => {
    const rejected = CASES.filter(({ expected }) => expected === 'reject');
    expect([CASES.length, rejected.length]).toEqual([275, 227]);
    expect(CASES.filter(({ expected, check }) => expected === 'accept' && check)).toHaveLength(48);
    expect(rejected.every(({ error }) => error)).toBe(true);
  });

  for (const one of CASES) {
    const wanted = one.expected === 'accept' ? 'ok' : (one.error as string);
    const says = one.expected === 'accept' ? 'is accepted' : `is refused with code ${wanted}`;
    it(`${one.file} ${says}: ${one.why}`, async () => {
      const start = performance.now();
      const { code, inspection } = await verdict(located(one));
      const elapsed = performance.now() - start;
      expect(code).toBe(wanted);
      expect(elapsed).toBeLessThan(Math.min(one.max_ms, 2000));
      if (inspection) await checkFacts(one, inspection);
    });
  }

  it('no file has changed a built-in prototype', () => {
    const after = PROTOTYPES.map((prototype) => Object.getOwnPropertyDescriptors(prototype));
    expect(after.map(Reflect.ownKeys)).toEqual(BEFORE.map(Reflect.ownKeys));
    expect(after.map(Object.entries)).toEqual(BEFORE.map(Object.entries));
    expect(Reflect.ownKeys({})).toEqual([]);
  });
});
