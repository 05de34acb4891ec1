/** Every public golden case, recorded from other people's implementations, through the library and the CLI. */

import { readdirSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { filesFromFolder, openRegular } from '../lib/checkpoint/nodeFiles.ts';
import { TensorFile } from '../lib/checkpoint/tensorFile.ts';
import { GoldenCase } from '../lib/verify/golden/case.ts';
import { runCase } from '../lib/verify/golden/run.ts';
import { UnsupportedError } from '../reference/errors.ts';
import { type CommandResult, path, selscan, temporaryFolder } from './support.ts';

const ROOT = path('fixtures/golden');
const MODELS = join(ROOT, 'models');

/** Paths below the golden folder: every op case, and one case of each model. */
const CASES = [
  ...readdirSync(join(ROOT, 'ops'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.safetensors'))
    .map((name) => join('ops', name)),
  ...readdirSync(MODELS).map((name) => join('models', name, 'golden.safetensors')),
].sort();

/** Training ops that are not declared. */
const isUndeclared = (name: string) =>
  /^((attention|(rms|layer)norm|rmsnorm_gated|swiglu_mlp)_grad|kd_loss)$/.test(
    basename(dirname(name)),
  );
const DECLARED = CASES.filter((name) => !isUndeclared(name));
const UNDECLARED = CASES.filter(isUndeclared);

interface Numbers {
  data: ArrayLike<number | bigint>;
  shape: readonly number[];
}

/** Every `out.*` tensor of a file, integers as bigint. */
async function outputsOf(file: TensorFile): Promise<Map<string, Numbers>> {
  const outputs = new Map<string, Numbers>();
  for (const [name, { dtype }] of file.header.tensors) {
    if (!name.startsWith('out.')) continue;
    const isFloat = /^(F|BF)/.test(dtype);
    outputs.set(name, isFloat ? await file.floats(name) : await integers(file, name));
  }
  return outputs;
}

async function integers(file: TensorFile, name: string): Promise<Numbers> {
  const { data, shape } = await file.integers(name);
  return { data: Array.from(data as number[], BigInt), shape };
}

async function withFile<T>(name: string, use: (file: TensorFile) => Promise<T>): Promise<T> {
  const file = await TensorFile.open(await openRegular(name));
  try {
    return await use(file);
  } finally {
    await file.close();
  }
}

/** What is further off than 1e-9 relative and 1e-11 of the tensor's largest number; nothing where all is well. */
function differences(got: ReadonlyMap<string, Numbers>, want: Map<string, Numbers>): string[] {
  return [...want].flatMap(([name, ref]) => {
    const ours = got.get(name);
    if (!ours) return [`${name} is missing`];
    if (ours.shape.join() !== ref.shape.join()) return [`${name} has shape [${ours.shape}]`];
    const finite = Array.from(ref.data, (x) => Math.abs(Number(x))).filter(Number.isFinite);
    const floor = 1e-11 * finite.reduce((max, x) => Math.max(max, x), 1);
    for (let i = 0; i < ref.data.length; i++) {
      const [a, b] = [ours.data[i], ref.data[i]];
      if (a === b || (Number.isNaN(a) && Number.isNaN(b))) continue;
      const isClose =
        typeof a === 'number' &&
        typeof b === 'number' &&
        Number.isFinite(b) &&
        Math.abs(a - b) <= 1e-9 * Math.abs(b) + floor;
      if (!isClose) return [`${name}, element ${i}: want ${b}, got ${a}`];
    }
    return [];
  });
}

async function runHere(name: string): Promise<ReadonlyMap<string, Numbers>> {
  const files = await filesFromFolder(dirname(join(ROOT, name)));
  return withFile(join(ROOT, name), async (file) => (await runCase(file, { files })) as never);
}

describe('golden data', () => {
  it('consists of 203 cases of declared ops and models and 13 of training ops', () => {
    expect([DECLARED.length, UNDECLARED.length]).toEqual([203, 13]);
  });

  it('has a case in every listed file, and each brings outputs', async () => {
    for (const name of CASES) {
      const [isCase, outputs] = await withFile(join(ROOT, name), async (file) => [
        GoldenCase.isCase(file),
        (await outputsOf(file)).size,
      ]);
      expect([isCase, Number(outputs) > 0], name).toEqual([true, true]);
    }
  });

  it.each(DECLARED)('%s is reproduced by the Float64 reference', async (name) => {
    const want = await withFile(join(ROOT, name), outputsOf);
    expect(differences(await runHere(name), want)).toEqual([]);
  });

  it.each(UNDECLARED)('%s is refused as not declared', async (name) => {
    await expect(runHere(name)).rejects.toThrow(UnsupportedError);
  });
});

describe('the comparison', () => {
  const one = (...data: number[]) => new Map([['out.y', { data, shape: [data.length] }]]);
  it.each([
    [one(1 + 1e-8), one(1)],
    [one(Number.NaN), one(1)],
    [one(1), one(Number.NaN)],
    [one(1), one(Number.POSITIVE_INFINITY)],
    [one(Number.NEGATIVE_INFINITY), one(Number.POSITIVE_INFINITY)],
    [one(1, 2), one(1)],
    [new Map(), one(1)],
  ])('notices that %o is not %o', (got, want) => {
    expect(differences(got, want)).toHaveLength(1);
  });
});

describe('selscan oracle fixtures/golden', () => {
  const out = temporaryFolder();
  let result: CommandResult;
  beforeAll(async () => {
    result = await selscan(['oracle', 'fixtures/golden', '--out', out]);
  });

  it('exits 1 and reports the 13 cases of training ops by name, nothing else', () => {
    expect(result.code).toBe(1);
    expect(result.err).toBe('');
    const lines = result.out.trimEnd().split('\n');
    expect(lines.pop()).toBe(`203 cases written to ${out}, 13 failed`);
    const reported = lines.map((line) => /^(\S+): error Unsupported\w*: /.exec(line)?.[1]);
    expect(reported.sort()).toEqual(UNDECLARED);
  });

  it('writes the other 203 files and no more', () => {
    const written = readdirSync(out, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => relative(out, join(entry.parentPath, entry.name)));
    expect(written.sort()).toEqual(DECLARED);
  });

  const models = DECLARED.filter((name) => name.startsWith('models')).slice(0, 3);
  const spread = DECLARED.filter((name) => name.startsWith('ops')).filter((_, i) => i % 22 === 0);
  it.each([...models, ...spread])('writes the recorded outputs of %s', async (name) => {
    const got = await withFile(join(out, name), outputsOf);
    expect(differences(got, await withFile(join(ROOT, name), outputsOf))).toEqual([]);
  });
});
