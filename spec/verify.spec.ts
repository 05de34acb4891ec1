/** `selscan verify` as people run it on their own kernels. */

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  checkSubject,
  type Kernels,
  kernelLaws,
  kernelSubject,
  kernelsSubject,
  lawsOf,
  type OpReport,
} from '../lib/verify/index.ts';
import { SelscanError } from '../reference/errors.ts';
import { ops } from '../reference/ops.ts';
import type { Tensor } from '../reference/tensor.ts';
import { selscanProcess as selscan, temporaryFolder } from './support.ts';

const INAPPLICABLE = new SelscanError('Inapplicable', 'not for me');

const folder = temporaryFolder();

/** Writes a kernel file and returns its path. */
function kernel(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

/** A linear layer whose sum or result is given as text. */
const linear = (result: string) => `
  export function linear({ x, weight, bias }) {
    const [rows, dIn] = x.shape;
    const dOut = weight.shape[0];
    const data = new Float32Array(rows * dOut);
    for (let i = 0; i < data.length; i++) {
      const [r, o] = [Math.floor(i / dOut), i % dOut];
      let sum = 0;
      for (let k = 0; k < dIn; k++) sum += x.data[r * dIn + k] * weight.data[o * dIn + k];
      data[i] = sum + (bias ? bias.data[o] : 0);
    }
    return ${result};
  }`;
const RIGHT = kernel('right.mjs', linear('{ y: { data, shape: [rows, dOut] } }'));
// as processes: kernels are loaded as Node loads them, not as a test runner does
const verify = (...args: string[]) => selscan(['verify', '--runs', '30', ...args]);

describe('a right kernel', () => {
  it('passes with a table of its laws, and exit code 0', async () => {
    const { code, out, err } = await verify('--kernel', RIGHT);
    expect(err).toBe('');
    expect(code).toBe(0);
    expect(out).toMatch(/✓ is what its equation says +30 +0\.\d+/);
  });

  it('passes in TypeScript, and asynchronously', async () => {
    const path = kernel(
      'silu.ts',
      `export const silu = async ({ x }: { x: { data: Float32Array; shape: number[] } }) =>
        ({ y: { data: x.data.map((v: number) => v / (1 + Math.exp(-v))), shape: x.shape } });`,
    );
    expect(await verify('--kernel', path)).toMatchObject({ code: 0, err: '' });
  });

  it('is certified by name, hash, seed and laws', async () => {
    const certificate = join(folder, 'certificate.json');
    await verify('--kernel', RIGHT, '--certificate', certificate, '--seed', '7');
    const { ok, seed, judged } = JSON.parse(readFileSync(certificate, 'utf8'));
    expect({ ok, seed }).toEqual({ ok: true, seed: 7 });
    expect(judged[0].kernel.file).toBe(RIGHT);
    expect(judged[0].kernel.sha256).toMatch(/^[0-9a-f]{64}$/);
    expect(judged[0].ops[0].laws.length).toBeGreaterThan(5);
  });
});

describe('without arguments', () => {
  it('every op of every backend that is present is tried, in JSON lines and nothing else', async () => {
    const start = performance.now();
    const { code, out } = await selscan(['verify', '--json']);
    const seconds = (performance.now() - start) / 1000;
    expect(code).toBe(0);
    const reports: OpReport[] = out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    const backends = new Set(reports.map(({ backend }) => backend));
    for (const name of ['reference', 'gpujs:cpu', 'gpujs:webasm']) expect(backends).toContain(name);
    for (const { laws, notTried, ok, op } of reports) {
      expect(ok).toBe(true);
      expect(laws.length).toBeGreaterThan(0);
      for (const { runs } of laws) expect(runs).toBeGreaterThan(0);
      expect(laws.length + notTried.length).toBe(lawsOf(op).length);
    }
    expect(seconds).toBeLessThan(20); // 10 on a machine that does nothing else
  });
});

describe('a wrong kernel', () => {
  const source = readFileSync(RIGHT, 'utf8');
  const wrong = kernel('wrong.mjs', source.replace('bias ? bias.data[o] : 0', '0'));

  it('fails with a counterexample, its cause and the command that shows it again', async () => {
    const { code, out } = await verify('--kernel', wrong);
    expect(code).toBe(1);
    expect(out).toContain('linear breaks the law "is what its equation says"');
    expect(out).toMatch(/first off +y at row 0, column 0: want -?[\d.e-]+, got -?[\d.e-]+/);
    expect(out).toContain('the bias is dropped');
    expect(out).toContain('selscan verify --op linear --kernel');
  });

  it('prints one JSON object per op, from which one input can be tried again', async () => {
    const { code, out } = await verify('--kernel', wrong, '--json');
    expect(code).toBe(1);
    const report = JSON.parse(out);
    expect(report).toMatchObject({ op: 'linear', backend: wrong, ok: false });
    const law = report.laws.find(({ ok }: { ok: boolean }) => !ok);
    expect(law).toMatchObject({ worst: null, counterexample: { seed: 1 } });
    const { path, problem, dims } = law.counterexample;
    const again = await verify('--kernel', wrong, '--json', '--law', law.law, '--path', path);
    expect(again.code).toBe(1);
    const [replayed] = JSON.parse(again.out).laws;
    expect(replayed).toMatchObject({ runs: 1, counterexample: { path, problem, dims } });
  });
});

describe('a kernel that does not answer as it should', () => {
  it.each([
    ['throws', linear('(() => { throw new Error("no such device"); })()'), 'no such device'],
    ['returns nothing', linear('undefined'), 'got undefined'],
    ['leaves an output out', linear('{}'), 'which is missing'],
    ['returns another shape', linear('{ y: { data, shape: [dOut, rows] } }'), 'shape'],
    ['returns plain numbers', linear('{ y: { data: [...data], shape: [rows, dOut] } }'), 'Array'],
    ['returns a function', linear('{ y: () => 1 }'), 'no plain data'],
    ['ends its process', linear('process.exit(3)'), 'ended its process'],
    ['never ends', linear('(() => { for (;;); })()'), 'no answer within 1 s'],
  ])(
    'fails when it %s',
    async (name, text, problem) => {
      const path = kernel(`${name.replaceAll(' ', '-')}.mjs`, text);
      const { code, out, err } = await verify('--kernel', path, '--timeout', '1', '--runs', '3');
      expect(err).toBe('');
      expect(code).toBe(1);
      expect(out).toContain(problem);
    },
    120_000,
  );
});

describe('bad usage is one line and exit code 2', () => {
  const empty = kernel('empty.mjs', 'export const other = 1;');
  const broken = kernel('broken.mjs', 'export const = ;');
  it.each([
    ['a file that is not there', ['--kernel', join(folder, 'none.mjs')], 'NotFound'],
    ['a file without ops', ['--kernel', empty], 'NotKernels'],
    ['a file that is no module', ['--kernel', broken], 'NotKernels'],
    ['another language', ['--kernel', kernel('k.py', '')], 'Unsupported'],
    ['an op that the file lacks', ['--kernel', RIGHT, '--op', 'ssd'], 'Option'],
    ['an op that there is not', ['--kernel', RIGHT, '--op', 'nothing'], 'Option'],
    ['a law that there is not', ['--kernel', RIGHT, '--law', 'nothing'], 'Option'],
    ['a program without an op', ['--exec', 'true'], 'Option'],
    ['a path without a law', ['--kernel', RIGHT, '--path', '1:2'], 'Option'],
    ['a path of words', ['--kernel', RIGHT, '--path', 'abc'], 'Option'],
    ['no inputs', ['--kernel', RIGHT, '--runs', '0'], 'Option'],
    ['a backend that is not known', ['--backend', 'nothing'], 'UnknownBackend'],
  ])('%s', async (_, args, codeName) => {
    const { code, out, err } = await selscan(['verify', ...args]);
    expect(err).toMatch(new RegExp(`^error ${codeName}: [^\\n]+\\n$`));
    expect({ code, out }).toEqual({ code: 2, out: '' });
  });
});

describe('selscan/verify', () => {
  it('gives the laws of kernels as tests and as properties', async () => {
    const laws = kernelLaws({ linear: ops.linear }, { runs: 5 });
    expect(laws.map(({ name }) => name)).toContain('linear is what its equation says');
    for (const { check } of laws) await check();
    const wrong = kernelLaws(
      { linear: ({ x, weight }) => ops.linear({ x, weight }) },
      { runs: 20 },
    );
    const equation = wrong.find(({ law }) => law === 'is what its equation says');
    await expect(equation?.check()).rejects.toThrow(/likely cause: the bias is dropped/);
  });

  it('takes no law for held that was not tried', async () => {
    const refuses = kernelsSubject({ silu: ops.silu }, { accepts: () => false });
    const run = refuses.run;
    const nothing = { ...refuses, run: (() => Promise.reject(INAPPLICABLE)) as typeof run };
    const [report] = await checkSubject(nothing, { runs: 2 });
    expect(report).toMatchObject({ laws: [], ok: false });
    expect(report.notTried).toContain('is what its equation says');
  });

  it('allows attention to leave its weights out', async () => {
    const attention = ({ ...input }: Parameters<typeof ops.attention>[0]) => ({
      y: ops.attention(input).y,
    });
    const subject = kernelsSubject({ attention });
    const [{ ok, notTried }] = await checkSubject(subject, { runs: 5 });
    expect({ ok, notTried }).toEqual({ ok: true, notTried: ['gives weights that sum to one'] });
  });

  it('judges what a program gives, whatever it leaves out', async () => {
    const scan = async (_op: string, input: Parameters<typeof ops.selectiveScan>[0]) => ({
      y: ops.selectiveScan({ ...input, D: undefined }).y,
    });
    const subject = kernelSubject(scan as never, ['selectiveScan'], { isPartial: true });
    const [{ laws }] = await checkSubject(subject, { runs: 20 });
    const equation = laws.find(({ law }) => law === 'is what its equation says');
    expect(equation?.counterexample?.cause).toContain('D·x is dropped');
  });

  it.each(['swigluMlp', 'gatedMlp'] as const)('allows %s to gate in any order', async (op) => {
    // (value·gate)·σ(gate) in float32, where the first product may overflow
    const { fround } = Math;
    const linear = (x: Tensor, weight: Tensor, bias?: Tensor) => ops.linear({ x, weight, bias }).y;
    const gated = (value: Tensor, gate: Tensor) => ({
      shape: value.shape,
      data: value.data.map((v, i) => {
        const g = gate.data[i];
        return fround(fround(v * g) / fround(1 + fround(Math.exp(-g))));
      }),
    });
    const half = ({ data, shape }: Tensor, which: 0 | 1) => {
      const width = shape[shape.length - 1] / 2;
      const rows = shape.length === 1 ? 1 : shape[0];
      const part = new Float32Array(rows * width).map(
        (_, i) => data[Math.floor(i / width) * 2 * width + which * width + (i % width)],
      );
      return { data: part, shape: [rows, width] };
    };
    const kernels: Kernels = {
      swigluMlp: (i) => ({
        y: linear(
          gated(linear(i.x, i.upWeight, i.upBias), linear(i.x, i.gateWeight, i.gateBias)),
          i.downWeight,
          i.downBias,
        ),
      }),
      gatedMlp: (i) => {
        const both = linear(i.x, i.fc1Weight, i.fc1Bias);
        return { y: linear(gated(half(both, 0), half(both, 1)), i.fc2Weight, i.fc2Bias) };
      },
    };
    const [{ laws }] = await checkSubject(kernelsSubject({ [op]: kernels[op] } as Kernels));
    expect(laws.filter(({ ok }) => !ok)).toEqual([]);
  });

  it('reports the same first failure whatever the concurrency', async () => {
    const slow = async (input: Parameters<typeof ops.linear>[0]) => {
      await new Promise((resolve) => setTimeout(resolve, input.x.data.length % 3));
      return ops.linear({ x: input.x, weight: input.weight });
    };
    const subject = kernelsSubject({ linear: slow });
    const options = { laws: ['is what its equation says'], runs: 30 };
    const one = await checkSubject(subject, options);
    const many = await checkSubject({ ...subject, concurrency: 10 }, options);
    expect(many[0].laws[0].counterexample).toEqual(one[0].laws[0].counterexample);
  });

  it('ends when its signal fires', async () => {
    const signal = AbortSignal.timeout(50);
    await expect(checkSubject(kernelsSubject(ops as never), { signal })).rejects.toThrow(/abort/i);
    expect(existsSync(folder)).toBe(true);
  });
});
